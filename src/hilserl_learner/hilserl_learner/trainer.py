"""Training in one process, without ROS: episodes, their steps, and the learner in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilserl_core.spec import ObservationSpec
from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step
from hilserl_learner.learner import CLONED, QUIET, Learner
from hilserl_learner.local_refresher import LocalRefresher
from hilserl_policy.weights import Policy, decode

Values = NDArray[np.float32]
Propose = Callable[[Observation], Values]


@dataclass(frozen=True)
class Result:
    """What an action led to.

    Attributes:
        reward: earned by the action, as the learner is to see it.
        success: whether the task is done.
        terminal: whether the episode has ended so that nothing more can be earned.
        over: whether it has ended at all; without ``terminal``, by a limit of time.
        score: what the action was worth by the task's own measure, for reports.
        ticks: control ticks that it took.
    """

    reward: float
    success: bool
    terminal: bool
    over: bool
    score: float = 0.0
    ticks: int = 1


def _outcome(end: Result) -> Outcome:
    if end.success:
        return Outcome.SUCCESS
    return Outcome.FAILURE if end.terminal else Outcome.TIMEOUT


class Scene(Protocol):
    """What a trainer's episodes are played in, and who acts there besides the policy."""

    def begin(self, phase: Phase, number: int, rng: np.random.Generator) -> None:
        """Starts an episode; ``rng`` draws how."""

    def observe(self, stamp: int) -> Observation:
        """What the policy sees now."""

    def drive(
        self, phase: Phase, observation: Observation, propose: Propose
    ) -> tuple[Values, Source]:
        """The action to take, in [-1, 1], and whose it is; ``propose`` asks the policy."""

    def apply(self, values: Values) -> Result:
        """Takes the action."""


@dataclass(frozen=True)
class Played:
    """One episode.

    Attributes:
        episode: its steps.
        success: whether the task was done.
        ticks: control ticks that it took.
        total, best: sum and maximum of the scores.
    """

    episode: Episode
    success: bool
    ticks: int
    total: float
    best: float

    @classmethod
    def of(cls, episode: Episode, results: Sequence[Result]) -> Played:
        """An episode, and what each of its actions led to."""
        scores = [result.score for result in results]
        ticks = sum(result.ticks for result in results)
        return cls(episode, results[-1].success, ticks, sum(scores), max(scores))

    @property
    def steps(self) -> int:
        """Actions taken."""
        return self.episode.transitions

    @property
    def human(self) -> int:
        """Of these, a person's."""
        return self.episode.count(Source.HUMAN)


class Trainer:
    """Plays episodes in a scene and hands their steps to the learner, which works in between.

    Args:
        learner: what learns.
        scene: what the episodes are played in.
        observation: the run's spec.
        seed: of the episodes and of exploration.
        mean: evaluate the mean action instead of a sampled one.
        refresher: trains the encoder on the episodes that are learned from, where the learner
            needs one.
    """

    def __init__(
        self,
        learner: Learner,
        scene: Scene,
        observation: ObservationSpec,
        seed: int,
        mean: bool = False,
        refresher: LocalRefresher | None = None,
    ) -> None:
        self.learner, self.scene, self._refresher = learner, scene, refresher
        self.steps = 0  # actions taken while training
        self.ticks = 0  # control ticks that they took
        self.seconds = 0.0  # of wall-clock spent on training, evaluations not included
        self.learning = 0.0  # of these, in the learner
        self.processor_seconds = 0.0  # of processor time for the training
        self._observation, self._seed, self._mean = observation, seed, mean
        self._policy: Policy | None = None
        self._learned, self._evaluated = 0, 0  # episodes so far

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to learn: the algorithm was cloning alone."""
        return self.learner.stage == CLONED

    def episode(self, phase: Phase) -> Played:
        """Plays one episode; in RECORD and TRAIN its steps reach the learner as they happen.

        The n-th episode starts the same way whatever was learned before; those that are
        evaluated have numbers of their own.
        """
        number = self._number(phase)
        rng = np.random.default_rng([self._seed, int(phase), number])
        self.scene.begin(phase, number, rng)
        propose = self._proposer(phase, rng)
        spec = self.learner.experience.spec
        steps: list[Step] = []
        results: list[Result] = []
        while not results or not results[-1].over:
            observation = self.scene.observe(len(steps))
            values, source = self.scene.drive(phase, observation, propose)
            results.append(self.scene.apply(values))
            step = Step(
                observation,
                values,
                source=source,
                reward=results[-1].reward,
                is_first=not steps,
                phase=phase,
                episode=number,
                index=len(steps),
                spec=spec,
            )
            steps.append(step)
            self._take(step)
        end = results[-1]
        last = Step(
            self.scene.observe(len(steps)),
            is_last=True,
            is_terminal=end.terminal,
            outcome=_outcome(end),
            phase=phase,
            episode=number,
            index=len(steps),
            spec=spec,
        )
        self._take(last)
        episode = Episode((*steps, last))
        self._show(episode)
        return Played.of(episode, results)

    def _number(self, phase: Phase) -> int:
        """The number of a new episode."""
        if phase == Phase.EVALUATE:
            self._evaluated += 1
            return self._evaluated - 1
        self._learned += 1
        return self._learned - 1

    def _proposer(self, phase: Phase, rng: np.random.Generator) -> Propose:
        """Asks the newest policy."""
        # Cloning alone has no entropy that would make its spread mean anything.
        cloning = self.learner.parameters.algorithm != "rlpd"
        deterministic = self._mean if phase == Phase.EVALUATE else cloning

        def propose(observation: Observation) -> Values:
            assert self._policy is not None, "start() comes first"
            return self._policy.act(self._observation, observation, rng, deterministic)[0]

        return propose

    def _take(self, step: Step) -> None:
        if step.phase == Phase.EVALUATE:
            return
        self.learner.experience.add(step)
        if step.phase == Phase.TRAIN:
            self._learn()

    def _show(self, episode: Episode) -> None:
        """Lets the encoder learn from an episode, too."""
        if self._refresher is not None and episode.steps[0].phase != Phase.EVALUATE:
            self._refresher.add(episode)

    def _learn(self) -> None:
        """Does all the work that is due, and takes the newest policy."""
        start = time.perf_counter()
        while self.learner.work():
            pass
        self.learning += time.perf_counter() - start
        policy = self.learner.policy
        assert policy is not None
        if self._policy is None or self._policy.version != policy.version:
            self._policy = self._decoded(policy.data)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - wall
        self.processor_seconds += time.process_time() - processor

    def demonstrate(self, episodes: Sequence[Episode]) -> None:
        """Hands demonstrations that were recorded before to the learner."""
        for episode in episodes:
            number = self._number(Phase.RECORD)
            steps = [replace(step, phase=Phase.RECORD, episode=number) for step in episode.steps]
            for step in steps:
                self._take(step)
            self._show(Episode(tuple(steps)))

    def start(self) -> None:
        """Ends the demonstrations: clones them, and warms the critics up."""
        self.learner.phase = Phase.TRAIN
        self.learner.last_step = -QUIET  # here, nothing can be on its way any more
        with self._timed():
            self._learn()

    def train(self) -> Played:
        """Plays one training episode, and learns from it."""
        with self._timed():
            played = self.episode(Phase.TRAIN)
        self.steps += played.steps
        self.ticks += played.ticks
        return played

    def evaluate(self, episodes: int, policy: bytes | None = None) -> list[Played]:
        """Plays episodes that the learner does not see.

        Args:
            policy: encoded weights; None: the newest.
        """
        newest = self._policy
        if policy is not None:
            self._policy = self._decoded(policy)
        try:
            return [self.episode(Phase.EVALUATE) for _ in range(episodes)]
        finally:
            self._policy = newest

    def _decoded(self, data: bytes) -> Policy:
        return decode(data, self.learner.experience.spec, known=self._policy)
