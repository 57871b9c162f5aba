"""What the recorder does with each message, apart from ROS: one bag an episode."""

from __future__ import annotations

import collections
import fcntl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hilserl_core.errors import UserError
from hilserl_core.messages import MessageError, check_step
from hilserl_core.step import Phase
from hilserl_msgs.msg import Step as StepMsg
from hilserl_replay.bags import (
    EpisodeWriter,
    episode_folder,
    finish_unfinished,
    read_episode,
)

# Of what comes beside the steps, before an episode's first step is complete.
_PENDING_MESSAGES = 64
_PENDING_IMAGES = 8

Key = tuple[bool, int]
"""Of an episode: whether it is an evaluation's, and its number."""


@dataclass(frozen=True)
class Beside:
    """A message that is recorded beside the steps; its topic is relative, its stamp ns."""

    topic: str
    type: str
    cdr: bytes
    stamp: int


@dataclass
class Counts:
    """What the recorder has done since it started."""

    steps: int = 0
    episodes: int = 0
    beside: int = 0
    duplicates: int = 0
    foreign: int = 0
    unfinished: int = 0


@dataclass
class _Open:
    key: Key
    writer: EpisodeWriter
    first_stamp: int
    evaluation: bool


@dataclass
class _Pending:
    messages: collections.deque[Beside] = field(
        default_factory=lambda: collections.deque(maxlen=_PENDING_MESSAGES)
    )
    images: dict[str, collections.deque[Beside]] = field(default_factory=dict)


class Recorder:
    """Writes every step to the bag of its episode before anything else.

    A step of a new episode closes one that never saw its last step. A step that a bag
    has already is dropped; one of an episode that is on disk without it continues that
    episode's bag, so that neither a restarted recorder nor a late step loses anything.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        namespace: str = "/",
        images_always: bool = False,
        log: Callable[[str], None] = print,
    ) -> None:
        """Takes hold of the run, and closes the bags that a crash left open.

        Args:
            run_dir: the run's folder; it is made where it does not exist.
            namespace: of the topics in the bags.
            images_always: records camera frames in every episode, not in evaluations only.
            log: told what a person should know.

        Raises:
            UserError: another recorder writes to the run, or the folder cannot be written.
        """
        self.run_dir = run_dir
        self.counts = Counts()
        self._namespace = namespace
        self._images_always = images_always
        self._log = log
        self._lock = lock_run(run_dir)
        self._open: _Open | None = None
        self._on_disk: dict[Key, set[int]] = {}
        self._pending = _Pending()
        for folder in finish_unfinished(run_dir):
            self.counts.unfinished += 1
            log(f"{folder}: was left unfinished, closed with its whole steps")

    @property
    def episode(self) -> int | None:
        """The number of the episode under way."""
        return self._open.key[1] if self._open else None

    def step(self, message: StepMsg, cdr: bytes) -> bool:
        """Records a step; returns False where it is dropped.

        Raises:
            UserError: the disk is full or gone.
        """
        if message.run and Path(message.run).name != self.run_dir.name:
            if not self.counts.foreign:
                self._log(f"dropping steps of run '{message.run}', this one is {self.run_dir}")
            self.counts.foreign += 1
            return False
        try:
            check_step(message)
        except MessageError as error:
            self._log(f"a step is dropped: {error}")
            self.counts.foreign += 1
            return False
        key = (message.phase == Phase.EVALUATE, message.episode)
        if message.index in self._known(key):
            self.counts.duplicates += 1
            return False
        try:
            if self._open is None or self._open.key != key:
                self._close_episode()
                self._begin(key, message)
            assert self._open is not None
            written = self._open.writer.write_step_message(message, cdr)
            self._known(key).add(message.index)
            self.counts.steps += written
            self._write_pending()
            if message.is_last:
                self._close_episode()
        except OSError as error:
            raise self._unwritable(error) from None
        return written

    def beside(self, message: Beside) -> None:
        """Records a message beside the steps of the episode under way."""
        if self._open is None:
            self._pending.messages.append(message)
            return
        self._write(message)

    def image(self, message: Beside) -> None:
        """Records a camera frame, where frames are wanted."""
        if self._open is None:
            queue = self._pending.images.setdefault(
                message.topic, collections.deque(maxlen=_PENDING_IMAGES)
            )
            queue.append(message)
        elif self._wants_images and message.stamp >= self._open.first_stamp:
            self._write(message)

    def close(self) -> None:
        """Finishes the bag under way and lets go of the run; never raises."""
        try:
            self._close_episode()
        except (OSError, UserError) as error:
            self._log(f"the bag under way stays unfinished: {error}")
            if self._open is not None:
                self._open.writer.abandon()
        self._lock.close()

    @property
    def _wants_images(self) -> bool:
        return self._images_always or (self._open is not None and self._open.evaluation)

    def _known(self, key: Key) -> set[int]:
        """Indices of an episode's steps that are on disk."""
        if key not in self._on_disk:
            folder = self._folder(key)
            steps = read_episode(folder).steps if folder.is_dir() else ()
            # One episode back is as far as a publisher's history reaches in practice; the
            # rest can be read again.
            while len(self._on_disk) > 50:
                self._on_disk.pop(next(iter(self._on_disk)))
            self._on_disk[key] = {step.index for step in steps}
        return self._on_disk[key]

    def _folder(self, key: Key) -> Path:
        return episode_folder(self.run_dir, Phase.EVALUATE if key[0] else Phase.TRAIN, key[1])

    def _begin(self, key: Key, message: StepMsg) -> None:
        stamp = message.observation.header.stamp
        writer = EpisodeWriter(self._folder(key), self._namespace)
        self._open = _Open(key, writer, stamp.sec * 1_000_000_000 + stamp.nanosec, key[0])

    def _write_pending(self) -> None:
        """Writes what came before the episode's first step and belongs to it."""
        if self._open is None:
            return
        pending, self._pending = self._pending, _Pending()
        latest: dict[str, Beside] = {message.topic: message for message in pending.messages}
        for message in pending.messages:
            # The newest of each topic says how things stood when the episode began.
            if message.stamp >= self._open.first_stamp or latest[message.topic] is message:
                self._write(message)
        for queue in pending.images.values():
            for message in queue:
                self.image(message)

    def _write(self, message: Beside) -> None:
        assert self._open is not None
        try:
            self._open.writer.write(message.topic, message.type, message.cdr, message.stamp)
        except OSError as error:
            raise self._unwritable(error) from None
        self.counts.beside += 1

    def _close_episode(self) -> None:
        if self._open is None:
            return
        self._open.writer.close()
        self._open = None
        self.counts.episodes += 1

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"{self.run_dir}: cannot be written: {error.strerror or error}: make room, then "
            "start again: the run goes on from its last whole step"
        )


def lock_run(run_dir: Path) -> BinaryIO:
    """Holds the run's lock file until closed; it goes with the process, however that ends."""
    path = run_dir / ".recorder.lock"
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written: {error.strerror or error}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UserError(
            f"{run_dir}: another recorder writes to it: stop that one, or choose another run"
        ) from None
    return file
