"""Labels of frames, kept beside a run's bags: ``runs/NAME/labels.jsonl``, one line a label."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory

FILE = "labels"


class Label(enum.IntEnum):
    """What a frame shows; the number is the reward that it earns."""

    FAILURE = -1
    NEITHER = 0
    SUCCESS = 1


class By(enum.IntEnum):
    """Who said so; a higher one beats a lower one."""

    OUTCOME = 0
    OPERATOR = 1
    HAND = 2


@dataclass(frozen=True)
class FrameLabel:
    """One frame's label.

    Attributes:
        episode: folder of its bag within the run: ``episodes/000042``.
        index: of the step that holds the frame.
        label: None takes back what ``by`` had said before.
        by: who said so.
    """

    episode: str
    index: int
    label: Label | None
    by: By


def append_labels(run_dir: Path, labels: Iterable[FrameLabel]) -> None:
    """Adds labels to a run.

    Raises:
        UserError: the run's folder is not there, or cannot be written.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run: give a folder such as runs/NAME")
    try:
        for each in labels:
            name = each.label.name if each.label is not None else None
            record = {"episode": each.episode, "index": each.index, "label": name}
            RunDirectory(run_dir).append(FILE, {**record, "by": each.by.name})
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written: {error.strerror or error}") from None
