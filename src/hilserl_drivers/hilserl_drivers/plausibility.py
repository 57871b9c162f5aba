"""Which readings are believed.

A checksum lets one damaged packet in some through: one in 65,536 with Protocol 2.0, one in
256 with Feetech's. A joint cannot jump, so most of those show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilserl_drivers.bus import Reading
from hilserl_drivers.registers import Model

JUMP = 0.05
"""rad that a reading may differ from what the velocities explain."""

CONFIRMATIONS = 3
"""Readings in a row, each explained by the one before, that overrule the last believed one."""

_TEMPERATURE = (-20.0, 120.0)  # degrees Celsius that a sensor can show
_HIGHEST_VOLTAGE = 26.0
_PUSHED = 1.5  # A person can turn a servo faster than it can turn itself.
_LAG = 0.5  # Share by which a measured velocity may be off: servos smooth theirs.


@dataclass(frozen=True)
class _Sample:
    reading: Reading
    time: float


class Plausibility:
    """Judges one servo's readings."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._fastest = _PUSHED * model.no_load_speed
        self._believed: _Sample | None = None
        self._candidate: _Sample | None = None
        self._confirmed = 0
        self.rejected = 0

    def reset(self) -> None:
        """Forgets what was: the next possible reading is believed."""
        self._believed = self._candidate = None
        self._confirmed = 0

    def accept(self, reading: Reading, now: float) -> bool:
        """Whether to believe a reading taken at ``now``, s."""
        sample = _Sample(reading, now)
        if reading.doubtful or not self.possible(reading):
            self.rejected += 1
            return False
        if self._believed is None or self._explained(self._believed, sample):
            self._believe(sample)
            return True
        if self._candidate is not None and self._explained(self._candidate, sample):
            self._confirmed += 1
        else:
            self._confirmed = 1
        self._candidate = sample
        if self._confirmed >= CONFIRMATIONS:
            self._believe(sample)
            return True
        self.rejected += 1
        return False

    def possible(self, reading: Reading) -> bool:
        """Whether a servo of this model can measure that at all."""
        limits = (
            (reading.velocity, 2 * self._fastest),
            (reading.current, 2 * self._model.stall_current),
            (reading.load, 1.2),
        )
        return (
            all(math.isnan(value) or abs(value) <= limit for value, limit in limits)
            and 0.0 <= reading.voltage <= _HIGHEST_VOLTAGE
            and _TEMPERATURE[0] <= reading.temperature <= _TEMPERATURE[1]
        )

    def _explained(self, before: _Sample, after: _Sample) -> bool:
        seconds = max(0.0, after.time - before.time)
        slow, fast = sorted((before.reading.velocity, after.reading.velocity))
        lag = _LAG * max(abs(slow), abs(fast))
        low = max(slow - lag, -self._fastest) * seconds - JUMP
        high = min(fast + lag, self._fastest) * seconds + JUMP
        return low <= after.reading.position - before.reading.position <= high

    def _believe(self, sample: _Sample) -> None:
        self._believed, self._candidate, self._confirmed = sample, None, 0
