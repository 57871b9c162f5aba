"""Our own bags, rosbag2's in MCAP: written, read, and repaired after a crash.

A bag is a folder with one or more ``.mcap`` files and a ``metadata.yaml``, as ``ros2 bag``
and Foxglove open it. Every message is handed to the operating system as soon as it is
written, in a chunk of its own, so that a killed writer loses nothing that was complete.
``metadata.yaml`` comes last, by a rename: a bag without it is still under way, or was cut
off, and reads up to its last whole message; ``finish`` makes a whole bag of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import yaml
from mcap.writer import CompressionType, Writer

from hilserl_replay.bag_message import BagMessage
from hilserl_replay.bag_metadata import (
    METADATA,
    BagError,
    FileRecord,
    is_finished,
    listed_files,
    metadata,
    write_metadata,
)
from hilserl_replay.mcap_file import McapFile
from hilserl_replay.message_definitions import message_definition

_LIBRARY = "hilserl"


class BagWriter:
    """Writes one bag; a bag that exists unfinished or finished is continued in a new file.

    A finished bag that is continued counts as under way again until it is closed.
    """

    def __init__(self, folder: Path) -> None:
        """Creates the folder or, where it holds a bag already, continues that.

        Raises:
            BagError: the folder cannot be written.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._earlier = _repair(folder)
            (folder / METADATA).unlink(missing_ok=True)
            name = f"{folder.name}_{_next_part(folder)}.mcap"
            self._stream = (folder / name).open("xb")
        except OSError as error:
            raise BagError(f"{folder}: cannot be written: {error.strerror or error}") from None
        self._file = FileRecord(name)
        self._writer = _start(self._stream)
        self._channels: dict[str, int] = {}

    @property
    def message_count(self) -> int:
        return self._file.count

    def write(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Writes one message, which outlives this process from here on.

        Args:
            topic: its name, absolute.
            type_name: ``package/msg/Type``.
            data: CDR bytes.
            stamp: ns.

        Raises:
            OSError: the disk is full, or gone.
        """
        definition = message_definition(type_name)
        if topic not in self._channels:
            self._channels[topic] = _register(
                self._writer, topic, type_name, definition.text, definition.hash
            )
        self._writer.add_message(self._channels[topic], stamp, data, stamp, self._file.count)
        self._writer.flush()
        self._file.add(topic, type_name, definition.hash, stamp)

    def close(self, notes: Mapping[str, str] | None = None) -> None:
        """Finishes the bag; ``notes`` go into its metadata, for a reader to see at once."""
        files = [*self._earlier, self._file]
        _end(self._writer, self._stream, self._file)
        write_metadata(self.folder, files, notes or {})

    def abandon(self) -> None:
        """Lets go of the file and leaves the bag unfinished, as a crash would."""
        self._stream.close()


def read_messages(folder: Path, topics: set[str] | None = None) -> Iterator[BagMessage]:
    """Reads a bag's messages in the order they were written.

    A bag without metadata is read up to its last whole message.

    Args:
        folder: the bag.
        topics: last parts of the topic names to keep; None keeps all.

    Raises:
        BagError: it is not a bag, or it is finished and damaged.
    """
    files = _mcap_files(folder)
    finished = is_finished(folder)
    if finished:
        files = listed_files(folder)
    elif not files:
        raise BagError(f"{folder}: not a rosbag2 bag in MCAP: it holds no .mcap file")
    for path in files:
        scan = McapFile(path)
        yield from scan.messages(
            None if topics is None else lambda topic: topic.rsplit("/", 1)[-1] in topics
        )
        if finished and not scan.whole:
            raise BagError(
                f"{path}: damaged after {scan.count} messages ({scan.problem}): remove "
                f"{folder / METADATA} to read what is whole, or remove the folder"
            )


def has_files(folder: Path) -> bool:
    """Whether a folder holds any part of a bag."""
    return bool(_mcap_files(folder))


def remove_files(folder: Path) -> None:
    """Removes an unfinished bag that holds nothing of use; what else lies there stays."""
    for path in folder.glob("*.mcap*"):
        path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def finish(folder: Path, notes: Mapping[str, str] | None = None) -> int:
    """Makes a whole bag of one that was cut off, from its whole messages.

    Returns:
        How many messages it holds.
    """
    files = _repair(folder)
    write_metadata(folder, files, notes or {})
    return sum(file.count for file in files)


def _mcap_files(folder: Path) -> list[Path]:
    """A bag's files as they lie in its folder, oldest first."""

    def part(path: Path) -> tuple[int, str]:
        number = path.stem.rpartition("_")[2]
        return (int(number) if number.isdigit() else 0, path.name)

    return sorted(folder.glob("*.mcap"), key=part) if folder.is_dir() else []


def _next_part(folder: Path) -> int:
    files = _mcap_files(folder)
    return int(files[-1].stem.rpartition("_")[2]) + 1 if files else 0


def _repair(folder: Path) -> list[FileRecord]:
    """Makes every file of a bag whole, and says what each holds; empty ones are removed."""
    result = []
    for path in _mcap_files(folder):
        scan, file = McapFile(path), FileRecord(path.name)
        for message in scan.messages():
            file.add(message.topic, message.type, message.type_hash, message.stamp)
        if not scan.whole:
            _rewrite(path)
        if file.count:
            result.append(file)
        else:
            path.unlink()
    return result


def _rewrite(path: Path) -> None:
    """Replaces a file that was cut off by one that has its whole messages and ends in order."""
    aside = path.with_name(path.name + ".partial")
    file, channels = FileRecord(path.name), {}
    with aside.open("wb") as stream:
        writer = _start(stream)
        for message in McapFile(path).messages():
            if message.topic not in channels:
                definition = message_definition(message.type)
                channels[message.topic] = _register(
                    writer, message.topic, message.type, definition.text, message.type_hash
                )
            writer.add_message(
                channels[message.topic], message.stamp, message.data, message.stamp, file.count
            )
            file.add(message.topic, message.type, message.type_hash, message.stamp)
        _end(writer, stream, file)
    aside.replace(path)


def _start(stream: BinaryIO) -> Writer:
    writer = Writer(stream, compression=CompressionType.ZSTD)
    writer.start(profile="ros2", library=_LIBRARY)
    writer.flush()
    return writer


def _register(writer: Writer, topic: str, type_name: str, text: str, type_hash: str) -> int:
    schema = writer.register_schema(type_name, "ros2msg", text.encode())
    return writer.register_channel(
        topic, "cdr", schema, {"offered_qos_profiles": "", "topic_type_hash": type_hash}
    )


def _end(writer: Writer, stream: BinaryIO, file: FileRecord) -> None:
    """Writes a file's summary and sees it to the disk."""
    text = yaml.safe_dump(metadata([file], {})["rosbag2_bagfile_information"])
    writer.add_metadata("rosbag2", {"serialized_metadata": text})
    writer.finish()
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()
