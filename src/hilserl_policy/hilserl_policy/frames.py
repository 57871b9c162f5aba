"""Gathers the parts of a tick's measurements by their stamps; free of ROS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Frames:
    """The newest measurement of every stream, and the newest stamp that all of them share.

    Args:
        streams: names of the parts that a tick needs.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        self._newest: dict[str, tuple[int, Any]] = dict.fromkeys(streams, (-1, None))

    def add(self, stream: str, stamp: int, value: Any) -> bool:
        """Takes a measurement of ``stamp`` (ns); returns whether its frame is now complete."""
        self._newest[stream] = (stamp, value)
        return self.complete(stamp)

    def complete(self, stamp: int) -> bool:
        """Whether every stream's newest measurement is of this stamp."""
        return all(newest == stamp for newest, _ in self._newest.values())

    def values(self) -> dict[str, Any]:
        """The newest measurement of every stream."""
        return {name: value for name, (_, value) in self._newest.items()}

    @property
    def newest(self) -> int:
        """The newest stamp of any stream, ns."""
        return max(stamp for stamp, _ in self._newest.values())

    def late(self, limit: int) -> list[str]:
        """Streams that lag the newest one by more than ``limit`` (ns), or never came."""
        newest = self.newest
        return [
            name for name, (stamp, _) in self._newest.items() if stamp < 0 or newest - stamp > limit
        ]
