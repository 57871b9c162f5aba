"""Where the joints are sent each cycle: interpolated, clamped, and held when nobody commands."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

MAX_CYCLE = 0.05
"""s: a cycle that took longer moves the setpoint no further than one that took this long."""

REJOINED = 0.02
"""rad, from the command, at which a joint's setpoint has caught up with it."""


class CommandError(ValueError):
    """A command that cannot be executed."""


class Setpoint:
    """A setpoint on its way to the newest command.

    It moves so as to be there when the next command is due, no faster than the velocity
    limits allow; and slower while it catches up with a command far from where it stands,
    which is so after the torque was switched on, and after the bus was gone. Each joint
    catches up for itself: behind commands that never rest, all of them would never do at once.

    Args:
        low, high: (joints,) rad.
        velocity: (joints,) rad/s, limits.
        period: s, between commands.
        hold_after: s without a command, after which the setpoint stays where it is.
        rejoin_velocity: rad/s, while it catches up.
    """

    def __init__(
        self,
        low: ArrayLike,
        high: ArrayLike,
        velocity: ArrayLike,
        period: float,
        hold_after: float,
        rejoin_velocity: float,
    ) -> None:
        self.low, self.high = np.array(low, float), np.array(high, float)
        self.velocity = np.array(velocity, float)
        self._period, self._hold_after = period, hold_after
        self._rejoin_velocity = rejoin_velocity
        self._command = np.zeros_like(self.low)
        self._speed = np.zeros_like(self.low)
        self._commanded_at = -np.inf
        self._rejoining = np.ones(self.low.shape, bool)
        self._given_speed = False
        self.value = np.zeros_like(self.low)

    def start(self, position: ArrayLike) -> None:
        """Stands at a measured position (joints,) rad, and forgets the last command."""
        self.value = np.array(position, float)
        self._command = self.value.copy()
        self._commanded_at = -np.inf
        self._rejoining[:] = True

    def command(self, target: ArrayLike, now: float, speed: float | None = None) -> None:
        """Takes a new command (joints,) rad.

        Args:
            target: where to go; clamped to the joints' limits.
            now: s.
            speed: rad/s, of all joints, in place of the speed that the period asks for.

        Raises:
            CommandError: it is not finite, or of another number of joints.
        """
        command = np.asarray(target, float)
        if command.shape != self.low.shape:
            raise CommandError(f"{command.size} joints, send {self.low.size}")
        if not np.isfinite(command).all():
            raise CommandError(f"not finite: {command.tolist()}")
        self._command = np.clip(command, self.low, self.high)
        self._commanded_at = now
        distance = np.abs(self._command - self.value)
        self._given_speed = speed is not None
        if speed is not None:
            self._speed = np.full_like(distance, speed)
        elif self._period > 0:
            self._speed = distance / self._period
        else:
            self._speed = self.velocity.copy()

    def holds(self, now: float) -> bool:
        """Whether nobody commands."""
        return now - self._commanded_at > self._hold_after

    @property
    def arrived(self) -> bool:
        """Whether it stands where it was last sent."""
        return bool(np.abs(self._command - self.value).max() < 1e-9)

    def advance(self, now: float, seconds: float) -> Vector:
        """Moves on by the time of a cycle; returns where the joints are to be, (joints,) rad."""
        if not self.holds(now):
            limit = self.velocity
            if not self._given_speed:
                slow = np.minimum(limit, self._rejoin_velocity)
                limit = np.where(self._rejoining, slow, limit)
            step = np.minimum(self._speed, limit) * min(max(seconds, 0.0), MAX_CYCLE)
            self.value = self.value + np.clip(self._command - self.value, -step, step)
            self._rejoining &= np.abs(self._command - self.value) >= REJOINED
        return self.value
