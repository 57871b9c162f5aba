"""When a task counts as done.

Every judge asks that its condition holds for a while, so that a cube thrown through the
right place earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable

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


def _distance(a: Vector, b: Vector) -> float:
    return float(np.linalg.norm(a - b))


def _reach(tool: Vector, thing: Vector) -> bool:
    return _distance(tool, thing) <= 0.015


def _lift_cube(tool: Vector, thing: Vector) -> bool:
    raised: bool = thing[2] - OBJECT_REST >= LIFT_HEIGHT
    return raised and _distance(tool, thing) <= GRASP_DISTANCE


def _push_cube(tool: Vector, thing: Vector) -> bool:
    low: bool = thing[2] <= 0.02
    return low and _distance(thing[:2], np.array(GOALS["push_cube"])) <= 0.02


def _pick_place(tool: Vector, thing: Vector) -> bool:
    low: bool = thing[2] <= 0.02
    released = _distance(tool, thing) > GRASP_DISTANCE
    return low and released and _distance(thing[:2], np.array(GOALS["pick_place"])) <= 0.025


_CONDITIONS: dict[str, Callable[[Vector, Vector], bool]] = {
    "reach": _reach,
    "lift_cube": _lift_cube,
    "push_cube": _push_cube,
    "pick_place": _pick_place,
}


class Judge:
    """Whether a task is done, from what is seen tick by tick."""

    def __init__(self, task: str) -> None:
        if task not in _CONDITIONS:
            raise UserError(f"task '{task}' is unknown, choose from: {', '.join(TASKS)}")
        self._condition = _CONDITIONS[task]
        self.reset()

    def reset(self) -> None:
        """Forgets the episode."""
        self._held: float | None = None

    def update(self, tool: Vector, thing: Vector, seconds: float) -> bool:
        """Whether the task is done now.

        Args:
            tool: (3,) m, the tool's position, base frame.
            thing: (3,) m, the object's position, base frame.
            seconds: since the last call.
        """
        if not self._condition(tool, thing):
            self._held = None
        else:
            self._held = 0.0 if self._held is None else self._held + seconds
        return self._held is not None and self._held >= HOLD - 1e-6
