"""How often something comes."""

from __future__ import annotations

from collections import deque

from hilserl_camera.source import Clock

REMEMBERED = 90
SILENT = 2.0
"""s without one, after which the rate is 0."""


class Rate:
    """Of the last frames.

    Args:
        clock: s, as ``time.monotonic``.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock()
        self._times: deque[float] = deque(maxlen=REMEMBERED)

    def tick(self) -> None:
        """One came."""
        self._last = self._clock()
        self._times.append(self._last)

    def restart(self) -> None:
        """What came before does not count."""
        self._times.clear()

    def hertz(self) -> float:
        """Of those that came; 0 where they have stopped."""
        times = list(self._times)
        if len(times) < 2 or self.age() > SILENT:
            return 0.0
        return (len(times) - 1) / max(1e-9, times[-1] - times[0])

    def age(self) -> float:
        """s since the last came; where none did, since the start."""
        return self._clock() - self._last
