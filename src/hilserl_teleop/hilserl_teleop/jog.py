"""Jogging: what a person asks of the hand by directions, free of keys, pages and of ROS.

A device says which way and until when; this turns it into the action of each tick. A wish
counts for one action at least, however short it was: a tap moves the arm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ARM_AXES = {"ee_delta": 3, "joint_delta": 5}
"""Numbers of an action but the gripper's, of each action space."""
GRIPPER = -1
"""The gripper's axis: the last of any action."""
SPEEDS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the fastest motion that a device steps through."""


class Jog:
    """The wishes on each axis, and the action that they make.

    Attributes:
        speed: share of the fastest motion that a full wish asks for; the gripper has none.

    Args:
        speed: at the start.
        space: the run's action space, one of ``ARM_AXES``.
    """

    def __init__(self, speed: float = 0.5, space: str = "ee_delta") -> None:
        self.speed = speed
        self._dim = ARM_AXES[space] + 1
        self._amount = [0.0] * self._dim
        self._until = [-np.inf] * self._dim
        self._owed = [0] * self._dim

    def ask(self, axis: int, amount: float, until: float = -np.inf, ticks: int = 1) -> None:
        """Wants motion.

        Args:
            axis: index into the action; ``GRIPPER`` for the gripper.
            amount: in [-1, 1]: direction, and share of the speed.
            until: s, when the wish ends.
            ticks: actions that it counts for at least.
        """
        self._amount[axis], self._until[axis], self._owed[axis] = amount, until, ticks

    def keep(self, axis: int, until: float) -> None:
        """The wish on an axis ends then, later or sooner; what it counts for at least stays."""
        self._until[axis] = until

    def amount(self, axis: int, now: float) -> float:
        """What is wanted on an axis at ``now``, s; 0: nothing."""
        wanted = self._owed[axis] > 0 or now <= self._until[axis]
        return self._amount[axis] if wanted else 0.0

    def values(self, now: float) -> NDArray[np.float32]:
        """The action of this tick: (dim,) in [-1, 1], the gripper's last.

        Args:
            now: s, of the clock of ``until``.
        """
        result = np.array([self.amount(axis, now) for axis in range(self._dim)], np.float32)
        result[:GRIPPER] *= self.speed
        self._owed = [max(0, owed - 1) for owed in self._owed]
        return result

    def faster(self) -> None:
        """The next higher of ``SPEEDS``."""
        self.speed = min((s for s in SPEEDS if s > self.speed), default=SPEEDS[-1])

    def slower(self) -> None:
        """The next lower of ``SPEEDS``."""
        self.speed = max((s for s in SPEEDS if s < self.speed), default=SPEEDS[0])

    def clear(self) -> None:
        """Forgets every wish: none was meant for whoever drives next."""
        self._until = [-np.inf] * self._dim
        self._owed = [0] * self._dim
