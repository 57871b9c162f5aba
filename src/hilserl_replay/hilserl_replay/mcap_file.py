"""One MCAP file, read record by record; messages of chunks without compression stay in the file.

After the MCAP specification, https://mcap.dev/spec. The library ``mcap`` reads the small
records; it would read and copy every message too, and a bag of camera frames holds 50 MB a
second.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from hilserl_replay.bag_message import HEAD, BagMessage, InFile, InMemory, Stored

MAGIC = b"\x89MCAP0\r\n"
_HEADER = struct.Struct("<BQ")  # opcode, length
_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK = struct.Struct("<QQQII")  # start, end, uncompressed size, crc, length of compression
_WINDOW = 32 * 1024

# What is raised on bytes that are not the rest of a bag.
DAMAGE = (McapError, ValueError, struct.error, zstandard.ZstdError, MemoryError, EOFError, OSError)

_AHEAD = 3
"""Records that may wait, their chunks being decompressed, while one is read."""

_Record = tuple[int, int, int]
"""Opcode, begin and length of the content."""

Wanted = Callable[[str], bool]
"""Whether a topic's messages are wanted."""


class _Bytes(Protocol):
    """Where records lie: a file, or a chunk that was decompressed."""

    size: int

    def get(self, at: int, length: int) -> bytes | memoryview: ...
    def stored(self, at: int, length: int) -> Stored: ...


class _FileBytes:
    """A file, looked at through a window so that small reads are few."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        self._start, self._window = 0, b""

    def read(self, at: int, length: int) -> bytes:
        """Past the window, from any thread."""
        data = os.pread(self._file.fileno(), length, at)
        if len(data) < length:
            raise EOFError("it ends early")
        return data

    def get(self, at: int, length: int) -> bytes:
        begin = at - self._start
        if begin < 0 or begin + length > len(self._window):
            self._window = os.pread(self._file.fileno(), max(length, _WINDOW), at)
            self._start, begin = at, 0
        data = self._window[begin : begin + length]
        if len(data) < length:
            raise EOFError("it ends early")
        return data

    def stored(self, at: int, length: int) -> Stored:
        return InFile(self._file, at, length, self.get(at, min(length, HEAD)))


class _ChunkBytes:
    """A chunk in memory; it stays as long as one of its messages is held."""

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)
        self.size = len(data)

    def get(self, at: int, length: int) -> memoryview:
        if at + length > self.size:
            raise EOFError("a chunk ends early")
        return self._view[at : at + length]

    def stored(self, at: int, length: int) -> Stored:
        return InMemory(self.get(at, length))


class McapFile:
    """Reads one file in order until its end, or until it stops making sense.

    Args:
        path: the file.
        check: compares every chunk with its checksum and takes all of it or nothing. Without,
            a chunk that is not compressed is read no further than its messages are wanted, so
            its checksum is not looked at; one that was cut off gives its whole messages.

    Attributes:
        whole: whether the end was reached, in order.
        count: messages read.
        problem: why it is not whole.
        position: bytes read so far.
    """

    def __init__(self, path: Path, check: bool = True) -> None:
        self.path = path
        self.whole = False
        self.count = 0
        self.problem = "it ends early"
        self.position = 0
        self._check = check
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, tuple[str, str, str]] = {}

    def messages(self, wanted: Wanted | None = None) -> Iterator[BagMessage]:
        """The messages in the order in which they were written."""
        try:
            # Closed when the last message in it is forgotten.
            file = self.path.open("rb")
            source = _FileBytes(file)
            if source.size < len(MAGIC) or source.get(0, len(MAGIC)) != MAGIC:
                self.problem = "it is empty" if not source.size else "it is no MCAP file"
                return
            yield from self._file(source, wanted)
        except DAMAGE as error:
            self.problem = str(error) or self.problem

    def topics(self) -> dict[str, str]:
        """Types by topic, from the file's summary, or else from reading all of it."""
        with contextlib.suppress(*DAMAGE):
            self._read_summary()
        if not self._channels:
            for _ in self.messages(lambda _: False):
                pass
        return {topic: kind for topic, kind, _ in self._channels.values()}

    def _read_summary(self) -> None:
        """Takes the channels that the file's summary names, where it has one."""
        with self.path.open("rb") as file:
            source = _FileBytes(file)
            end = source.size - len(MAGIC)
            (at,) = struct.unpack("<Q", source.get(end - 20, 8))
            if not at or source.get(end, len(MAGIC)) != MAGIC:
                return
            for opcode, start, length in _walk(source, at, end):
                self._define(opcode, source, start, length)

    def _file(self, source: _FileBytes, wanted: Wanted | None) -> Iterator[BagMessage]:
        """The messages of the whole file; chunks are decompressed ahead of their reading."""
        with ThreadPoolExecutor(1) as pool:
            for record, chunk in self._ahead(source, pool):
                self.position = record[1]
                yield from self._record(source, record, chunk, wanted)
                if self.whole:
                    return

    def _ahead(
        self, source: _FileBytes, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[_Record, Future[bytes] | None]]:
        """Records with their chunks' contents on the way; damage is raised where it lies."""
        waiting: deque[tuple[_Record, Future[bytes] | None]] = deque()
        damage: Exception | None = None
        try:
            for opcode, start, length in _walk(source, len(MAGIC), source.size):
                chunk = None
                if opcode == Opcode.CHUNK and not self._check:
                    found = _chunk(source, start, length)
                    chunk = pool.submit(_unpack, source.read, found) if found.compression else None
                waiting.append(((opcode, start, length), chunk))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft()
        except DAMAGE as error:
            damage = error
        yield from waiting
        if damage is not None:
            raise damage

    def _record(
        self,
        source: _Bytes,
        record: _Record,
        chunk: Future[bytes] | None,
        wanted: Wanted | None,
    ) -> Iterator[BagMessage]:
        opcode, start, length = record
        if opcode == Opcode.MESSAGE:
            message = self._message(source, start, length, wanted)
            self.count += 1
            if message is not None:
                yield message
        elif opcode == Opcode.CHUNK:
            yield from self._within(source, start, length, chunk, wanted)
        elif opcode == Opcode.DATA_END:
            self.whole = True
        else:
            self._define(opcode, source, start, length)

    def _within(
        self,
        source: _Bytes,
        start: int,
        length: int,
        chunk: Future[bytes] | None,
        wanted: Wanted | None,
    ) -> Iterator[BagMessage]:
        """The messages of one chunk."""
        found = _chunk(source, start, length)
        inner: _Bytes = source
        at, end = found.at, found.at + found.length
        if chunk is not None or self._check:
            data = chunk.result() if chunk is not None else _unpack(source.get, found)
            inner, at, end = _ChunkBytes(data), 0, len(data)
        # One that was cut off and is read in place gives its whole messages.
        for record in _walk(inner, at, end):
            yield from self._record(inner, record, None, wanted)

    def _message(
        self, source: _Bytes, start: int, length: int, wanted: Wanted | None
    ) -> BagMessage | None:
        channel, _, stamp, _ = _MESSAGE.unpack(source.get(start, _MESSAGE.size))
        if channel not in self._channels:
            raise ValueError("a message names no channel")
        if start + length > source.size:
            raise EOFError("it ends early")
        if wanted is not None and not wanted(self._channels[channel][0]):
            return None
        stored = source.stored(start + _MESSAGE.size, length - _MESSAGE.size)
        return BagMessage(*self._channels[channel], stamp, stored)

    def _define(self, opcode: int, source: _Bytes, start: int, length: int) -> None:
        """Takes a schema or a channel; other records say nothing of messages."""
        if opcode not in (Opcode.SCHEMA, Opcode.CHANNEL):
            return
        stream = ReadDataStream(io.BytesIO(bytes(source.get(start, length))))
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            self._schemas[schema.id] = schema
            return
        channel = Channel.read(stream)
        found = self._schemas.get(channel.schema_id)
        type_hash = channel.metadata.get("topic_type_hash", "")
        self._channels[channel.id] = (channel.topic, found.name if found else "", type_hash)


class _Chunk(NamedTuple):
    """Where a chunk's content lies, and how."""

    at: int
    length: int
    compression: str
    size: int
    crc: int


def _chunk(source: _Bytes, start: int, length: int) -> _Chunk:
    _, _, size, crc, letters = _CHUNK.unpack(source.get(start, _CHUNK.size))
    at = start + _CHUNK.size
    compression = bytes(source.get(at, letters)).decode()
    at += letters + 8  # the length of the content, which is what is left of the record
    return _Chunk(at, start + length - at, compression, size, crc)


def _unpack(read: Callable[[int, int], bytes | memoryview], chunk: _Chunk) -> bytes:
    """A chunk's content, compared with its checksum."""
    data = _decompress(bytes(read(chunk.at, chunk.length)), chunk.compression, chunk.size)
    if chunk.crc and zlib.crc32(data) != chunk.crc:
        raise ValueError("a chunk differs from its checksum")
    return data


def _walk(source: _Bytes, at: int, end: int) -> Iterator[_Record]:
    """Opcode, begin and length of the content of each record."""
    while at < end:
        opcode, length = _HEADER.unpack(source.get(at, _HEADER.size))
        at += _HEADER.size
        if not opcode:
            raise ValueError("a record makes no sense")
        # A chunk that was cut off is still worth opening.
        if length > end - at and opcode != Opcode.CHUNK:
            raise EOFError("it ends early")
        yield opcode, at, length
        at += length


def _decompress(data: bytes, compression: str, size: int) -> bytes:
    if compression == "zstd":
        return zstandard.decompress(data, size)
    if compression == "lz4":
        import lz4.frame

        try:
            return bytes(lz4.frame.decompress(data))
        except RuntimeError as error:
            raise ValueError(str(error)) from None
    if compression:
        raise ValueError(f"its chunks are compressed with '{compression}', which is not known here")
    return data
