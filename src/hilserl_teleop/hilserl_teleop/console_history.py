"""The run's curves: success and intervention by episode, and the learner's pace over time.

They are read from the run's ``history.jsonl``, so that they are whole however late the console
starts; free of ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hilserl_core.run import RunDirectory
from hilserl_core.step import Outcome, Phase

WINDOW = 20
"""Episodes of a running mean, as everywhere in a run."""
PACE_POINTS = 600
SHOWN = 500
"""Points of a curve that a page is sent at most."""

_NEEDED = {"phase", "outcome", "steps", "human_steps"}


class History:
    """Curves that grow.

    Args:
        run: the run's folder; None where it is not known.
    """

    def __init__(self, run: Path | None) -> None:
        self._run = run
        self._read_at = -1
        self._pace: deque[tuple[float, float]] = deque(maxlen=PACE_POINTS)
        self._episodes: list[dict[str, Any]] = []
        self.version = 0

    def pace(self, seconds: float, updates_per_s: float) -> None:
        """The learner's updates a second, at a time in s."""
        self._pace.append((round(seconds, 1), round(updates_per_s, 1)))
        self.version += 1

    def refresh(self) -> None:
        """Reads what the run has written since."""
        if self._run is None:
            return
        path = self._run / "history.jsonl"
        try:
            size = path.stat().st_size
        except OSError:
            return
        if size != self._read_at:
            self._read_at = size
            self._episodes = RunDirectory(self._run).read("history")
            self.version += 1

    def curves(self) -> dict[str, Any]:
        """The curves, ready for JSON."""
        return {"episodes": episode_curves(self._episodes), "pace": [list(p) for p in self._pace]}


def episode_curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Running means over training and work, and the demonstrations' outcomes left out.

    Args:
        lines: of ``history.jsonl``.

    Returns:
        ``episode``: counted from 1; ``success``: share of the last ``WINDOW``;
        ``intervention``: human steps over all steps of those; at most ``SHOWN`` points,
        the newest always among them.
    """
    wanted = (Phase.TRAIN, Phase.RUN)
    recent: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
    points: list[tuple[int, float, float]] = []
    for line in lines:
        if not line.keys() >= _NEEDED or line["phase"] not in wanted:
            continue
        if line["outcome"] == Outcome.ABORTED:
            continue
        recent.append(line)
        steps = sum(each["steps"] for each in recent)
        success = sum(each["outcome"] == Outcome.SUCCESS for each in recent) / len(recent)
        human = sum(each["human_steps"] for each in recent) / steps if steps else 0.0
        points.append((len(points) + 1, round(success, 4), round(human, 4)))
    every = -(-len(points) // SHOWN) or 1
    kept = points[::-1][::every][::-1]
    return {
        "episode": [point[0] for point in kept],
        "success": [point[1] for point in kept],
        "intervention": [point[2] for point in kept],
    }
