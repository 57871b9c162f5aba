"""From ticks to episodes of steps, with the loop that the policy node runs; free of ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hilserl_core.episode_loop import ENDED_BY, EpisodeLoop, Executed
from hilserl_core.spec import run_spec_hash
from hilserl_core.step import Event, Observation, Outcome, Phase, Source, Step
from hilserl_description.action_mapping import ActionReader
from hilserl_replay.bag_ticks import Tick
from hilserl_replay.contract import Contract
from hilserl_replay.timeline import SECOND


class EpisodeSink(Protocol):
    """Takes episodes as they grow."""

    def write(self, step: Step) -> None:
        """A step; the first of an episode opens it."""

    def end(self, keep: bool, loop: EpisodeLoop) -> None:
        """The episode is over; kept, or thrown away."""


@dataclass
class EpisodeCounts:
    """What became of the episodes."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    steps: Counter[Source] = field(default_factory=Counter)
    short: int = 0
    clipped: int = 0
    outside: int = 0


class EpisodeMaker:
    """Cuts ticks into episodes.

    Args:
        contract: says where, and who acted.
        run: name of the run that they go to.
        sink: takes the steps.
    """

    def __init__(self, contract: Contract, run: str, sink: EpisodeSink) -> None:
        self.counts = EpisodeCounts()
        self._contract, self._terms, self._run, self._sink = contract, contract.episodes, run, sink
        self._actions = ActionReader(contract.action_spec, contract.arm)
        self._spec = run_spec_hash(contract.observation_spec, contract.action_spec)
        self._number = 0
        self._loop: EpisodeLoop | None = None
        self._newest: Tick | None = None  # of the episode under way
        self._stamp: int | None = None  # of the newest tick, in an episode or not
        self._acted: Counter[Source] = Counter()  # in the episode under way
        self._ended_by_word = False

    def take(self, tick: Tick) -> None:
        """Takes the next tick."""
        stamp = tick.observation.stamp
        paused = self._stamp is not None and stamp - self._stamp > self._terms.gap * SECOND
        self._stamp = stamp
        if self._loop is not None and (tick.reset or paused or tick.under_way is False):
            self._close(tick.events)
        for at, event in tick.events:
            if self._loop is not None:
                self._loop.event(at, event)
        if self._loop is None and not self._begins(tick, paused):
            self.counts.outside += 1
            return
        if self._loop is None:
            self._begin()
        self._add(tick)

    def finish(self, events: Sequence[tuple[int, Event]] = ()) -> None:
        """The bag is over; ``events`` came after its last tick."""
        if self._loop is not None:
            self._close(events)
        self._stamp = None
        self._ended_by_word = False

    def _begins(self, tick: Tick, paused: bool) -> bool:
        """Whether an episode begins at a tick that is in none."""
        if self._terms.resets:
            return tick.reset
        if tick.under_way is not None:
            return tick.under_way
        called = any(event in (Event.TAKEOVER, Event.RESET) for _, event in tick.events)
        return not self._ended_by_word or paused or called

    def _begin(self) -> None:
        header = Step(
            observation=Observation(0, np.zeros(0, np.float32)),
            run=self._run,
            phase=Phase[self._contract.terms.phase],
            episode=self._number,
            spec=self._spec,
        )
        seconds = self._terms.max_seconds
        steps = round(seconds * self._contract.terms.control_rate) if seconds else 2**31
        self._loop = EpisodeLoop(header, max_steps=steps)
        self._newest = None
        self._ended_by_word = False

    def _add(self, tick: Tick) -> None:
        """One more tick of the episode under way."""
        loop, last = self._loop, self._newest
        assert loop is not None
        loop.observe(tick.observation, tick.proposal)
        self._newest = tick
        steps: list[Step] = []
        if last is not None and self._contract.actions.kind != "executed":
            values, clipped = self._actions.action(last.command, tick.command)
            self.counts.clipped += clipped
            source = Source[self._contract.terms.source]
            steps += loop.executed(last.observation.stamp, Executed(values, source))
        if not self._contract.terms.rewards and last is not None:
            # Not the newest: it may turn out to be the last.
            steps += loop.judged(last.observation.stamp, 0.0)
        if tick.reward is not None:
            steps += loop.judged(tick.observation.stamp, tick.reward)
        if tick.executed is not None:
            steps += loop.executed(tick.observation.stamp, tick.executed)
        self._write(steps)
        if loop.outcome != Outcome.NONE:
            self._ended_by_word = True
            self._end()

    def _close(self, events: Sequence[tuple[int, Event]]) -> None:
        """Ends the episode under way, at its newest tick; ``events`` came after that."""
        assert self._loop is not None
        if self._terms.resets:
            # A run's own loop knew every end; what it knew none of, it gave up.
            self._write(self._loop.abort())
        else:
            words = [ENDED_BY[event] for _, event in events if event in ENDED_BY]
            self._write(self._loop.end(words[0] if words else Outcome[self._terms.outcome]))
        self._ended_by_word = False
        self._end()

    def _write(self, steps: list[Step]) -> None:
        for step in steps:
            self._sink.write(step)
            if not step.is_last:
                self._acted[step.source] += 1

    def _end(self) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None
        keep = loop.steps >= self._terms.min_steps and loop.newest >= 0
        self._sink.end(keep, loop)
        acted, self._acted = self._acted, Counter()
        if keep:
            self.counts.steps += acted
            self._number += 1
            self.counts.outcomes[loop.outcome] += 1
        else:
            self.counts.short += 1
