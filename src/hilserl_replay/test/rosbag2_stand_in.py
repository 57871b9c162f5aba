"""Stands in for ``rosbag2_py`` where it is not installed: its documented calls, on ``rosbags``.

What it cannot show is whether rosbag2 itself behaves as documented; that is tested where
it is installed.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader


@dataclass
class StorageOptions:
    uri: str
    storage_id: str = ""


@dataclass
class ConverterOptions:
    input_serialization_format: str = ""
    output_serialization_format: str = ""


@dataclass
class StorageFilter:
    topics: list[str] = field(default_factory=list)


class SequentialReader:
    """Raises RuntimeError where the bag cannot be opened, as the C++ library's errors arrive."""

    def __init__(self) -> None:
        self._reader: Any = None
        self._wanted: set[str] = set()

    def open(self, storage: StorageOptions, converter: ConverterOptions) -> None:
        assert isinstance(storage, StorageOptions)
        assert isinstance(converter, ConverterOptions)
        try:
            self._reader = Reader(Path(storage.uri))
            self._reader.open()
        except Exception as error:
            raise RuntimeError(str(error)) from None
        self._restart()

    def _restart(self) -> None:
        chosen = [
            c for c in self._reader.connections if not self._wanted or c.topic in self._wanted
        ]
        self._messages = self._reader.messages(chosen)
        self._next = next(self._messages, None)

    def set_filter(self, storage_filter: StorageFilter) -> None:
        self._wanted = set(storage_filter.topics)
        self._restart()

    def get_metadata(self) -> Any:
        return types.SimpleNamespace(message_count=self._reader.message_count)

    def get_all_topics_and_types(self) -> list[Any]:
        return [
            types.SimpleNamespace(name=c.topic, type=c.msgtype, type_description_hash=c.digest)
            for c in self._reader.connections
        ]

    def has_next(self) -> bool:
        return self._next is not None

    def read_next(self) -> tuple[str, bytes, int]:
        connection, stamp, data = self._next
        self._next = next(self._messages, None)
        return connection.topic, bytes(data), stamp


class SequentialCompressionReader(SequentialReader):
    """rosbag2's, for bags that are compressed by file or by message."""
