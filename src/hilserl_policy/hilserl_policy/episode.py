"""One episode, tick by tick: pairs what arrives by stamp and emits steps; free of ROS.

A step is complete, and emitted, once its action was executed, the next observation was
made and that observation judged. Nothing is paired by arrival.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hilserl_core.spec import GRIPPER_STAY, gripper_choice
from hilserl_core.step import Event, Observation, Outcome, Phase, Source, Step
from hilserl_policy.actor import Proposal


@dataclass(frozen=True)
class Executed:
    """The mux's answer to an observation."""

    action: NDArray[np.float32]
    source: Source


@dataclass
class _Tick:
    """One observation and what has arrived for it."""

    observation: Observation
    proposal: Proposal
    executed: Executed | None = None
    reward: float | None = None


# What an operator's word makes of an episode: (reward, terminal, outcome).
_WORDS = {
    Event.SUCCESS: (1.0, True, Outcome.SUCCESS),
    Event.FAILURE: (-1.0, True, Outcome.FAILURE),
    Event.DISCARD: (0.0, False, Outcome.ABORTED),
    Event.RESET: (0.0, False, Outcome.ABORTED),
    Event.STOP: (0.0, False, Outcome.ABORTED),
}


@dataclass
class EpisodeLoop:
    """Collects one episode.

    Attributes:
        header: the step that others are made from: run, phase, episode, spec.
        max_steps: transitions until a time-out.
        outcome: NONE while the episode goes on.
        reward: earned so far.
        gripper_actions: steps whose action closed or opened the gripper.
    """

    header: Step
    max_steps: int
    outcome: Outcome = Outcome.NONE
    steps: int = 0
    human_steps: int = 0
    reward: float = 0.0
    gripper_actions: int = 0
    _ticks: deque[_Tick] = field(default_factory=deque)
    _word: tuple[int, Event] | None = None

    @property
    def newest(self) -> int:
        """Stamp of the newest observation, ns; -1 before the first."""
        return self._ticks[-1].observation.stamp if self._ticks else -1

    @property
    def waiting(self) -> bool:
        """Whether the newest observation's action has not been answered yet."""
        return bool(self._ticks) and self._ticks[-1].executed is None

    def observe(self, observation: Observation, proposal: Proposal) -> None:
        """Takes a tick's observation and what the policy proposed for it."""
        if observation.stamp > self.newest:
            self._ticks.append(_Tick(observation, proposal))

    def executed(self, stamp: int, executed: Executed) -> list[Step]:
        """Takes the executed action of the observation of ``stamp``."""
        for tick in self._ticks:
            if tick.observation.stamp == stamp and tick.executed is None:
                tick.executed = executed
        return self._complete()

    def judged(self, stamp: int, reward: float) -> list[Step]:
        """Takes the judgement of the observation of ``stamp``."""
        for tick in self._ticks:
            if tick.observation.stamp == stamp:
                tick.reward = reward
        return self._complete()

    def event(self, stamp: int, event: Event) -> None:
        """Takes the operator's word; it beats the judge's from the next observation on."""
        if event in _WORDS:
            self._word = (stamp, event)

    def abort(self) -> list[Step]:
        """Ends the episode at its newest complete step; the last observation closes it."""
        if self.outcome != Outcome.NONE or not self._ticks:
            self.outcome = self.outcome or Outcome.ABORTED
            return []
        return [self._last(self._ticks[0], terminal=False, outcome=Outcome.ABORTED)]

    def _complete(self) -> list[Step]:
        """Emits every step that has become complete, and the last where the episode ends."""
        result: list[Step] = []
        while self.outcome == Outcome.NONE and len(self._ticks) >= 2:
            tick, following = self._ticks[0], self._ticks[1]
            if tick.executed is None or following.reward is None:
                break
            reward, terminal, outcome = self._verdict(following)
            result.append(self._step(tick, tick.executed, reward))
            self._ticks.popleft()
            if outcome != Outcome.NONE:
                result.append(self._last(following, terminal, outcome))
        return result

    def _verdict(self, tick: _Tick) -> tuple[float, bool, Outcome]:
        """What the observation says of the action before it: reward, terminal, outcome."""
        if self._word is not None and self._word[0] < tick.observation.stamp:
            return _WORDS[self._word[1]]
        assert tick.reward is not None
        if tick.reward > 0:
            return tick.reward, True, Outcome.SUCCESS
        if tick.reward < 0:
            return tick.reward, True, Outcome.FAILURE
        timeout = self.steps + 1 >= self.max_steps
        return 0.0, False, Outcome.TIMEOUT if timeout else Outcome.NONE

    def _step(self, tick: _Tick, executed: Executed, reward: float) -> Step:
        source = executed.source
        if self.header.phase == Phase.RECORD and source == Source.HUMAN:
            source = Source.OFFLINE  # A demonstration: prior data, not a correction.
        step = replace(
            self.header,
            observation=tick.observation,
            action=executed.action,
            policy_action=tick.proposal.values,
            features=tick.proposal.features,
            encoder=tick.proposal.encoder,
            source=source,
            reward=reward,
            is_first=self.steps == 0,
            index=self.steps,
            policy_version=tick.proposal.version,
        )
        self.steps += 1
        self.human_steps += executed.source == Source.HUMAN
        self.reward += reward
        gripper = gripper_choice(executed.action[-1:])  # none of an action without numbers
        self.gripper_actions += int((gripper != GRIPPER_STAY).sum())
        return step

    def _last(self, tick: _Tick, terminal: bool, outcome: Outcome) -> Step:
        self.outcome = outcome
        return replace(
            self.header,
            observation=tick.observation,
            features=tick.proposal.features,
            encoder=tick.proposal.encoder,
            is_first=self.steps == 0,
            is_last=True,
            is_terminal=terminal,
            outcome=outcome,
            index=self.steps,
            policy_version=tick.proposal.version,
        )
