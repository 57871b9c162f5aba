"""Labels of frames, kept beside a run's bags: ``runs/NAME/labels.jsonl``, one line a label.

The bags say what happened, and nothing changes them; what a frame shows is an opinion, which
may come later and change. So a line is only ever added. Of a frame's labels a person's own
counts first, then what the operator said while the run went on, then what follows from the
episode's outcome; of those of one kind the newest.
"""

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

    @property
    def frame(self) -> tuple[str, int]:
        return self.episode, self.index


def append_labels(run_dir: Path, labels: Iterable[FrameLabel]) -> None:
    """Adds labels to a run.

    Raises:
        UserError: the run's folder is not there, or cannot be written.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run: give a folder such as runs/NAME")
    records = [
        {
            "episode": each.episode,
            "index": each.index,
            "label": each.label.name if each.label is not None else None,
            "by": each.by.name,
        }
        for each in labels
    ]
    try:
        RunDirectory(run_dir).extend(FILE, records)
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written: {error.strerror or error}") from None


def read_labels(run_dir: Path) -> dict[tuple[str, int], FrameLabel]:
    """The label that counts of every labelled frame, by episode folder and index.

    Raises:
        UserError: a line is no label.
    """
    said: dict[tuple[str, int], dict[By, FrameLabel]] = {}
    for number, line in enumerate(RunDirectory(run_dir).read(FILE), 1):
        try:
            name = line["label"]
            label = FrameLabel(
                str(line["episode"]),
                int(line["index"]),
                None if name is None else Label[name],
                By[line["by"]],
            )
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{run_dir / FILE}.jsonl, line {number}: {line} is no label: mend it, or "
                "delete the line"
            ) from None
        opinions = said.setdefault(label.frame, {})
        opinions.pop(label.by, None)
        if label.label is not None:
            opinions[label.by] = label
    return {frame: opinions[max(opinions)] for frame, opinions in said.items() if opinions}
