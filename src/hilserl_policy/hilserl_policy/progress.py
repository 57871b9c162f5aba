"""Where a run stands, kept on disk as it goes; free of ROS."""

from __future__ import annotations

from pathlib import Path

from hilserl_core.run import RunDirectory
from hilserl_core.step import Phase
from hilserl_policy.parameters import PolicyParameters
from hilserl_policy.schedule import EpisodeSummary, Schedule


class RunProgress:
    """The schedule of a run's folder, and the numbers of its next episodes.

    What ended is written down, and read back when the node starts anew.

    Attributes:
        last_outcome: of the newest episode; 0 before the first.
    """

    def __init__(self, parameters: PolicyParameters) -> None:
        given = parameters.demonstrations
        demonstrations = RunDirectory(Path(given)).read("history") if given else []
        self.directory = RunDirectory(Path(parameters.run))
        self.schedule = Schedule(parameters, map(EpisodeSummary.read, demonstrations))
        self.last_outcome = 0
        for record in self.directory.read("history"):
            self.schedule.ended(EpisodeSummary.read(record))
        self._next = {
            evaluation: self.directory.next_episode(phase)
            for evaluation, phase in ((False, Phase.TRAIN), (True, Phase.EVALUATE))
        }

    def number(self, phase: Phase) -> int:
        """Of the next episode: evaluations are counted apart from the others."""
        return self._next[phase == Phase.EVALUATE]

    def ended(self, summary: EpisodeSummary, began: bool) -> None:
        """Takes an episode that has ended.

        Args:
            summary: of the schedule's phase.
            began: whether it has an observation; one that has none leaves its number free.
        """
        if began:
            self._next[summary.phase == Phase.EVALUATE] = summary.episode + 1
        self.last_outcome = summary.outcome
        known = len(self.schedule.evaluations)
        self.directory.append("history", summary.record())
        self.schedule.ended(summary)
        for result in self.schedule.evaluations[known:]:
            self.directory.append("evaluations", result.record())
