"""The program ``inspect``: what runs and bags hold, and whether anything is missing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_core.step import Phase, Source
from hilserl_replay.bag_reader import is_bag
from hilserl_replay.bag_summary import BagSummary, summarise_bag
from hilserl_replay.bags import FOLDERS, STEPS_TOPIC
from hilserl_replay.contact_sheet import contact_sheet, pick
from hilserl_replay.inspection import (
    FIGURES,
    Inspection,
    Rows,
    as_json,
    bag_as_json,
    inspect_episode,
    inspect_run,
    totals,
)
from hilserl_replay.mcap_bag import has_files, read_messages
from hilserl_replay.selection import select_folders
from hilserl_replay.summary import EpisodeSummary, RunSummary

_NAMED = 8  # episodes that a line names before it says how many more there are
_OUTCOMES = ("success", "failure", "timeout", "aborted", "discarded")


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 0 where nothing is missing or damaged, and 1 otherwise."""
    arguments = _parser().parse_args(args)
    # A pipe has no width of its own; the table must not be folded for it.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    try:
        if arguments.picture is not None:
            _write_picture(arguments)
        found = {str(path): _inspect(path) for path in arguments.path}
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if arguments.json:
        plain = [{"path": path, **_plain(result)} for path, result in found.items()]
        print(json.dumps(plain[0] if len(plain) == 1 else plain, indent=2))
    else:
        for path, result in found.items():
            show(path, result, console)
    whole = all(isinstance(result, BagSummary) or result.whole for result in found.values())
    raise SystemExit(0 if whole else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inspect",
        description="Episodes, steps by source, outcomes, rates, gaps and statistics of runs; of "
        "any other bag, its topics.",
        epilog="example: hilserl run hilserl_replay inspect runs/first --picture first.png",
    )
    parser.add_argument("path", type=Path, nargs="+", help="a run, runs/NAME, or a bag's folder")
    parser.add_argument("--json", action="store_true", help="prints everything as JSON")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="OUT.png",
        help="writes a contact sheet: frames of episodes, with their joints and actions below",
    )
    parser.add_argument(
        "--episodes", metavar="3,5-9", help="of a run, those on the picture [a few, spread]"
    )
    return parser


def _inspect(path: Path) -> Inspection | BagSummary:
    if not is_bag(path):
        return inspect_run(path)
    if (
        path.name.isdigit()
        and has_files(path)
        and any(True for _ in read_messages(path, {STEPS_TOPIC}))
    ):
        return inspect_episode(path)
    return summarise_bag(path)


def _plain(result: Inspection | BagSummary) -> dict[str, Any]:
    return bag_as_json(result) if isinstance(result, BagSummary) else as_json(result)


def _write_picture(arguments: argparse.Namespace) -> None:
    folders: list[Path] = []
    for path in arguments.path:
        if has_files(path):
            folders.append(path)
        elif arguments.episodes is None:
            folders += pick(select_folders(path, None, FOLDERS))
        else:
            folders += select_folders(path, arguments.episodes, (Phase.TRAIN,))
    picture = contact_sheet(folders)
    try:
        write_aside(arguments.picture, picture)
    except OSError as error:
        raise UserError(f"{arguments.picture}: cannot be written: {error.strerror}") from None


def show(path: str, result: Inspection | BagSummary, console: Console) -> None:
    """Prints what was found."""
    if isinstance(result, BagSummary):
        console.print(_topics(path, result))
        for problem in result.problems:
            console.print(f"unreadable: {problem}")
        return
    summary = result.summary
    console.print(_table(path, summary))
    _print_under_way(summary, console)
    _print_gaps(result, console)
    for problem in summary.unreadable:
        console.print(f"unreadable: {problem}")
    if result.other_shapes:
        console.print(f"states or actions of another size: {_names(result.other_shapes)}")
    for kind, rows in result.statistics.items():
        if rows:
            console.print(_statistics(kind, rows))


def _table(path: str, summary: RunSummary) -> Table:
    table = Table(title=path, title_justify="left", title_style="bold")
    table.add_column("phase")
    for heading in ("episodes", "steps", *(source.name.lower() for source in Source)):
        table.add_column(heading, justify="right")
    for heading in (*_OUTCOMES, "success %", "human %", "cycle s", "rate Hz"):
        table.add_column(heading, justify="right")
    for phase in (Phase.RECORD, Phase.TRAIN, Phase.EVALUATE, Phase.RUN):
        episodes = summary.of(phase)
        if episodes:
            table.add_row(phase.name.lower(), *_row(episodes))
    if len({episode.phase for episode in summary.episodes}) > 1:
        table.add_section()
        table.add_row("all", *_row(summary.episodes))
    return table


def _row(episodes: Sequence[EpisodeSummary]) -> list[str]:
    found = totals(episodes)
    return [
        str(found["episodes"]),
        str(sum(found["steps"].values())),
        *(str(count) for count in found["steps"].values()),
        *(str(found["outcomes"][outcome]) for outcome in _OUTCOMES),
        _percent(found["success_rate"]),
        _percent(found["intervention_rate"]),
        _number(found["cycle_time_s"]),
        _number(found["rate_hz"]),
    ]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _print_under_way(summary: RunSummary, console: Console) -> None:
    open_ = [f"{e.name} ({e.transitions + 1} steps)" for e in summary.episodes if not e.finished]
    if open_:
        console.print(f"under way, or cut off and not closed yet: {_names(open_)}")


def _print_gaps(result: Inspection, console: Console) -> None:
    episodes = result.summary.episodes
    missing = [episode for episode in episodes if episode.missing]
    late = [episode for episode in episodes if episode.late]
    if missing:
        count = sum(episode.missing for episode in missing)
        named = _names([f"{e.name} ({e.missing})" for e in missing])
        console.print(f"gaps: {count} steps missing in {named}")
    if result.missing_episodes:
        console.print(f"gaps: no bag of {_names(result.missing_episodes)}")
    if late:
        count = sum(episode.late for episode in late)
        named = _names([f"{e.name} ({e.late})" for e in late])
        console.print(f"gaps: {count} ticks passed without a step in {named}")
    if not (missing or late or result.missing_episodes):
        console.print("gaps: none")


def _statistics(kind: str, rows: Rows) -> Table:
    table = Table(title=f"{kind}, all steps", title_justify="left", title_style="bold")
    table.add_column(kind)
    for figure in FIGURES:
        table.add_column(figure, justify="right")
    for row in rows:
        table.add_row(row["name"], *(f"{row[figure]:.4f}" for figure in FIGURES))
    return table


def _topics(path: str, bag: BagSummary) -> Table:
    title = f"{path} · {bag.duration:.1f} s"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("topic")
    table.add_column("type")
    for heading in ("messages", "rate Hz", "longest gap s", "missing", "backwards"):
        table.add_column(heading, justify="right")
    for name, topic in sorted(bag.topics.items()):
        gap = "" if topic.longest is None else f"{topic.longest:.3f}"
        table.add_row(
            *(name, topic.type, str(topic.count), _number(topic.rate)),
            *(gap, str(topic.missing), str(topic.backwards)),
        )
    return table


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


if __name__ == "__main__":
    main()
