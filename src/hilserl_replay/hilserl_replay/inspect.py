"""The program ``inspect``: what a run's bags hold, and whether anything is missing."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hilserl_core.errors import UserError
from hilserl_core.step import Outcome, Phase, Source
from hilserl_replay.summary import (
    EpisodeSummary,
    RunSummary,
    cycle_time,
    intervention_rate,
    success_rate,
    summarise_run,
)

_NAMED = 8  # episodes that a line names before it says how many more there are


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 0 where nothing is missing or damaged, and 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="inspect",
        description="Episodes, steps by source, outcomes and gaps of a run.",
        epilog="example: hilserl run hilserl_replay inspect runs/first",
    )
    parser.add_argument("run", type=Path, help="the run's folder, runs/NAME")
    arguments = parser.parse_args(args)
    try:
        summary = summarise_run(arguments.run)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    # A pipe has no width of its own; the table must not be folded for it.
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    raise SystemExit(show(arguments.run, summary, console))


def show(run_dir: Path, summary: RunSummary, console: Console) -> int:
    """Prints the summary; returns the exit code."""
    console.print(_table(run_dir, summary))
    _print_under_way(summary, console)
    missing = [episode for episode in summary.episodes if episode.missing]
    numbers = _missing_episodes(summary)
    if missing:
        count = sum(episode.missing for episode in missing)
        named = _names([f"{e.name} ({e.missing})" for e in missing])
        console.print(f"gaps: {count} steps missing in {named}")
    elif numbers:
        console.print(f"gaps: no bag of {_names(numbers)}")
    else:
        console.print("gaps: none")
    for problem in summary.unreadable:
        console.print(f"unreadable: {problem}")
    return 1 if missing or numbers or summary.unreadable else 0


def _table(run_dir: Path, summary: RunSummary) -> Table:
    table = Table(title=str(run_dir), title_justify="left", title_style="bold")
    table.add_column("phase")
    for heading in ("episodes", "steps", *(source.name.lower() for source in Source)):
        table.add_column(heading, justify="right")
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIMEOUT, Outcome.ABORTED):
        table.add_column(outcome.name.lower(), justify="right")
    for heading in ("success %", "human %", "cycle s", "rate Hz"):
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
    steps = {source: sum(e.steps[source] for e in episodes) for source in Source}
    outcomes = [e.outcome for e in episodes if e.finished]
    rates = [e.transitions / e.duration for e in episodes if e.duration > 0]
    cycle = cycle_time(episodes)
    return [
        str(len(episodes)),
        str(sum(steps.values())),
        *(str(count) for count in steps.values()),
        *(str(outcomes.count(outcome)) for outcome in Outcome if outcome != Outcome.NONE),
        _percent(success_rate([e for e in episodes if e.finished])),
        _percent(intervention_rate(episodes)),
        "" if cycle is None else f"{cycle:.1f}",
        f"{statistics.median(rates):.1f}" if rates else "",
    ]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _print_under_way(summary: RunSummary, console: Console) -> None:
    open_ = [f"{e.name} ({e.transitions + 1} steps)" for e in summary.episodes if not e.finished]
    if open_:
        console.print(f"under way, or cut off and not closed yet: {_names(open_)}")


def _missing_episodes(summary: RunSummary) -> list[str]:
    """Numbers without a bag below the highest, as ``episodes/000013``."""
    result = []
    for parent in sorted({episode.folder.parent for episode in summary.episodes}):
        numbers = {int(path.name) for path in parent.iterdir() if path.name.isdigit()}
        result += [
            f"{parent.name}/{n:06d}" for n in range(max(numbers, default=0)) if n not in numbers
        ]
    return result


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


if __name__ == "__main__":
    main()
