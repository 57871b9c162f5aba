"""What a bag holds, topic by topic, whoever recorded it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hilserl_replay.bag_reader import open_bag


@dataclass
class TopicSummary:
    """One topic of a bag.

    Attributes:
        type: ``package/msg/Type``.
        stamps: of its messages, ns, in the order that they were written.
    """

    type: str
    stamps: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.stamps)

    @property
    def rate(self) -> float | None:
        """Messages a second, by the median interval."""
        if self.count < 2:
            return None
        period = float(np.median(np.diff(self.stamps)))
        return 1e9 / period if period > 0 else None

    @property
    def longest(self) -> float | None:
        """s, the longest that nothing came."""
        return max(np.diff(self.stamps)) * 1e-9 if self.count > 1 else None

    @property
    def missing(self) -> int:
        """Messages that the gaps, at the topic's rate, had room for."""
        if self.rate is None:
            return 0
        periods = np.rint(np.diff(self.stamps) * 1e-9 * self.rate).astype(int)
        return int(np.maximum(0, periods - 1).sum())

    @property
    def backwards(self) -> int:
        """How often a stamp was before the one that was written earlier."""
        return int((np.diff(self.stamps) < 0).sum()) if self.count > 1 else 0


@dataclass(frozen=True)
class BagSummary:
    """A bag's topics by name, and what of it could not be read."""

    topics: dict[str, TopicSummary]
    problems: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """s, from the earliest stamp to the latest."""
        stamps = [stamp for topic in self.topics.values() for stamp in topic.stamps]
        return (max(stamps) - min(stamps)) * 1e-9 if stamps else 0.0


def summarise_bag(path: Path) -> BagSummary:
    """Reads the stamps of a bag, in its folder or one of its files.

    Raises:
        UserError: it is not a bag, or is damaged.
    """
    topics: dict[str, TopicSummary] = {}
    bag = open_bag(path)
    for message in bag.messages():
        topics.setdefault(message.topic, TopicSummary(message.type)).stamps.append(message.stamp)
    return BagSummary(topics, tuple(bag.problems))
