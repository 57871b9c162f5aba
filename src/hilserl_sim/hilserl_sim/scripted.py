"""How a scripted person moves the arm: a plan of stages, and a style to carry it out in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec
from hilserl_description import koch
from hilserl_sim.tasks import GRASP_DISTANCE, OBJECT_REST

Vector = NDArray[np.float64]

_OPEN, _STAY, _CLOSE = 1.0, 0.0, -1.0
_HOVER = 0.055  # m, tool height over an object that is not to be touched yet
_GRASP_HEIGHT = 0.015
_CARRY_HEIGHT = 0.095
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
    """

    joint_position: Vector
    tool_position: Vector
    target_position: Vector
    gripper_command: float
    object_position: Vector

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
        opening = koch.GRIPPER_CLOSED - self.joint_position[koch.GRIPPER]
        closing = self.gripper_command > (koch.GRIPPER_CLOSED + koch.GRIPPER_OPENED) / 2
        return bool(closing and _BLOCKED < opening < 0.8 and self.distance < GRASP_DISTANCE)


@dataclass(frozen=True)
class Style:
    """How somebody moves.

    Attributes:
        speed: of the tool, as a share of the fastest that the action space allows.
        care: factor on the speed near the object.
        detours: mean number of needless waypoints before the grasp.
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


@dataclass
class _Move:
    """One tick's wish: a tool target, a speed factor, and what the gripper does."""

    target: Vector
    gripper: float
    care: float = 1.0


class ScriptedMotion:
    """Carries out a task from whatever state it finds, in a given style.

    It is a plan that runs along (a generator that is shown a new sight every tick), with
    retries; everything random comes from ``rng``.
    """

    def __init__(self, task: str, spec: ActionSpec, style: Style, rng: np.random.Generator) -> None:
        plans = {"lift_cube": self._lift, "reach": self._reach}
        if task not in plans:
            raise UserError(
                f"the scripted operator cannot do '{task}', choose from: {', '.join(plans)}"
            )
        if spec.kind != "ee_delta":
            raise UserError(f"the scripted operator drives ee_delta, not '{spec.kind}'")
        self._plan_of = plans[task]
        self._scale = np.array(spec.scale[:3])
        self._style = style
        self._rng = rng
        self._wander = np.zeros(3)
        self._ticks = 0
        self._sight: Sight
        self._plan: Iterator[_Move] | None = None

    def act(self, sight: Sight) -> NDArray[np.float32]:
        """The action (4,) of this tick."""
        self._sight = sight
        self._ticks += 1
        if self._plan is None:
            self._plan = self._plan_of()
        move = next(self._plan)
        step = move.target - sight.target_position
        fastest = self._scale * self._style.speed * move.care
        # One factor for all axes keeps the tool on a straight line.
        ratio = float(np.max(np.abs(step) / fastest))
        values = step / max(ratio, 1.0) / self._scale
        if self._style.noise:
            self._wander *= 0.7
            self._wander += self._rng.normal(0.0, self._style.noise * 0.7, 3)
            values = values + self._wander
        return np.append(np.clip(values, -1, 1), move.gripper).astype(np.float32)

    @property
    def _at_leisure(self) -> bool:
        return self._ticks * koch.CONTROL_PERIOD < self._style.leisure

    # Plans: each yields a move a tick and reads self._sight anew after every yield.

    def _reach(self) -> Iterator[_Move]:
        yield from self._wander_about()
        while True:
            yield _Move(self._sight.object_position, _STAY)

    def _lift(self) -> Iterator[_Move]:
        first = not self._sight.grasped
        if first:
            yield from self._wander_about()
        while True:
            if not self._sight.grasped:
                yield from self._grasp(self._aim(first))
                first = False
            yield from self._pause(_STAY)
            yield from self._raise()

    def _aim(self, first: bool) -> Vector:
        """Where to grasp, relative to the object: (3,) m."""
        offset = np.append(self._rng.normal(0.0, self._style.aim, 2), 0.0)
        if first and self._rng.random() < self._style.miss and self._at_leisure:
            angle = self._rng.uniform(-np.pi, np.pi)
            # Before or behind the object, where the jaws close on nothing.
            offset[1] += 0.035 if np.sin(angle) > 0 else -0.035
        return offset

    def _grasp(self, offset: Vector) -> Iterator[_Move]:
        """Opens, goes over the object, down, and closes."""
        if self._near_but_low():
            here = self._sight.tool_position
            yield from self._go(np.append(here[:2], _HOVER), _OPEN)
        yield from self._approach(offset, _HOVER, within=0.012)
        yield from self._pause(_OPEN)
        yield from self._approach(offset, _GRASP_HEIGHT, within=0.005, care=self._style.care)
        yield from self._pause(_OPEN)
        for _ in range(10):
            before = self._sight.joint_position[koch.GRIPPER]
            yield _Move(self._sight.target_position, _CLOSE)
            moved = abs(self._sight.joint_position[koch.GRIPPER] - before)
            closing = self._sight.joint_position[koch.GRIPPER] > koch.GRIPPER_OPENED + 0.3
            if closing and moved < 0.04:
                return

    def _near_but_low(self) -> bool:
        """Whether going over the object from here would push it away."""
        across = self._sight.tool_position[:2] - self._sight.object_position[:2]
        low = self._sight.tool_position[2] < self._sight.object_position[2] + 0.03
        return bool(low and 0.006 < np.linalg.norm(across) < 0.08)

    def _approach(
        self, offset: Vector, height: float, within: float, care: float = 1.0
    ) -> Iterator[_Move]:
        """Goes to ``height`` over the place beside the object that ``offset`` says."""
        for _ in range(60):
            thing = self._sight.object_position
            target = np.array([thing[0] + offset[0], thing[1] + offset[1], height])
            if np.linalg.norm(self._sight.tool_position - target) < within:
                return
            yield _Move(target, _OPEN, care)

    def _raise(self) -> Iterator[_Move]:
        """Goes up with the object, as long as it comes along, and keeps it there."""
        here = self._sight.tool_position
        target = np.append(here[:2], _CARRY_HEIGHT)
        while self._sight.grasped or self._sight.distance < GRASP_DISTANCE:
            yield _Move(target, _CLOSE)

    def _go(self, target: Vector, gripper: float) -> Iterator[_Move]:
        for _ in range(30):
            if np.linalg.norm(self._sight.tool_position - target) < 0.015:
                return
            yield _Move(target, gripper)

    def _wander_about(self) -> Iterator[_Move]:
        """Goes by waypoints that nobody needs."""
        for _ in range(self._rng.poisson(self._style.detours)):
            if not self._at_leisure:
                return
            share = self._rng.uniform(0.2, 0.8)
            way = self._sight.object_position - self._sight.tool_position
            target = self._sight.tool_position + share * way
            target = target + self._rng.normal(0.0, self._style.detour_size, 3)
            target[2] = max(target[2], _HOVER + 0.01)
            target = np.clip(target, koch.WORKSPACE_LOW, koch.WORKSPACE_HIGH)
            yield from self._go(target, _OPEN)
            yield from self._pause(_OPEN)

    def _pause(self, gripper: float) -> Iterator[_Move]:
        """Sometimes holds still for a while."""
        if self._rng.random() < self._style.pauses / 4 and self._at_leisure:
            ticks = 1 + self._rng.poisson(self._style.pause / koch.CONTROL_PERIOD)
            for _ in range(ticks):
                yield _Move(self._sight.target_position, gripper)
