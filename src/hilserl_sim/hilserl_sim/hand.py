"""What a scripted person sees, in what style they move, and the motions all tasks share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilserl_description.arm_model import CONTROL_PERIOD, ArmModel
from hilserl_description.koch import KOCH
from hilserl_sim.tasks import GRASP_DISTANCE, OBJECT_REST, Peg, Scene

Vector = NDArray[np.float64]

OPEN, STAY, CLOSE = 1.0, 0.0, -1.0
HOVER = 0.055
"""m, tool height over an object that is not to be touched yet."""
_BLOCKED = 0.12  # rad: a closed gripper that stays this far open holds something


@dataclass(frozen=True)
class Sight:
    """What a person sees of the scene at one tick.

    Attributes:
        joint_position: (6,) rad.
        tool_position: (3,) m, base frame.
        target_position: (3,) m, where the last command wants the tool.
        gripper_command: rad, the gripper's last setpoint.
        object_position: (3,) m, base frame.
        peg: the peg, in a task that has one.
        arm: which arm it is.
    """

    joint_position: Vector
    tool_position: Vector
    target_position: Vector
    gripper_command: float
    object_position: Vector
    peg: Peg | None = None
    arm: ArmModel = KOCH

    @property
    def scene(self) -> Scene:
        """The part that a judge looks at."""
        return Scene(self.tool_position, self.object_position, self.peg)

    @property
    def distance(self) -> float:
        """m from tool to object."""
        return float(np.linalg.norm(self.tool_position - self.object_position))

    @property
    def height(self) -> float:
        """m that the object is above where it rests."""
        return float(self.object_position[2]) - OBJECT_REST

    @property
    def grasped(self) -> bool:
        """Whether the gripper was told to close and something between the jaws stops it."""
        opening = self.arm.opening(self.joint_position)
        middle = (self.arm.gripper_closed + self.arm.gripper_opened) / 2
        closing = (self.gripper_command - middle) * self.arm.closing > 0
        return bool(closing and _BLOCKED < opening < 0.8 and self.distance < GRASP_DISTANCE)

    @property
    def fingers(self) -> Vector:
        """(3,) m, from the tool point to the middle of the closed jaws, base frame.

        The wrist stays rolled as at home and the tool points down, so that the jaws open at a right
        angle to the arm's plane.
        """
        pan = self.joint_position[0]
        return self.arm.hand.fingers * np.array([np.cos(pan), -np.sin(pan), 0.0])


@dataclass(frozen=True)
class Style:
    """How somebody moves.

    Attributes:
        speed: of the tool, as a share of the fastest that the action space allows.
        care: factor on the speed near the object.
        detours: mean number of needless waypoints before the task is begun.
        detour_size: m, how far these lie off the way (standard deviation).
        pauses: mean number of pauses, one at most before each stage.
        pause: s, mean length of one.
        miss: probability that a first grasp goes beside the object.
        noise: standard deviation of the hand's slow wander, in action units.
        aim: m, standard deviation of where a grasp is aimed.
        leisure: s, after which there are no more detours, pauses and misses.
    """

    speed: float = 1.0
    care: float = 1.0
    detours: float = 0.0
    detour_size: float = 0.03
    pauses: float = 0.0
    pause: float = 0.4
    miss: float = 0.0
    noise: float = 0.0
    aim: float = 0.0
    leisure: float = 4.5


SKILLED = Style(noise=0.03)
"""Quick and sure: how a practised person helps."""

DEMONSTRATING = Style(
    speed=0.5,
    care=0.5,
    detours=3.0,
    detour_size=0.05,
    pauses=2.5,
    pause=0.7,
    miss=0.15,
    noise=0.15,
    aim=0.003,
)
"""How people demonstrate: slow, by detours, with pauses and a missed grasp now and then."""


@dataclass(frozen=True)
class Move:
    """One tick's wish.

    Attributes:
        target: (3,) m, where the tool shall be, base frame.
        gripper: OPEN, STAY or CLOSE.
        care: factor on the speed.
        wander: factor on the hand's wander: whoever aims holds their breath.
    """

    target: Vector
    gripper: float
    care: float = 1.0
    wander: float = 1.0


class Hand:
    """A person's eye and style, and motions made of them.

    Motions are generators: each yields a move a tick and reads ``sight`` anew after every
    yield. Everything random comes from ``rng``.

    Attributes:
        sight: the newest.
        mistake: (3,) m, by which the person takes the object to be somewhere else.
    """

    sight: Sight
    mistake: Vector

    def __init__(self, style: Style, rng: np.random.Generator) -> None:
        self.style, self.rng = style, rng
        self.mistake = np.zeros(3)
        self._ticks = 0

    def see(self, sight: Sight) -> None:
        """Takes note of a tick."""
        self.sight = replace(sight, object_position=sight.object_position + self.mistake)
        self._ticks += 1

    @property
    def at_leisure(self) -> bool:
        """Whether there is time left for what nobody needs."""
        return self._ticks * CONTROL_PERIOD < self.style.leisure

    def stay(self, gripper: float) -> Move:
        """A tick without motion."""
        return Move(self.sight.target_position, gripper)

    def go(self, target: Vector, gripper: float, within: float = 0.015) -> Iterator[Move]:
        """Goes to ``target`` (3,) m, in free air."""
        for _ in range(30):
            if np.linalg.norm(self.sight.tool_position - target) < within:
                return
            yield Move(target, gripper)

    def rise(self, height: float, gripper: float) -> Iterator[Move]:
        """Goes straight up to ``height``, where the tool is lower."""
        here = self.sight.tool_position
        if here[2] < height - 0.01:
            yield from self.go(np.append(here[:2], height), gripper)

    def hold_at(self, height: float, gripper: float, ticks: int = 12) -> Iterator[Move]:
        """Goes straight to ``height`` and stays there for what is left of the time."""
        target = np.append(self.sight.tool_position[:2], height)
        for _ in range(ticks):
            yield Move(target, gripper)

    def pause(self, gripper: float) -> Iterator[Move]:
        """Sometimes holds still for a while."""
        if self.rng.random() < self.style.pauses / 4 and self.at_leisure:
            ticks = 1 + self.rng.poisson(self.style.pause / CONTROL_PERIOD)
            for _ in range(ticks):
                yield self.stay(gripper)

    def wander_about(self, gripper: float, height: float = HOVER + 0.01) -> Iterator[Move]:
        """Goes by waypoints that nobody needs, none lower than ``height``."""
        for _ in range(self.rng.poisson(self.style.detours)):
            if not self.at_leisure:
                return
            share = self.rng.uniform(0.2, 0.8)
            way = self.sight.object_position - self.sight.tool_position
            target = self.sight.tool_position + share * way
            target = target + self.rng.normal(0.0, self.style.detour_size, 3)
            target[2] = max(target[2], height)
            target = np.clip(target, self.sight.arm.workspace_low, self.sight.arm.workspace_high)
            yield from self.go(target, gripper)
            yield from self.pause(gripper)
