"""Simulated time of a robot that waits for each command; free of ROS."""

from __future__ import annotations

import time

from hilserl_description.arm_model import CONTROL_PERIOD

TICK = round(CONTROL_PERIOD * 1e9)
"""ns, one control tick."""

REPEAT = 0.5
"""s of wall-clock without a command, after which a frame's state is sent again: measurements are
best effort, and a node that started a moment ago may have missed it."""

ANSWER_FIRST = 0.002
"""s after the answer to a reset, and before the first frame of the new episode."""

# A new episode's first stamp leaps ahead, so that whoever follows the frames sees that
# the robot did not get there by itself.
_LEAP = 1_000_000_000
# Longer than an episode: sim time may be that far past the newest run status.
_MARGIN = 60_000_000_000


class SimTime:
    """Stamps of frames, ns. They begin at the wall clock's time, and never go back, not even
    where this process is not the run's first.

    Attributes:
        stamp: of the newest frame; 0 before the first episode.
    """

    def __init__(self) -> None:
        self.stamp = 0
        self._newest_status = 0

    def saw(self, status: int) -> None:
        """Takes note of a run status, and its stamp (ns)."""
        self._newest_status = max(self._newest_status, status)

    def begin(self) -> int:
        """The first stamp of a new episode."""
        if not self.stamp:
            after = self._newest_status + _MARGIN if self._newest_status else 0
            self.stamp = max(time.time_ns() // 1_000_000 * 1_000_000, after)
        self.stamp += _LEAP
        return self.stamp

    def tick(self) -> int:
        """The next stamp."""
        self.stamp += TICK
        return self.stamp
