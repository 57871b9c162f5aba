"""How well a control loop keeps its time; free of ROS."""

from __future__ import annotations

from collections import deque

import numpy as np


class Punctuality:
    """Lateness of a timer's ticks against the even grid that they should keep.

    Args:
        period: between two ticks, s.
        window: ticks that the figures are made of, the newest.
    """

    def __init__(self, period: float, window: int = 10_000) -> None:
        self._period = period
        self._late: deque[float] = deque(maxlen=window)
        self.restart()

    def restart(self) -> None:
        """Forgets everything."""
        self._late.clear()
        self.ticks = 0
        self.missed = 0
        self.blind = 0
        self._worst: float | None = None
        self.pause()

    def pause(self) -> None:
        """What lies between here and the next tick is not part of the loop."""
        self._due: float | None = None

    def tick(self, now: float, until_next: float) -> None:
        """A tick has begun; those that should have come since the last one were missed.

        Args:
            now: monotonic, s.
            until_next: to the grid's next point, s.
        """
        late = max(0.0, self._period - until_next)
        due = now - late
        if self._due is not None:
            self.missed += max(0, round((due - self._due) / self._period) - 1)
        self._due = due
        self.ticks += 1
        self._late.append(late)
        self._worst = max(late, self._worst or 0.0)

    def nothing_new(self) -> None:
        """The tick came, and found no new measurement, or too old ones, to act on."""
        self.blind += 1

    def take_worst(self) -> float | None:
        """Lateness of the latest tick since the last call, s; None without any tick."""
        worst, self._worst = self._worst, None
        return worst

    def values(self) -> dict[str, object]:
        """Figures for the diagnostics; none before the first tick."""
        if not self._late:
            return {}
        late = 1e3 * np.array(self._late)
        return {
            "ticks": self.ticks,
            "ticks missed": self.missed,
            "ticks without new measurements": self.blind,
            "tick lateness p99 (ms)": round(float(np.percentile(late, 99)), 3),
            "tick lateness max (ms)": round(float(late.max()), 3),
        }
