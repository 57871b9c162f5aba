"""One message of a bag, which stays where it lies until somebody wants it.

Of a camera at 30 Hz a policy at 10 Hz needs every third frame: whoever asks a message for its
stamp alone should not pay for its pixels.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import zstandard

from hilserl_replay.bag_metadata import BagError

HEAD = 12
"""Bytes of CDR up to the end of a header's stamp: the encapsulation, seconds, nanoseconds."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # no CDR begins so


class Stored(Protocol):
    """Bytes that lie somewhere."""

    def read(self, size: int = -1) -> bytes:
        """The first ``size`` bytes, or all of them.

        Raises:
            OSError: they cannot be read.
            EOFError: they are not all there.
        """


class InMemory:
    """Bytes of a buffer that many messages share."""

    __slots__ = ("_view",)

    def __init__(self, view: bytes | memoryview) -> None:
        self._view = view

    def read(self, size: int = -1) -> bytes:
        return bytes(self._view if size < 0 else self._view[:size])


class InFile:
    """Bytes of an open file, which stays open as long as a message lies in it.

    Args:
        head: the first of them, which were read already.
    """

    __slots__ = ("_at", "_file", "_head", "_size")

    def __init__(self, file: BinaryIO, at: int, size: int, head: bytes) -> None:
        self._file, self._at, self._size, self._head = file, at, size, head

    def read(self, size: int = -1) -> bytes:
        wanted = self._size if size < 0 else min(size, self._size)
        if wanted <= len(self._head):
            return self._head[:wanted]
        data = os.pread(self._file.fileno(), wanted, self._at)
        if len(data) < wanted:
            raise EOFError("the file ends early")
        return data


@dataclass(frozen=True, slots=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: its name, absolute.
        type: ``package/msg/Type``.
        type_hash: as in ``MessageDefinition``; empty where the bag does not say.
        stamp: ns, when it was recorded.
        stored: where it lies; of a bag compressed message by message, compressed.
    """

    topic: str
    type: str
    type_hash: str
    stamp: int
    stored: Stored

    @property
    def data(self) -> bytes:
        """CDR bytes, as rclpy serialises them; read anew each time.

        Raises:
            BagError: they cannot be read.
        """
        return self._read(-1)

    @property
    def header_stamp(self) -> int:
        """ns; of a message that begins with a header.

        Raises:
            BagError: it cannot be read.
        """
        head = self._read(HEAD)
        if len(head) < HEAD:
            raise BagError(f"a message on {self.topic} is damaged: it has {len(head)} bytes")
        seconds, nanoseconds = struct.unpack("<iI" if head[1] & 1 else ">iI", head[4:HEAD])
        return int(seconds) * 1_000_000_000 + int(nanoseconds)

    def _read(self, size: int) -> bytes:
        try:
            data = self.stored.read(size)
            if data.startswith(_ZSTD_MAGIC):
                return _decompress(data if size < 0 else self.stored.read(), size)
            return data
        except (OSError, EOFError, zstandard.ZstdError) as error:
            raise BagError(f"a message on {self.topic} cannot be read: {error}") from None


def _decompress(data: bytes, size: int) -> bytes:
    """The first ``size`` bytes, or all, of what was compressed."""
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        return stream.read(size) if size >= 0 else stream.readall()


def damaged(message: BagMessage, where: Any, error: Exception) -> BagError:
    """What to say of a message whose bytes are no message."""
    return BagError(f"{where}: a message on {message.topic} is damaged: {error}")
