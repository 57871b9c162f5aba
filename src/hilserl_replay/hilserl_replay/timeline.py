"""Streams of samples on one time line: the latest not newer than a tick; free of ROS.

Samples come in the order in which they were recorded, and count by their stamps: how long each
took to arrive changes nothing.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hilserl_core.errors import UserError

SECOND = 1_000_000_000

LOOKAHEAD = SECOND // 2
"""ns that are read beyond a tick before it is answered: what belongs to it may come late."""

PATIENCE = 2 * SECOND
"""ns after which a stream that has not got that far is taken to have ended."""

BACKWARD = SECOND
"""ns by which stamps may go back: two publishers of one topic, not a clock that was set."""

T = TypeVar("T")


class ClockError(UserError):
    """A stream's stamps go back."""


@dataclass(frozen=True)
class Sample(Generic[T]):
    """What a stream says from ``stamp`` (ns) on."""

    stamp: int
    item: T


class Stream(Generic[T]):
    """One stream's samples, of which those are kept that a tick to come may want.

    Args:
        name: as errors call it.
        max_age: ns beyond which a sample is none; 0: never.

    Attributes:
        newest: stamp of the newest sample, ns; None before the first.
        late: samples that came after the tick that wanted them.
        asked: the newest tick that was answered, ns; -1 before the first.
    """

    def __init__(self, name: str, max_age: int = 0) -> None:
        self.name = name
        self.max_age = max_age
        self.newest: int | None = None
        self.late = 0
        self._waiting: deque[Sample[T]] = deque()
        self._current: Sample[T] | None = None
        self.asked = -1

    def add(self, stamp: int, item: T) -> None:
        """Takes a sample.

        Raises:
            ClockError: it lies more than ``BACKWARD`` before the newest.
        """
        if self.newest is not None and stamp < self.newest - BACKWARD:
            raise ClockError(
                f"{self.name}: its stamps go back by {(self.newest - stamp) / SECOND:.3f} s, from "
                f"{self.newest / SECOND:.3f} to {stamp / SECOND:.3f}: a clock was set while the "
                "bag was recorded. Use 'stamp: receive' for it, or cut the bag there"
            )
        if stamp <= self.asked:
            self.late += 1
            return
        if self._waiting and stamp < self._waiting[-1].stamp:
            bisect.insort(self._waiting, Sample(stamp, item), key=lambda sample: sample.stamp)
        else:
            self._waiting.append(Sample(stamp, item))
        self.newest = stamp if self.newest is None else max(self.newest, stamp)

    def at(self, tick: int) -> Sample[T] | None:
        """The latest sample not newer than ``tick`` (ns), whatever its age; ticks only go on."""
        self.asked = max(self.asked, tick)
        while self._waiting and self._waiting[0].stamp <= tick:
            self._current = self._waiting.popleft()
        return self._current

    def up_to(self, tick: int) -> list[Sample[T]]:
        """Takes out all samples not newer than ``tick`` (ns), in order."""
        self.asked = max(self.asked, tick)
        result = []
        while self._waiting and self._waiting[0].stamp <= tick:
            result.append(self._waiting.popleft())
        return result

    def fresh(self, tick: int) -> Sample[T] | None:
        """As ``at``, but None where the sample is too old."""
        sample = self.at(tick)
        if sample is None or (self.max_age and tick - sample.stamp > self.max_age):
            return None
        return sample

    @property
    def following(self) -> int | None:
        """Stamp of the next sample that no tick has had, ns."""
        return self._waiting[0].stamp if self._waiting else None


class Timeline:
    """Streams that ticks wait for.

    Args:
        streams: those of which a tick needs a sample.
    """

    def __init__(self, streams: Iterable[Stream[Any]]) -> None:
        self.streams = tuple(streams)

    def ready(self, tick: int) -> bool:
        """Whether every sample that ``tick`` (ns) may want has come, as far as one can know."""
        newest = [stream.newest for stream in self.streams if stream.newest is not None]
        if not newest or max(newest) < tick + LOOKAHEAD:
            return False
        if max(newest) >= tick + PATIENCE:
            return True
        return len(newest) == len(self.streams) and min(newest) >= tick
