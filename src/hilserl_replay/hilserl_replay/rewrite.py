"""Writing a recorded episode anew: another bag takes the old one's place once it is whole.

The new bag is written in a folder aside and read back; then the old one moves aside and the
new one takes its name, and only then does the old one go. A crash leaves the old bag or the
new one under the episode's name, or, between two renames, the old one aside, from where
``recover`` brings it back.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rclpy.serialization import serialize_message

from hilserl_core.errors import UserError
from hilserl_core.messages import step_from_msg, step_to_msg
from hilserl_core.step import Episode, Outcome, Step
from hilserl_msgs.msg import Step as StepMsg
from hilserl_replay.bag_metadata import is_finished, read_notes
from hilserl_replay.bags import STEP_TYPE, STEPS_TOPIC, decode, read_episode
from hilserl_replay.mcap_bag import BagMessage, BagWriter, read_messages
from hilserl_replay.message_definitions import message_definition

_ASIDE = ".rewriting"
_BEFORE = ".before"

Change = Callable[[Step], Step]


@dataclass(frozen=True)
class EpisodeCopy:
    """A copy of an episode's bag, with everything that was recorded beside the steps.

    Attributes:
        source: the episode's folder.
        change: what each step becomes.
        notes: added to what the bag's metadata says of it.
    """

    source: Path
    change: Change
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def write(self, target: Path) -> None:
        """Writes the copy into ``target``, a folder that does not exist, and checks it.

        Raises:
            UserError: the episode cannot be read or copied, or ``target`` cannot be written.
        """
        steps: list[Step] = []
        try:
            bag = BagWriter(target)
            for message in read_messages(self.source):
                _check_definition(message, self.source)
                data = message.data
                if _is_step(message):
                    step = self.change(step_from_msg(decode(message, StepMsg, self.source)))
                    steps.append(step)
                    data = serialize_message(step_to_msg(step))
                bag.write(message.topic, message.type, data, message.stamp)
            bag.close({**read_notes(self.source), **_step_notes(steps), **self.notes})
        except OSError as error:
            raise UserError(f"{target}: cannot be written: {error.strerror or error}") from None
        self._check(target, steps)

    def _check(self, target: Path, steps: list[Step]) -> None:
        """Reads the copy back before anybody relies on it."""
        expected = sum(1 for _ in read_messages(self.source))
        written = list(read_messages(target))
        found = [step_from_msg(decode(m, StepMsg, target)) for m in written if _is_step(m)]
        if len(written) != expected or list(map(_marks, found)) != list(map(_marks, steps)):
            raise UserError(
                f"{target}: what was written is not what was meant ({len(written)} of {expected} "
                "messages): check the disk; the original is untouched"
            )


def replace_episode(folder: Path, change: Change, notes: Mapping[str, str] | None = None) -> None:
    """Changes the steps of a finished episode on disk.

    Raises:
        UserError: as ``EpisodeCopy.write``; the episode is then as it was.
    """
    recover(folder.parent)
    aside = folder.parent / _ASIDE
    new, before = aside / folder.name, aside / (folder.name + _BEFORE)
    try:
        EpisodeCopy(folder, change, notes or {}).write(new)
        folder.rename(before)
        new.rename(folder)
    finally:
        recover(folder.parent)


def recover(parent: Path) -> None:
    """Ends what a crash interrupted: an original that is aside comes back, or goes."""
    aside = parent / _ASIDE
    if not aside.is_dir():
        return
    for before in aside.glob(f"*{_BEFORE}"):
        place = parent / before.name.removesuffix(_BEFORE)
        if not place.exists():
            before.rename(place)
    shutil.rmtree(aside)


def closed_episode(folder: Path) -> Episode:
    """An episode that may be copied.

    Raises:
        UserError: its bag is not closed, or cannot be read.
    """
    if not is_finished(folder):
        raise UserError(
            f"{folder}: is under way, or was cut off and not closed yet: let the run end, or "
            "resume it, and try again"
        )
    return read_episode(folder)


def _is_step(message: BagMessage) -> bool:
    return message.type == STEP_TYPE and message.topic.rsplit("/", 1)[-1] == STEPS_TOPIC


def _check_definition(message: BagMessage, folder: Path) -> None:
    """A message is copied in its bytes: they must mean the same under the new definition."""
    installed = message_definition(message.type).hash
    if message.type_hash not in ("", installed):
        raise UserError(
            f"{folder}: '{message.topic}' was recorded with another definition of "
            f"{message.type}: copy it with the version of that package that recorded it"
        )


def _step_notes(steps: list[Step]) -> dict[str, str]:
    """What the metadata says of an episode's steps; nothing of a bag that holds none."""
    if not steps:
        return {}
    newest = max(steps, key=lambda step: step.index)
    outcome = newest.outcome if newest.is_last else Outcome.ABORTED
    return {
        "run": newest.run,
        "phase": newest.phase.name,
        "episode": str(newest.episode),
        "outcome": outcome.name,
        "steps": str(len(steps)),
    }


def _marks(step: Step) -> tuple[object, ...]:
    return (
        *(step.run, step.phase, step.episode, step.index, step.source, step.reward),
        *(step.is_first, step.is_last, step.is_terminal, step.outcome, step.observation.stamp),
        *(step.action.tobytes(), step.observation.state.tobytes()),
    )
