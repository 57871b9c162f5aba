"""When an episode does not get on, and what it lacks; free of ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Stall:
    """Keeps the times, s, at which an episode last got on.

    Attributes:
        limit: s of waiting after which the episode is given up.
    """

    limit: float
    _ticked: float = 0.0
    _judged: float = 0.0

    def begin(self, now: float) -> None:
        """An episode begins."""
        self._ticked = self._judged = now

    def ticked(self, now: float) -> None:
        """An observation was made."""
        self._ticked = now

    def judged(self, now: float) -> None:
        """An observation was judged."""
        self._judged = now

    def reason(self, now: float, silent: Sequence[str]) -> str:
        """Why the episode has to be given up; empty where it gets on.

        Args:
            now: s.
            silent: topics of measurements that are late.
        """
        if self._judged < self._ticked and now - self._judged > self.limit:
            # Nobody may invent a reward: without one no step is whole.
            return f"no judgement on topic reward for {self.limit:g} s: is the judge well?"
        if now - self._ticked <= self.limit:
            return ""
        nothing = f": nothing new on {', '.join(silent)}" if silent else ""
        return f"no complete tick for {self.limit:g} s{nothing}"
