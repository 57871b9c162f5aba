"""Episodes as bags: writing them step by step, and reading them back.

``runs/NAME/episodes/000042`` holds an episode of RECORD, TRAIN or RUN, and
``runs/NAME/evaluation/000007`` one of EVALUATE; each is one rosbag2 bag with the topic
``steps`` and whatever else was recorded beside it. A reader may come while the recorder
is writing: the episode under way reads up to its newest step, and has no last step.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.messages import MessageError, step_from_msg, step_to_msg
from hilserl_core.run import EPISODE_DIGITS, RunDirectory
from hilserl_core.step import Episode, Outcome, Phase, Step
from hilserl_msgs.msg import Step as StepMsg
from hilserl_replay.bag_message import BagMessage, damaged
from hilserl_replay.bag_metadata import BagError, is_finished
from hilserl_replay.mcap_bag import (
    BagWriter,
    finish,
    has_files,
    read_messages,
    remove_files,
)
from hilserl_replay.message_definitions import message_definition

STEPS_TOPIC = "steps"
STEP_TYPE = "hilserl_msgs/msg/Step"
_IN_STEPS = "image "
FOLDERS = (Phase.TRAIN, Phase.EVALUATE)
"""One phase of each folder that a run keeps episodes in."""


def type_name(message_class: type[Any]) -> str:
    """``package/msg/Type`` of a message class; of a service's calls, ``package/srv/Type_Event``."""
    package, kind = message_class.__module__.split(".")[:2]
    return f"{package}/{kind}/{message_class.__name__}"


def episode_folder(run_dir: Path, phase: Phase, number: int) -> Path:
    """Where an episode's bag lies."""
    return RunDirectory(run_dir).episodes(phase) / f"{number:0{EPISODE_DIGITS}d}"


class EpisodeWriter:
    """Writes one episode's bag; each step is out of this process's hands once written.

    A folder that holds a part of the episode already is continued: steps that it has are
    not written twice.
    """

    def __init__(self, folder: Path, namespace: str = "/") -> None:
        """Opens the bag.

        Args:
            folder: of the episode, which need not exist.
            namespace: of the topics.

        Raises:
            UserError: the folder cannot be written, or holds what is not an episode.
        """
        self.folder = folder
        self._namespace = namespace.rstrip("/") + "/"
        earlier = read_episode(folder) if has_files(folder) and _has_step(folder) else None
        self._have = {step.index for step in earlier.steps} if earlier else set()
        self._notes = _notes(earlier) if earlier else {"outcome": Outcome.ABORTED.name}
        self._bag = BagWriter(folder)

    def write_step(self, step: Step) -> bool:
        """Writes a step; returns False where the bag has it already."""
        message = step_to_msg(step)
        return self.write_step_message(message, serialize_message(message))

    def write_step_message(self, message: StepMsg, cdr: bytes) -> bool:
        """Writes a step that came as a message, from the bytes it came in."""
        if message.index in self._have:
            return False
        stamp = message.observation.header.stamp
        self.write(STEPS_TOPIC, STEP_TYPE, cdr, stamp.sec * 1_000_000_000 + stamp.nanosec)
        self._have.add(message.index)
        if message.is_last:
            self._notes["outcome"] = Outcome(message.outcome).name
        self._notes |= {
            "run": message.run,
            "phase": Phase(message.phase).name,
            "episode": str(message.episode),
            "spec": message.spec,
            "steps": str(len(self._have)),
        }
        return True

    def write(self, topic: str, kind: str, cdr: bytes, stamp: int) -> None:
        """Writes any message beside the steps: ``topic`` relative, ``stamp`` in ns."""
        self._bag.write(self._namespace + topic, kind, cdr, stamp)

    def close(self) -> None:
        """Finishes the bag, with its outcome and counts in the metadata."""
        self._bag.close({**self._notes, "wall_time": f"{time.time():.3f}"})

    def abandon(self) -> None:
        """Leaves the bag unfinished, as a crash would."""
        self._bag.abandon()


def read_episode(folder: Path, spec: str | None = None) -> Episode:
    """Reads one episode; one under way, or cut off, up to its last whole step.

    Args:
        folder: of the bag.
        spec: the run's spec hash, where the episode has to fit it.

    Raises:
        UserError: it is not a bag, is damaged, holds no steps, or is of another spec.
    """
    found = {step.index: step for step in _steps(folder)}
    if not found:
        raise BagError(f"{folder}: holds no steps: give a folder that the recorder wrote")
    steps = tuple(found[index] for index in sorted(found))
    for step in steps:
        if spec is not None and step.spec != spec:
            raise UserError(
                f"{folder}: recorded with spec {step.spec or 'unknown'}, this run has {spec}: "
                "use episodes of the same task, observation and action space"
            )
    return Episode(steps)


def episode_folders(run_dir: Path, phase: Phase = Phase.TRAIN) -> list[Path]:
    """The folders of a run's episodes, in order, those under way included."""
    parent = RunDirectory(run_dir).episodes(phase)
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.name.isdigit() and path.is_dir())


def read_episodes(
    run_dir: Path,
    *phases: Phase,
    spec: str | None = None,
    finished_only: bool = False,
    numbers: Container[int] | None = None,
) -> Iterator[Episode]:
    """Reads a run's episodes in the order they were recorded.

    Args:
        run_dir: the run's folder.
        phases: which to read; none given reads RECORD, TRAIN and RUN.
        spec: as in ``read_episode``.
        finished_only: leaves out the one under way, and those that a crash cut off and
            the recorder has not closed yet.
        numbers: which to read; None: all.

    Raises:
        UserError: as in ``read_episode``.
    """
    wanted = set(phases or (Phase.RECORD, Phase.TRAIN, Phase.RUN))
    for kind in FOLDERS:
        if not any((phase == Phase.EVALUATE) == (kind == Phase.EVALUATE) for phase in wanted):
            continue
        for folder in episode_folders(run_dir, kind):
            if numbers is not None and int(folder.name) not in numbers:
                continue
            if finished_only and not is_finished(folder):
                continue
            if not is_finished(folder) and not _has_step(folder):
                continue  # under way, before its first step
            episode = read_episode(folder, spec)
            if episode.steps[0].phase in wanted:
                yield episode


def read_images(folder: Path, camera: str) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Stamps (ns) and frames (height, width, 3) of a camera: one that ``cameras`` names."""
    if camera.startswith(_IN_STEPS):
        number = int(camera.removeprefix(_IN_STEPS))
        for step in read_episode(folder).steps:
            yield step.observation.stamp, step.observation.images[number]
        return
    for message in read_messages(folder):
        if message.type == "sensor_msgs/msg/Image" and f"/camera/{camera}/" in message.topic:
            yield message.stamp, to_rgb(decode(message, Image, folder))


def cameras(folder: Path) -> list[str]:
    """Names of the cameras that a bag holds frames of, beside the steps or in them."""
    names = {
        message.topic.split("/camera/")[1].split("/")[0]
        for message in read_messages(folder)
        if message.type == "sensor_msgs/msg/Image" and "/camera/" in message.topic
    }
    if names:
        return sorted(names)
    first = next(_steps(folder), None)
    images = len(first.observation.images) if first is not None else 0
    return [f"{_IN_STEPS}{number}" for number in range(images)]


def finish_unfinished(run_dir: Path) -> list[Path]:
    """Closes bags that a crash left open; a folder without one whole step goes.

    Only for the recorder, which is the one that writes them.
    """
    result = []
    for kind in FOLDERS:
        for folder in episode_folders(run_dir, kind):
            if is_finished(folder):
                continue
            result.append(folder)
            if _has_step(folder):
                wall_time = f"{max(path.stat().st_mtime for path in folder.iterdir()):.3f}"
                finish(folder, {**_notes(read_episode(folder)), "wall_time": wall_time})
            else:
                remove_files(folder)
    return result


def _notes(episode: Episode) -> dict[str, str]:
    """What an episode's metadata says of it."""
    last = episode.steps[-1]
    return {
        "run": last.run,
        "phase": last.phase.name,
        "episode": str(last.episode),
        "spec": last.spec,
        "steps": str(len(episode.steps)),
        "outcome": episode.outcome.name,
    }


def _has_step(folder: Path) -> bool:
    return has_files(folder) and any(True for _ in _step_messages(folder))


def _step_messages(folder: Path) -> Iterator[BagMessage]:
    """A bag's messages on ``steps``, checked to be of the definition installed here."""
    for message in read_messages(folder, {STEPS_TOPIC}):
        installed = message_definition(STEP_TYPE).hash
        if message.type != STEP_TYPE:
            raise BagError(f"{folder}: 'steps' holds {message.type}, not {STEP_TYPE}")
        if message.type_hash not in ("", installed):
            raise BagError(
                f"{folder}: recorded with another definition of {STEP_TYPE} "
                f"({message.type_hash[:15]}…, installed {installed[:15]}…): read it with the "
                "version of hilserl_msgs that recorded it"
            )
        yield message


def _steps(folder: Path) -> Iterator[Step]:
    for message in _step_messages(folder):
        try:
            yield step_from_msg(decode(message, StepMsg, folder))
        except MessageError as error:
            raise BagError(f"{folder}: {error}") from None


def decode(message: BagMessage, message_class: type[Any], folder: Path) -> Any:
    """The ROS message of a bag's bytes.

    Raises:
        BagError: they are not one.
    """
    try:
        return deserialize_message(message.data, message_class)
    except Exception as error:  # rclpy raises several kinds
        raise damaged(message, folder, error) from None
