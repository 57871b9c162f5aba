"""What comes next in a run: demonstrations, training, evaluations; free of ROS.

The schedule is a function of the episodes that have ended. They are written down as they
end (``history.jsonl``), so that a policy node that starts anew goes on where it was.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hilserl_core.episode_loop import EpisodeLoop
from hilserl_core.run import WINDOW
from hilserl_core.step import Outcome, Phase
from hilserl_policy.parameters import PolicyParameters


@dataclass(frozen=True)
class EpisodeSummary:
    """One episode that has ended.

    Attributes:
        duration: s, from the first observation to the last.
        wall: s of wall-clock time that it took, its reset included.
        reward: the sum of the rewards.
        gripper_actions: steps whose action closed or opened the gripper.
        weights_age: s, from the arrival of the weights to when they acted, the mean over the
            steps; None where none did.
        lateness: s, of the latest tick; None in lockstep, where no time is kept.
    """

    phase: int
    episode: int
    outcome: int
    steps: int
    human_steps: int
    duration: float
    wall: float
    policy_version: int = 0
    reward: float = 0.0
    gripper_actions: int = 0
    weights_age: float | None = None
    lateness: float | None = None

    @classmethod
    def of(cls, loop: EpisodeLoop, control_rate: float, **rest: Any) -> EpisodeSummary:
        """What a loop has collected, at ``control_rate`` ticks a second; ``rest``: other fields."""
        return cls(
            phase=int(loop.header.phase),
            episode=loop.header.episode,
            outcome=int(loop.outcome),
            steps=loop.steps,
            human_steps=loop.human_steps,
            duration=loop.steps / control_rate,
            reward=loop.reward,
            gripper_actions=loop.gripper_actions,
            **rest,
        )

    @property
    def success(self) -> bool:
        return self.outcome == Outcome.SUCCESS

    def record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> EpisodeSummary:
        """Reads a line of ``history.jsonl``; those of older versions hold fewer figures."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__ if name in record})


@dataclass(frozen=True)
class EvaluationResult:
    """One evaluation, whole or given up because it could no longer pass."""

    first_episode: int
    episodes: int
    successes: int
    policy_version: int
    whole: bool

    @property
    def success_rate(self) -> float:
        return self.successes / self.episodes if self.episodes else 0.0

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "success_rate": self.success_rate}


def intervention_rate(episodes: list[EpisodeSummary]) -> float:
    """Intervened steps over all steps; nan without any."""
    steps = sum(episode.steps for episode in episodes)
    return sum(episode.human_steps for episode in episodes) / steps if steps else float("nan")


def success_rate(episodes: list[EpisodeSummary]) -> float:
    """Share of successes; nan without any episode."""
    return statistics.fmean(e.success for e in episodes) if episodes else float("nan")


class Schedule:
    """Decides the phase of the next episode.

    Attributes:
        phase: of the next episode.
        evaluations: those that have ended.
    """

    def __init__(
        self, parameters: PolicyParameters, demonstrations: Iterable[EpisodeSummary] = ()
    ) -> None:
        """Starts a run.

        Args:
            parameters: the policy node's.
            demonstrations: episodes of another run whose demonstrations this one uses.
        """
        self._p = parameters
        self._recent: deque[EpisodeSummary] = deque(maxlen=WINDOW)
        self._demonstration_cycles = [
            e.duration for e in demonstrations if e.phase == Phase.RECORD and e.success
        ]
        self._since_evaluation = 0
        self._in_row = 0
        self._forced = False
        self._evaluation: list[EpisodeSummary] = []
        self.evaluations: list[EvaluationResult] = []
        self.in_phase = 0
        self.trained = 0
        self.steps = 0
        self.aborted = 0
        self.train_wall = 0.0
        self.phase = self._first_phase()

    def _first_phase(self) -> Phase:
        if self._p.mode == "run":
            return Phase.RUN
        if self._p.demos > 0:
            return Phase.RECORD
        return self._after_demonstrations()

    def _after_demonstrations(self) -> Phase:
        if self._p.mode == "record":
            return Phase.DONE
        if self._p.algorithm == "bc":
            self._forced = True
            return Phase.EVALUATE
        return Phase.TRAIN

    @property
    def recent(self) -> list[EpisodeSummary]:
        """The last 20 episodes of the phase, without discarded ones."""
        if self.phase == Phase.EVALUATE:
            return self._evaluation
        return [episode for episode in self._recent if episode.phase == self.phase]

    @property
    def evaluation_whole(self) -> bool:
        """Whether the evaluation goes on to its end whatever comes of it."""
        return self._forced

    @property
    def planned(self) -> int:
        """Episodes planned in this phase; 0 where a criterion ends it."""
        return {
            Phase.RECORD: self._p.demos,
            Phase.EVALUATE: self._p.evaluation_episodes,
            Phase.RUN: self._p.episodes,
        }.get(self.phase, 0)

    @property
    def time_left(self) -> float:
        """Wall-clock s until the limit of training; nan outside of it."""
        if self.phase not in (Phase.TRAIN, Phase.EVALUATE):
            return float("nan")
        return max(0.0, 60 * self._p.train_minutes - self.train_wall)

    def waited(self, seconds: float) -> None:
        """Counts wall-clock time of training outside of episodes (the learner's start)."""
        if self.phase in (Phase.TRAIN, Phase.EVALUATE):
            self.train_wall += seconds

    def ended(self, episode: EpisodeSummary) -> None:
        """Takes an episode of this phase and moves on where the phase is over."""
        self.steps += episode.steps
        if self.phase in (Phase.TRAIN, Phase.EVALUATE):
            self.train_wall += episode.wall
        if episode.outcome == Outcome.ABORTED:
            self.aborted += 1
            return  # Discarded, or a node died: it counts for nothing, and is done again.
        self._recent.append(episode)
        if self.phase == Phase.RECORD:
            self._end_demonstration(episode)
        elif self.phase == Phase.TRAIN:
            self._end_training(episode)
        elif self.phase == Phase.EVALUATE:
            self._end_evaluation(episode)
        elif self.phase == Phase.RUN:
            self.in_phase += 1
            if self.in_phase == self._p.episodes:
                self._enter(Phase.DONE)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.in_phase = 0
        self._evaluation = []

    def _end_demonstration(self, episode: EpisodeSummary) -> None:
        if not episode.success:
            return  # A failed attempt is no demonstration.
        self.in_phase += 1
        self._demonstration_cycles.append(episode.duration)
        if self.in_phase >= self._p.demos:
            self._enter(self._after_demonstrations())

    def _end_training(self, episode: EpisodeSummary) -> None:
        self.in_phase += 1
        self._since_evaluation += 1
        self.trained += 1
        if self.trained == self._p.train_episodes or self.time_left <= self._evaluation_seconds(
            episode
        ):
            self._forced = True
            self._enter(Phase.EVALUATE)
        elif self._ready():
            self._enter(Phase.EVALUATE)

    def _evaluation_seconds(self, episode: EpisodeSummary) -> float:
        """What two evaluations will take, by the pace of the episodes at hand."""
        walls = [e.wall for e in self.recent] or [episode.wall]
        return 2 * self._p.evaluation_episodes * statistics.fmean(walls)

    def _ready(self) -> bool:
        """Whether training looks good enough to be worth an evaluation."""
        recent = self.recent
        if self._since_evaluation < WINDOW or len(recent) < WINDOW:
            return False
        alone = statistics.fmean(e.success and not e.human_steps for e in recent)
        if alone < self._p.training_success:
            return False
        if intervention_rate(recent) >= self._p.target_intervention:
            return False
        if self._p.cycle_ratio and self._demonstration_cycles:
            cycles = [e.duration for e in recent if e.success]
            limit = self._p.cycle_ratio * statistics.median(self._demonstration_cycles)
            return bool(cycles) and statistics.median(cycles) <= limit
        return True

    def _end_evaluation(self, episode: EpisodeSummary) -> None:
        self.in_phase += 1
        self._evaluation.append(episode)
        planned = self._p.evaluation_episodes
        failures = sum(not e.success for e in self._evaluation)
        hopeless = (planned - failures) / planned < self._p.target_success
        whole = len(self._evaluation) >= planned
        if not whole and (self._forced or not hopeless):
            return
        result = EvaluationResult(
            first_episode=self._evaluation[0].episode,
            episodes=len(self._evaluation),
            successes=len(self._evaluation) - failures,
            policy_version=episode.policy_version,
            whole=whole,
        )
        self.evaluations.append(result)
        self._in_row = self._in_row + 1 if self._forced or not hopeless else 0
        self._since_evaluation = 0
        if self._in_row >= 2:
            self._enter(Phase.DONE)
        else:
            self._enter(Phase.EVALUATE if self._in_row else Phase.TRAIN)
