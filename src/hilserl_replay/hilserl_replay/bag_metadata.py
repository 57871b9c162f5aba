"""A bag's ``metadata.yaml``: what rosbag2 keeps of it, and what the recorder noted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside

METADATA = "metadata.yaml"
# libyaml's loader reads a bag's metadata ten times as fast, where PyYAML was built with it.
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BagError(UserError):
    """A path is not a bag, or the bag is damaged."""


@dataclass
class TopicRecord:
    """What ``metadata.yaml`` says of one topic."""

    type: str
    type_hash: str
    count: int = 0


@dataclass
class FileRecord:
    """What ``metadata.yaml`` says of one file."""

    name: str
    topics: dict[str, TopicRecord] = field(default_factory=dict)
    first: int = 0
    last: int = 0

    @property
    def count(self) -> int:
        return sum(topic.count for topic in self.topics.values())

    def add(self, topic: str, type_name: str, type_hash: str, stamp: int) -> None:
        self.first = min(self.first, stamp) if self.count else stamp
        self.last = max(self.last, stamp)
        self.topics.setdefault(topic, TopicRecord(type_name, type_hash)).count += 1


def is_finished(folder: Path) -> bool:
    """Whether a bag's writer closed it."""
    return (folder / METADATA).is_file()


def read_notes(folder: Path) -> dict[str, str]:
    """What the writer of a finished bag noted of it; nothing of one under way."""
    if not is_finished(folder):
        return {}
    notes = _information(folder).get("custom_data") or {}
    return {str(key): str(value) for key, value in notes.items()}


def _information(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    try:
        information = yaml.load(path.read_text(), _YAML)["rosbag2_bagfile_information"]
        return {"custom_data": None, **information}
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        raise BagError(
            f"{path}: damaged, or not of a rosbag2 bag: remove it to read what is whole"
        ) from None


def listed_names(folder: Path) -> list[str]:
    """Names of a finished bag's files, as its metadata lists them.

    Raises:
        BagError: the metadata is damaged.
    """
    # Early versions of rosbag2 list them relative to the folder that holds the bag's.
    return [Path(name).name for name in _information(folder).get("relative_file_paths") or []]


def compression(folder: Path) -> str:
    """How a finished bag is compressed as rosbag2 does it: "file", "message", or not at all."""
    mode = str(_information(folder).get("compression_mode") or "").lower()
    return "" if mode == "none" else mode


def listed_topics(folder: Path) -> set[str]:
    """A finished bag's topics, as its metadata lists them; none of an unfinished one."""
    if not is_finished(folder):
        return set()
    listed = _information(folder).get("topics_with_message_count") or []
    return {str(topic["topic_metadata"]["name"]) for topic in listed}


def listed_files(folder: Path) -> list[Path]:
    """The files of a finished bag of ours."""
    storage = _information(folder).get("storage_identifier")
    if storage != "mcap":
        raise BagError(
            f"{folder}: a bag in '{storage}': convert it with `ros2 bag convert` to storage mcap"
        )
    return [folder / name for name in listed_names(folder)]


def metadata(files: list[FileRecord], notes: Mapping[str, str]) -> dict[str, Any]:
    """What rosbag2 version 9, that of ROS 2 Jazzy, keeps in ``metadata.yaml``."""
    topics: dict[str, TopicRecord] = {}
    for file in files:
        for name, topic in file.topics.items():
            total = topics.setdefault(name, TopicRecord(topic.type, topic.type_hash))
            total.count += topic.count
    full = [file for file in files if file.count]
    first = min((file.first for file in full), default=0)
    last = max((file.last for file in full), default=0)
    information = {
        "version": 9,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": last - first},
        "starting_time": {"nanoseconds_since_epoch": first},
        "message_count": sum(file.count for file in files),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": topic.count,
            }
            for name, topic in topics.items()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.name for file in files],
        "files": [
            {
                "path": file.name,
                "starting_time": {"nanoseconds_since_epoch": file.first},
                "duration": {"nanoseconds": file.last - file.first},
                "message_count": file.count,
            }
            for file in files
        ],
        "custom_data": dict(notes) or None,
        "ros_distro": os.environ.get("ROS_DISTRO", "jazzy"),
    }
    return {"rosbag2_bagfile_information": information}


def write_metadata(folder: Path, files: list[FileRecord], notes: Mapping[str, str]) -> None:
    write_aside(folder / METADATA, yaml.safe_dump(metadata(files, notes)).encode())
