"""One episode, tick by tick: pairs what arrives by stamp and emits steps; free of ROS.

The policy node does so while the arm moves, and the converter from a bag of what was measured.

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


@dataclass(frozen=True)
class Proposal:
    """What the policy says to an observation.

    Attributes:
        values: (dim,) float32, the action; zeros where no policy acts.
        features: of the images: float16, little-endian; empty without an encoder.
        encoder: hash of the encoder that made them.
        version: of the policy.
    """

    values: NDArray[np.float32]
    features: bytes = b""
    encoder: str = ""
    version: int = 0


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


_Verdict = tuple[float, bool, Outcome]
"""Reward, terminal and outcome."""

# What an operator's word makes of an episode.
_WORDS: dict[Event, _Verdict] = {
    Event.SUCCESS: (1.0, True, Outcome.SUCCESS),
    Event.FAILURE: (-1.0, True, Outcome.FAILURE),
    Event.DISCARD: (0.0, False, Outcome.ABORTED),
    Event.RESET: (0.0, False, Outcome.ABORTED),
    Event.STOP: (0.0, False, Outcome.ABORTED),
}
_ENDS: dict[Outcome, _Verdict] = {
    Outcome.SUCCESS: _WORDS[Event.SUCCESS],
    Outcome.FAILURE: _WORDS[Event.FAILURE],
    Outcome.TIMEOUT: (0.0, False, Outcome.TIMEOUT),
    Outcome.ABORTED: _WORDS[Event.DISCARD],
}
ENDED_BY = {event: outcome for event, (_, _, outcome) in _WORDS.items()}
"""How an episode ends by an operator's word."""


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
    _word: tuple[int, _Verdict] | None = None

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
            self._word = (stamp, _WORDS[event])

    def end(self, outcome: Outcome) -> list[Step]:
        """Ends the episode at its newest observation, as it is known afterwards to have ended.

        For a recording in which nobody said so while it went on. That observation must not
        have been judged yet; without two of them nothing is emitted.
        """
        self._word = (self.newest - 1, _ENDS[outcome])
        steps = self.judged(self.newest, 0.0)
        self.outcome = self.outcome or Outcome.ABORTED
        return steps

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

    def _verdict(self, tick: _Tick) -> _Verdict:
        """What the observation says of the action before it: reward, terminal, outcome."""
        if self._word is not None and self._word[0] < tick.observation.stamp:
            return self._word[1]
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
