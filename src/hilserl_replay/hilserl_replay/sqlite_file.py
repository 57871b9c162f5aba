"""One sqlite3 file of a rosbag2 bag, read row by row; messages stay in the file.

A file that a crash cut off is read up to the first row that is not all there.
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from hilserl_replay.bag_message import BagMessage, InMemory, Stored
from hilserl_replay.mcap_file import Wanted

_MAGIC = b"SQLite format 3\0"


class _Row:
    """A message in its row."""

    __slots__ = ("_database", "_row")

    def __init__(self, database: sqlite3.Connection, row: int) -> None:
        self._database, self._row = database, row

    def read(self, size: int = -1) -> bytes:
        try:
            with self._database.blobopen("messages", "data", self._row, readonly=True) as blob:
                return blob.read(size)
        except sqlite3.Error as error:
            raise OSError(str(error)) from None


class SqliteFile:
    """Reads one file in the order in which it was written.

    Args:
        path: the file, which stays as it is.

    Attributes:
        whole: whether every row was read.
        count: messages read.
        problem: why it is not whole.
        position: bytes read so far, about.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole = False
        self.count = 0
        self.problem = "it ends early"
        self.position = 0
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    def messages(self, wanted: Wanted | None = None) -> Iterator[BagMessage]:
        """The messages in the order in which they were written."""
        cut_off = self._cut_off()
        try:
            database = self._open()
            topics = _topics(database)
            last = self._last_row(database)
            columns = "id, topic_id, timestamp" + (", data" if cut_off else "")
            for row, topic, stamp, *data in database.execute(
                f"SELECT {columns} FROM messages ORDER BY id"
            ):
                if topic not in topics:
                    self.problem = "a message names no topic"
                    return
                self.count += 1
                self.position = round(self.path.stat().st_size * min(1.0, row / last))
                if wanted is None or wanted(topics[topic][0]):
                    # What is left of a row that was cut off shows only when it is read.
                    stored: Stored = InMemory(data[0]) if cut_off else _Row(database, row)
                    yield BagMessage(*topics[topic], stamp, stored)
            self.whole = not cut_off
        except (sqlite3.Error, OSError) as error:
            self.problem = str(error)

    def topics(self) -> dict[str, str]:
        """Types by topic; none where the file cannot be opened."""
        try:
            return {name: kind for name, kind, _ in _topics(self._open()).values()}
        except (sqlite3.Error, OSError) as error:
            self.problem = str(error)
            return {}

    def _open(self) -> sqlite3.Connection:
        path = self.path
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                empty = not path.stat().st_size
                raise sqlite3.DatabaseError("it is empty" if empty else "it is no sqlite3 file")
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            # Its newest messages are in the log, and reading that would write to the bag.
            self._copy = self._copy or tempfile.TemporaryDirectory(prefix="hilserl-bag-")
            for each in (path, log):
                shutil.copy(each, self._copy.name)
            database = sqlite3.connect(Path(self._copy.name, path.name), check_same_thread=False)
        else:
            address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
            # A message may be read in another thread; sqlite3 takes turns by itself.
            database = sqlite3.connect(address, uri=True, check_same_thread=False)
        # Without it sqlite3 opens no file that is shorter than it says.
        database.execute("PRAGMA writable_schema=ON")
        return database

    def _cut_off(self) -> bool:
        """Whether the file is shorter than its header says."""
        with self.path.open("rb") as file:
            head = file.read(32)
        if len(head) < 32:
            return True
        size, pages = struct.unpack(">H", head[16:18])[0], struct.unpack(">I", head[28:32])[0]
        return bool((65536 if size == 1 else size) * pages > self.path.stat().st_size)

    @staticmethod
    def _last_row(database: sqlite3.Connection) -> int:
        try:
            return int(database.execute("SELECT max(id) FROM messages").fetchone()[0] or 1)
        except sqlite3.DatabaseError:
            return 2**31  # lost with the file's end


def _topics(database: sqlite3.Connection) -> dict[int, tuple[str, str, str]]:
    """Name, type and type hash of each topic."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(topics)")}
    if not columns:
        raise sqlite3.DatabaseError("it holds no table of topics: it is not of a rosbag2 bag")
    type_hash = "type_description_hash" if "type_description_hash" in columns else "''"
    rows = database.execute(f"SELECT id, name, type, {type_hash} FROM topics")
    return {number: (name, kind, digest or "") for number, name, kind, digest in rows}
