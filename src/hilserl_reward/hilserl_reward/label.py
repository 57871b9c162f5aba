"""The program ``label``: says which frames of a run show success, failure, or neither."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.labels import By, FrameLabel, Label, append_labels, read_labels
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build
from hilserl_core.run import EPISODE_DIGITS
from hilserl_replay.bags import read_episode
from hilserl_reward.contact_sheet import serve
from hilserl_reward.labelling import LabelSettings, label_run

_EXAMPLE = """\
examples:
  label runs/first                                    what is labelled so far
  label runs/first --outcomes                         from outcomes and the operator's word
  label runs/first --episode 12 --frames 40:47 --set failure
  label runs/first --browser                          by clicking on frames
"""
_NONE = "none"


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the last line printed says what is labelled."""
    parser = _parser()
    arguments = parser.parse_args(args)
    try:
        for run in arguments.runs:
            _label(run, arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="label",
        description="Labels frames of runs; labels are kept beside the bags, in labels.jsonl.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run, runs/NAME")
    parser.add_argument(
        "--outcomes",
        action="store_true",
        help="from how episodes ended and what the operator said; a label set by hand stays",
    )
    parser.add_argument(
        "--set",
        choices=[*(label.name.lower() for label in Label), _NONE],
        help="a label for some frames of one episode; none takes back what was set by hand",
    )
    parser.add_argument("--episode", help="its number, or evaluation/NUMBER")
    parser.add_argument("--frames", metavar="FIRST:END", help="as in Python: END is not meant")
    parser.add_argument("--browser", action="store_true", help="serve a page to click on frames")
    parser.add_argument("--port", type=int, default=0, help="of that page; 0: any that is free")
    add_options(parser, LabelSettings, "with --outcomes")
    return parser


def _label(run: Path, arguments: argparse.Namespace) -> None:
    if not run.is_dir():
        raise UserError(f"{run}: no such run: give a folder such as runs/NAME")
    if arguments.outcomes:
        settings = build(LabelSettings, given(arguments, LabelSettings))
        append_labels(run, _news(run, settings))
    if arguments.set:
        append_labels(run, set_by_hand(run, arguments.episode, arguments.frames, arguments.set))
    if arguments.browser:
        serve(run, arguments.port)
    print(summary(run))


def _news(run: Path, settings: LabelSettings) -> list[FrameLabel]:
    """What outcomes and words say that is not written down yet, or say no longer."""
    known = set(read_labels(run).values())
    said = [label for episode in label_run(run, settings) for label in episode]
    about = {(label.frame, label.by) for label in said}
    gone = [
        dataclasses.replace(label, label=None)
        for label in known
        if label.by != By.HAND and (label.frame, label.by) not in about
    ]
    return gone + [label for label in said if label not in known]


def set_by_hand(run: Path, episode: str | None, frames: str | None, name: str) -> list[FrameLabel]:
    """A person's label for a range of frames.

    Args:
        run: the run's folder.
        episode: number, or ``evaluation/NUMBER``.
        frames: ``FIRST:END``, either may be missing.
        name: of the label, or "none".

    Raises:
        UserError: there is no such episode or frame.
    """
    if not episode or not frames:
        raise UserError("--set needs --episode and --frames: which frames it is about")
    folder, _, number = episode.rpartition("/")
    if not number.isdigit() or folder not in ("", "episodes", "evaluation"):
        raise UserError(f"--episode '{episode}': give a number, or evaluation/NUMBER")
    episode_name = f"{folder or 'episodes'}/{int(number):0{EPISODE_DIGITS}d}"
    if not (run / episode_name).is_dir():
        raise UserError(f"--episode '{episode}': {run} has no {episode_name}")
    there = [step.index for step in read_episode(run / episode_name).steps]
    first, colon, end = frames.partition(":")
    if not colon or not all(part.isdigit() for part in (first, end) if part):
        raise UserError(f"--frames '{frames}': give FIRST:END, as in 40:47")
    low, high = int(first or 0), int(end or there[-1] + 1)
    chosen = [index for index in there if low <= index < high]
    if not chosen or high > there[-1] + 1:
        raise UserError(f"--frames '{frames}': {episode_name} has frames {there[0]} to {there[-1]}")
    label = None if name == _NONE else Label[name.upper()]
    return [FrameLabel(episode_name, index, label, By.HAND) for index in chosen]


def summary(run: Path) -> str:
    """What is labelled in a run, in one line."""
    labels = read_labels(run).values()
    if not labels:
        return f"{run}: no labels yet"
    count = Counter((label.label, label.by) for label in labels)
    parts = []
    for label in (Label.SUCCESS, Label.FAILURE, Label.NEITHER):
        by = {each.name.lower(): count[label, each] for each in By if count[label, each]}
        said = ", ".join(f"{n} by {name}" for name, n in by.items())
        parts.append(f"{sum(by.values())} {label.name.lower()}" + (f" ({said})" if by else ""))
    episodes = len({label.episode for label in labels})
    return f"{run}: {len(labels)} frames of {episodes} episodes: {', '.join(parts)}"


if __name__ == "__main__":
    main()
