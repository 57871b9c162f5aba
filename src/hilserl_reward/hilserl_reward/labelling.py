"""Labels that follow from what a run already knows: outcomes, and the operator's word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl_core.labels import By, FrameLabel, Label
from hilserl_core.parameters import parameter
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Episode, Event, Outcome
from hilserl_msgs.msg import OperatorEvent
from hilserl_replay.bags import FOLDERS, decode, episode_folders, read_episode, type_name
from hilserl_replay.mcap_bag import read_messages

_EVENT = type_name(OperatorEvent)
_SAID = {Event.SUCCESS: Label.SUCCESS, Event.FAILURE: Label.FAILURE}


@dataclass(frozen=True)
class LabelSettings:
    """How many frames a single word is about."""

    last: int = parameter(
        6,
        "frames at the end of a success (a failure) that show it: as many as the judge, or the "
        "person, has seen the task done before the word",
        low=1,
        high=1000,
    )
    margin: int = parameter(
        5,
        "frames before those that stay without a label: it may have been done, or nearly",
        low=0,
        high=1000,
    )


def episode_name(folder: Path) -> str:
    """An episode's folder as labels name it: ``episodes/000042``."""
    return f"{folder.parent.name}/{folder.name}"


def from_outcome(episode: Episode, name: str, settings: LabelSettings) -> list[FrameLabel]:
    """What an episode's outcome says of its frames; nothing of one that was aborted."""
    steps = episode.steps
    if episode.outcome in (Outcome.NONE, Outcome.ABORTED):
        return []
    end = {Outcome.SUCCESS: Label.SUCCESS, Outcome.FAILURE: Label.FAILURE}.get(episode.outcome)
    last = max(len(steps) - settings.last, 0) if end is not None else len(steps)
    before = max(last - settings.margin, 0) if end is not None else last
    result = [FrameLabel(name, step.index, Label.NEITHER, By.OUTCOME) for step in steps[:before]]
    if end is not None:
        result += [FrameLabel(name, step.index, end, By.OUTCOME) for step in steps[last:]]
    return result


@dataclass(frozen=True)
class Word:
    """What an operator said of the newest observation that they had seen, by its stamp, ns."""

    stamp: int
    label: Label


def read_words(folder: Path) -> list[Word]:
    """The operators' words in a bag, which may be about the episode before it."""
    words = []
    for message in read_messages(folder):
        if message.type != _EVENT:
            continue
        event = decode(message, OperatorEvent, folder)
        if event.event in _SAID:
            words.append(Word(stamp_to_ns(event.header.stamp), _SAID[Event(event.event)]))
    return words


def from_words(
    episode: Episode, name: str, words: Iterable[Word], settings: LabelSettings
) -> list[FrameLabel]:
    """Labels of the frames that the operator had just seen when they spoke.

    Args:
        episode: whose frames are labelled.
        name: of its folder.
        words: of any episode; those about this one count, the last one last.
        settings: how many frames a word is about.
    """
    steps = episode.steps
    result = []
    for word in words:
        if not steps[0].observation.stamp <= word.stamp <= steps[-1].observation.stamp:
            continue
        seen = [step for step in steps if step.observation.stamp <= word.stamp]
        result += [
            FrameLabel(name, step.index, word.label, By.OPERATOR) for step in seen[-settings.last :]
        ]
    return result


def label_run(run_dir: Path, settings: LabelSettings) -> Iterator[list[FrameLabel]]:
    """The labels of a run's episodes, one list an episode, from outcomes and words.

    A word said after an episode had ended is in the bag of the next one, so all are read first.
    """
    folders = [folder for kind in FOLDERS for folder in episode_folders(run_dir, kind)]
    words: Sequence[Word] = [word for folder in folders for word in read_words(folder)]
    for folder in folders:
        episode, name = read_episode(folder), episode_name(folder)
        yield from_outcome(episode, name, settings) + from_words(episode, name, words, settings)
