"""When a task counts as done.

Every judge asks that its condition holds for a while, so that a cube thrown through the
right place earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_description.scenes import TASKS

Vector = NDArray[np.float64]

OBJECT_REST = 0.015
"""m, height of the cube's centre when it lies on the table."""
LIFT_HEIGHT = 0.05
"""m, how far the cube must be raised."""
GRASP_DISTANCE = 0.04
"""m from tool to object, within which it can be held."""
HOLD = 0.5
"""s that a condition must hold."""
GOALS = {"push_cube": (0.0, 0.26), "pick_place": (-0.12, 0.17)}
"""m, base frame: (x, y) of the green disc of the scene."""
WITH_PEG = ("insert_peg",)
"""Tasks whose scene has a peg, in the gripper from the start."""
INSERTION_DEPTH = 0.015
"""m, how far the peg's tip must be below the socket's upper edge."""
SOCKET_HEIGHT = 0.022
"""m, of its upper edge above the table."""
PEG_GRIP = 0.038
"""m along the peg, from its tip to where it is gripped."""
_PLAY = 0.003  # m that a tip in the hole may be beside its middle
_UPRIGHT = 0.15  # rad of tilt


@dataclass(frozen=True)
class Peg:
    """The peg of ``insert_peg``.

    Attributes:
        tip: (3,) m, the middle of its lower end, base frame.
        quaternion: (4,) its rotation, w x y z; its z axis points from the tip to its head.
    """

    tip: Vector
    quaternion: Vector

    @property
    def axis(self) -> Vector:
        """(3,) unit vector from tip to head, base frame."""
        w, x, y, z = self.quaternion
        return np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])

    @property
    def tilt(self) -> float:
        """rad, between its axis and straight up."""
        return float(np.arccos(np.clip(self.axis[2], -1.0, 1.0)))


@dataclass(frozen=True)
class Scene:
    """What a judge looks at.

    Attributes:
        tool: (3,) m, the tool's position, base frame.
        thing: (3,) m, the object's: the cube's centre, the point to reach, or the middle
            of the upper edge of the socket's hole.
        peg: in the task that has one.
    """

    tool: Vector
    thing: Vector
    peg: Peg | None = None


def _distance(a: Vector, b: Vector) -> float:
    return float(np.linalg.norm(a - b))


def _reach(scene: Scene) -> bool:
    return _distance(scene.tool, scene.thing) <= 0.015


def _lift_cube(scene: Scene) -> bool:
    raised: bool = scene.thing[2] - OBJECT_REST >= LIFT_HEIGHT
    return raised and _distance(scene.tool, scene.thing) <= GRASP_DISTANCE


def _push_cube(scene: Scene) -> bool:
    low: bool = scene.thing[2] <= 0.02
    return low and _distance(scene.thing[:2], np.array(GOALS["push_cube"])) <= 0.02


def _pick_place(scene: Scene) -> bool:
    low: bool = scene.thing[2] <= 0.02
    released = _distance(scene.tool, scene.thing) > GRASP_DISTANCE
    return low and released and _distance(scene.thing[:2], np.array(GOALS["pick_place"])) <= 0.025


def _insert_peg(scene: Scene) -> bool:
    assert scene.peg is not None
    depth = scene.thing[2] - scene.peg.tip[2]
    # A tip beside the hole, or through the table, is somewhere else than in the socket.
    inside = _distance(scene.peg.tip[:2], scene.thing[:2]) <= _PLAY
    upright = scene.peg.tilt <= _UPRIGHT
    return bool(inside and upright and INSERTION_DEPTH <= depth <= SOCKET_HEIGHT + 0.001)


def _lost_peg(scene: Scene) -> bool:
    """Whether the peg has left the hand, from where nobody picks it up."""
    assert scene.peg is not None
    return _distance(scene.tool, scene.peg.tip + PEG_GRIP * scene.peg.axis) > GRASP_DISTANCE


_CONDITIONS: dict[str, Callable[[Scene], bool]] = {
    "reach": _reach,
    "lift_cube": _lift_cube,
    "push_cube": _push_cube,
    "pick_place": _pick_place,
    "insert_peg": _insert_peg,
}
_FAILURES: dict[str, Callable[[Scene], bool]] = {"insert_peg": _lost_peg}


class Judge:
    """Whether a task is done, or lost, from what is seen tick by tick.

    Attributes:
        met: what is asked for holds, but maybe not for long.
        success: the task is done.
        failure: it cannot be done any more in this episode.
    """

    def __init__(self, task: str) -> None:
        if task not in _CONDITIONS:
            raise UserError(f"task '{task}' is unknown, choose from: {', '.join(TASKS)}")
        self._condition = _CONDITIONS[task]
        self._failure = _FAILURES.get(task)
        self.reset()

    def reset(self) -> None:
        """Forgets the episode."""
        self._held: float | None = None
        self.met = self.success = self.failure = False

    def update(self, scene: Scene, seconds: float) -> bool:
        """Whether the task is done now, ``seconds`` after the last call."""
        met = self._condition(scene)
        if not met:
            self._held = None
        else:
            self._held = 0.0 if self._held is None else self._held + seconds
        self.met = met
        self.success = self._held is not None and self._held >= HOLD - 1e-6
        self.failure = self._failure is not None and not met and self._failure(scene)
        return self.success
