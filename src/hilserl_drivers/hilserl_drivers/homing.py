"""The way home, and whether the arm got there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.12
"""rad, that a joint under load may stay away from where it is sent."""

SETTLE_SECONDS = 1.5
"""s that it may take to get there after its setpoint has."""


LONGEST = 25.0
"""s, which is less than the mux waits for."""


class Homing:
    """One motion home.

    Attributes:
        target: (joints,) rad.
        done: whether it has ended, well or not.
        problem: why it did not end well; empty where it did.
    """

    def __init__(self, joints: Sequence[str], target: NDArray[np.float64], now: float) -> None:
        self.target = target
        self.done = False
        self.problem = ""
        self._joints = joints
        self._deadline = now + LONGEST
        self._arrived_at: float | None = None

    def update(self, arrived: bool, position: NDArray[np.float64], now: float) -> None:
        """Looks whether it is there.

        Args:
            arrived: whether the setpoint is.
            position: (joints,) rad, measured.
            now: s.
        """
        if not arrived or self.done:
            return
        if self._arrived_at is None:
            self._arrived_at = now
        away = np.abs(position - self.target)
        if away.max() <= TOLERANCE:
            self.done = True
        elif now - self._arrived_at > SETTLE_SECONDS:
            worst = int(away.argmax())
            self.fail(
                f"{self._joints[worst]} stays {away[worst]:.2f} rad away from home: clear what "
                "is in the arm's way, then reset again"
            )

    def overdue(self, now: float) -> bool:
        """Whether it takes too long: the arm may be gone."""
        return now > self._deadline

    def fail(self, problem: str) -> None:
        """Ends it."""
        self.done, self.problem = True, problem
