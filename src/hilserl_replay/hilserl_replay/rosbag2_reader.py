"""Bags read by rosbag2 itself, where its Python package is installed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import rosbag2_py

from hilserl_replay.bag_message import BagMessage, InMemory
from hilserl_replay.bag_metadata import BagError, compression


class Rosbag2Reader:
    """A finished bag; the attributes are those of ``BagReader``."""

    def __init__(self, path: Path) -> None:
        """Opens the bag.

        Raises:
            BagError: rosbag2 cannot open it.
        """
        self.path = path
        self.problems: list[str] = []
        self._read = 0
        reader = self._open()
        self._total = reader.get_metadata().message_count
        self._topics = {
            topic.name: (topic.type, getattr(topic, "type_description_hash", ""))
            for topic in reader.get_all_topics_and_types()
        }

    @property
    def progress(self) -> float:
        return min(1.0, self._read / max(1, self._total))

    def topics(self) -> dict[str, str]:
        """Types by topic."""
        return {name: kind for name, (kind, _) in self._topics.items()}

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages in the order in which they were recorded."""
        self._read = 0
        reader = self._open()
        if topics is not None:
            known = [name for name in self._topics if name in topics]
            if not known:
                return  # an empty filter would mean all
            reader.set_filter(rosbag2_py.StorageFilter(topics=known))
        try:
            while reader.has_next():
                # Later versions add the time of sending.
                topic, data, stamp = reader.read_next()[:3]
                self._read += 1
                yield BagMessage(topic, *self._topics[topic], stamp, InMemory(data))
        except RuntimeError as error:
            self.problems.append(f"{self.path}: read up to {self._read} messages: {error}")

    def _open(self) -> Any:
        kind = (
            rosbag2_py.SequentialCompressionReader
            if compression(self.path)
            else rosbag2_py.SequentialReader
        )
        reader = kind()
        try:
            # The storage is as the metadata says, and messages come in the bytes they lie in.
            reader.open(
                rosbag2_py.StorageOptions(uri=str(self.path), storage_id=""),
                rosbag2_py.ConverterOptions("", ""),
            )
        except RuntimeError as error:
            raise BagError(f"{self.path}: rosbag2 cannot open it: {error}") from None
        return reader
