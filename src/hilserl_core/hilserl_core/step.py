"""The unit of experience: a step, and episodes of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Source(enum.IntEnum):
    """Who acted on a step."""

    POLICY = 0
    HUMAN = 1
    OFFLINE = 2


class Outcome(enum.IntEnum):
    """How an episode ended; NONE before its last step."""

    NONE = 0
    SUCCESS = 1
    FAILURE = 2
    TIMEOUT = 3
    ABORTED = 4


class Phase(enum.IntEnum):
    """What an episode is for."""

    RECORD = 0
    TRAIN = 1
    EVALUATE = 2
    RUN = 3
    DONE = 4


class Event(enum.IntEnum):
    """What an operator decided."""

    TAKEOVER = 0
    RELEASE = 1
    SUCCESS = 2
    FAILURE = 3
    DISCARD = 4
    RESET = 5
    STOP = 6


def name_of(kind: type[enum.IntEnum], number: int) -> str:
    """What a message's number means, for a person to read, also where it means nothing here."""
    known = {int(member): member.name.lower() for member in kind}
    return known.get(number, f"{kind.__name__.lower()} {number}")


@dataclass(frozen=True)
class Observation:
    """What the policy sees at one control tick.

    Attributes:
        stamp: ns, when the newest part of it was measured.
        state: (state_dim,) float32, physical units, after the run's ObservationSpec.
        images: (height, width, 3) uint8 rgb each, in the order of the spec.
    """

    stamp: int
    state: NDArray[np.float32]
    images: tuple[NDArray[np.uint8], ...] = ()


_EMPTY = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Step:
    """An observation, the action taken on it and what that earned, after RLDS.

    The last step of an episode holds the final observation and an empty action. A
    transition is a step and the next one of its episode.
    """

    observation: Observation
    action: NDArray[np.float32] = field(default_factory=lambda: _EMPTY)
    policy_action: NDArray[np.float32] = field(default_factory=lambda: _EMPTY)
    features: bytes = b""
    encoder: str = ""
    source: Source = Source.POLICY
    reward: float = 0.0
    is_first: bool = False
    is_last: bool = False
    is_terminal: bool = False
    outcome: Outcome = Outcome.NONE
    run: str = ""
    phase: Phase = Phase.TRAIN
    episode: int = 0
    index: int = 0
    policy_version: int = 0
    spec: str = ""


@dataclass(frozen=True)
class Episode:
    """The steps of one episode, in order.

    An episode that a crash cut short has no step with ``is_last``; its newest
    observation then serves as the final one, and its outcome is ABORTED.
    """

    steps: tuple[Step, ...]

    @property
    def complete(self) -> bool:
        return bool(self.steps) and self.steps[-1].is_last

    @property
    def outcome(self) -> Outcome:
        return self.steps[-1].outcome if self.complete else Outcome.ABORTED

    @property
    def discarded(self) -> bool:
        """Whether it was given up or marked as deleted: nobody learns from it.

        One that a crash cut short is not: its steps are as good as any.
        """
        return self.complete and self.outcome == Outcome.ABORTED

    @property
    def transitions(self) -> int:
        return max(0, len(self.steps) - 1)

    @property
    def duration(self) -> float:
        """Seconds from the first observation to the last."""
        if not self.steps:
            return 0.0
        return (self.steps[-1].observation.stamp - self.steps[0].observation.stamp) * 1e-9

    def count(self, source: Source) -> int:
        """Transitions on which ``source`` acted."""
        return sum(step.source == source for step in self.steps[: self.transitions])

    @property
    def gaps(self) -> int:
        """Steps that are missing from the sequence of indices."""
        indices = [step.index for step in self.steps]
        if not indices:
            return 0
        return indices[-1] + 1 - len(indices)
