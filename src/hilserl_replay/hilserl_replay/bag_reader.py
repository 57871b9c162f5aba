"""Any rosbag2 bag, read message by message: one interface, whatever wrote it.

``ours`` reads MCAP and sqlite3, one file or split, whole or cut off, with or without
``metadata.yaml``, compressed by file, by message, by chunk or not. Where rosbag2's own Python
package is installed, ``rosbag2_py`` reads finished bags, of any storage that it has a plugin
for. Both give the same messages in the same order.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import zstandard

from hilserl_replay.bag_message import BagMessage
from hilserl_replay.bag_metadata import BagError, is_finished, listed_names
from hilserl_replay.mcap_file import McapFile
from hilserl_replay.sqlite_file import SqliteFile

READERS = ("ours", "rosbag2_py")
_SUFFIXES = (".mcap", ".db3")
_COMPRESSED = ".zstd"


class BagReader(Protocol):
    """A bag that is open.

    Attributes:
        path: of the bag.
        problems: what could not be read, and why; complete once the messages were.
        progress: share of the bag that was read, 0 to 1.
    """

    path: Path
    problems: list[str]

    @property
    def progress(self) -> float: ...

    def topics(self) -> dict[str, str]:
        """Types ``package/msg/Type`` by topic."""

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages in the order in which they were recorded.

        Args:
            topics: names of those wanted; None: all.

        Raises:
            BagError: the bag is damaged in its middle.
        """


def open_bag(path: Path, reader: str = "") -> BagReader:
    """Opens a bag: its folder, or one of its files.

    Args:
        path: of the folder or file.
        reader: one of ``READERS``; empty: rosbag2_py where it is installed and the bag is
            finished, else ours.

    Raises:
        BagError: there is no bag, or the reader asked for is not installed.
    """
    installed = importlib.util.find_spec("rosbag2_py") is not None
    if reader == "rosbag2_py" and not installed:
        raise BagError("reader 'rosbag2_py' is not installed here: use reader 'ours'")
    if not path.exists():
        raise BagError(f"{path}: no such file or folder: give a bag")
    if reader == "rosbag2_py" or (not reader and installed and is_finished(path)):
        from hilserl_replay.rosbag2_reader import Rosbag2Reader

        try:
            return Rosbag2Reader(path)
        except BagError:
            # What rosbag2 does not open may be a bag that was cut off: ours reads its beginning.
            if reader:
                raise
    return FileReader(path)


def is_bag(path: Path) -> bool:
    """Whether a path is taken for a bag, whole or not: a file, or a folder with a bag's files."""
    if not path.is_dir():
        return path.is_file()
    return is_finished(path) or any(_known(file) for file in path.iterdir())


class FileReader:
    """Reads a bag's files one after the other."""

    def __init__(self, path: Path) -> None:
        """Finds the files.

        Raises:
            BagError: there are none.
        """
        self.path = path
        self.problems: list[str] = []
        try:
            self._files = _files(path)
            self._sizes = [file.stat().st_size for file in self._files]
        except OSError as error:
            raise BagError(f"{path}: cannot be read: {error.strerror or error}") from None
        self._done = 0
        self._current: McapFile | SqliteFile | None = None
        self._share = 1.0  # bytes of the file in the bag for each of the file that is read

    @property
    def progress(self) -> float:
        within = self._current.position * self._share if self._current is not None else 0.0
        return min(1.0, (self._done + within) / max(1, sum(self._sizes)))

    def topics(self) -> dict[str, str]:
        """Types by topic, of all files."""
        result: dict[str, str] = {}
        for file in self._files:
            with _Unpacked(file) as plain:
                result |= _opened(plain).topics()
        return result

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """The messages in the order in which they were recorded."""
        self._done = 0
        for file, size in zip(self._files, self._sizes, strict=True):
            with _Unpacked(file) as plain:
                self._current = _opened(plain)
                self._share = size / max(1, plain.stat().st_size)
                yield from self._current.messages(None if topics is None else topics.__contains__)
            if not self._current.whole:
                self.problems.append(
                    f"{file}: read up to {self._current.count} messages: {self._current.problem}"
                )
            self._done += size
            self._current = None


class _Unpacked:
    """A bag's file as it was before it was compressed, as long as the context lasts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Path:
        if self._file.suffix != _COMPRESSED:
            return self._file
        self._folder = tempfile.TemporaryDirectory(prefix="hilserl-bag-")
        plain = Path(self._folder.name, self._file.stem)
        # What came out before any damage is read; its end tells of it.
        ignored = contextlib.suppress(zstandard.ZstdError)
        try:
            with self._file.open("rb") as source, plain.open("wb") as target, ignored:
                zstandard.ZstdDecompressor().copy_stream(source, target)
        except OSError as error:
            raise BagError(
                f"{self._file}: cannot be unpacked into {self._folder.name}: "
                f"{error.strerror or error}: make room, or set TMPDIR"
            ) from None
        return plain

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _files(path: Path) -> list[Path]:
    """A bag's files, oldest first.

    Raises:
        BagError: there are none, or one that the metadata lists is missing.
    """
    if path.is_file():
        if not _known(path):
            raise BagError(f"{path}: not a bag: give its folder, or a .mcap or .db3 file of it")
        return [path]
    found = sorted(file for file in path.iterdir() if _known(file))
    if is_finished(path):
        listed = [path / name for name in listed_names(path)]
        missing = [file.name for file in listed if not file.is_file()]
        if missing:
            raise BagError(
                f"{path}: its metadata.yaml lists {', '.join(missing)}, which is missing: put it "
                "back, or remove metadata.yaml to read what is there"
            )
        found = listed
    if not found:
        raise BagError(f"{path}: not a rosbag2 bag: it holds no .mcap or .db3 file")
    other = [file for file in found if not _known(file)]
    if other:
        raise BagError(
            f"{other[0]}: a storage that is not known here: convert it with `ros2 bag convert` "
            "to mcap, or read it where rosbag2_py and its plugin are installed"
        )
    return found if is_finished(path) else sorted(found, key=_part)


def _opened(plain: Path) -> McapFile | SqliteFile:
    return McapFile(plain, check=False) if plain.suffix == ".mcap" else SqliteFile(plain)


def _known(path: Path) -> bool:
    plain = path.with_suffix("") if path.suffix == _COMPRESSED else path
    return plain.suffix in _SUFFIXES


def _part(path: Path) -> tuple[int, str]:
    """A file's number among those that a bag was split into, then its name."""
    number = re.search(r"_(\d+)\.", path.name)
    return (int(number[1]) if number else 0, path.name)
