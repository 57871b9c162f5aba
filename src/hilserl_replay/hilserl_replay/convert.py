"""The program ``convert``: raw bags become episodes of steps, a run that a learner takes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.progress import Meter
from hilserl_replay.bag_reader import READERS, BagReader, open_bag
from hilserl_replay.bag_ticks import BagTicks, TickCounts
from hilserl_replay.contract import Contract, Terms, known_contracts, read_contract
from hilserl_replay.episode_maker import EpisodeCounts, EpisodeMaker
from hilserl_replay.run_writer import RunWriter

_DESCRIPTION = """Turns raw bags into the episodes of a run, as a contract says.

A bag is a folder or file of rosbag2, in MCAP or sqlite3, that ros2 bag, we, or any other
program recorded; one that was cut off is read up to where it was. It stays as it is. The run is
what `inspect`, `report`, and a learner's `demonstrations:=` take."""


@dataclass
class Conversion:
    """What came of it.

    Attributes:
        seconds: recorded, over all bags.
        problems: parts of bags that could not be read.
    """

    ticks: TickCounts = field(default_factory=TickCounts)
    episodes: EpisodeCounts = field(default_factory=EpisodeCounts)
    seconds: float = 0.0
    wall: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, ticks: TickCounts) -> None:
        self.ticks.kept += ticks.kept
        self.ticks.dropped += ticks.dropped
        self.ticks.pauses += ticks.pauses
        self.ticks.late += ticks.late
        self.seconds += ticks.seconds


def convert(bags: Sequence[BagReader], contract: Contract, output: Path) -> Conversion:
    """Converts bags into one run.

    Args:
        bags: read one after the other; an episode ends with its bag.
        contract: what their topics are.
        output: the run's folder, which must not exist.

    Raises:
        UserError: a bag does not fit the contract, or gives nothing; nothing is written then.
    """
    began = time.monotonic()
    result = Conversion()
    config = {
        "arguments": {
            "task": contract.terms.task,
            "observation": contract.terms.observation,
            "action_space": contract.terms.action_space,
        },
        "bags": [str(bag.path.resolve()) for bag in bags],
        "contract": asdict(contract),
    }
    sizes: dict[str, tuple[int, int]] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, RunWriter(output, config) as writer:
        maker = EpisodeMaker(contract, output.resolve().name, writer)
        for bag in bags:
            _convert_bag(bag, BagTicks(bag, contract, pool, sizes), maker, result)
        result.episodes = maker.counts
        if not sum(maker.counts.outcomes.values()):
            raise UserError(
                f"{', '.join(str(bag.path) for bag in bags)}: no episode: "
                f"{_why_nothing(result.ticks)}; {maker.counts.short} episodes were shorter than "
                f"{contract.episodes.min_steps} steps, {maker.counts.outside} ticks lay outside "
                "of any: see 'episodes' in the contract"
            )
    result.wall = time.monotonic() - began
    return result


def _convert_bag(bag: BagReader, ticks: BagTicks, maker: EpisodeMaker, result: Conversion) -> None:
    with Meter(bag.path.name, 1.0) as meter:
        for tick in ticks.read():
            maker.take(tick)
            meter.update(bag.progress)
    maker.finish(ticks.events_left)
    result.add(ticks.counts)
    result.problems += bag.problems
    if not ticks.counts.kept:
        told = "".join(f"; {problem}" for problem in bag.problems)
        raise UserError(f"{bag.path}: gives no tick: {_why_nothing(ticks.counts)}{told}")


def _why_nothing(counts: TickCounts) -> str:
    if not counts.dropped:
        return "no tick was dropped" if counts.kept else "it holds no measurement"
    reasons = ", ".join(f"{count} x {reason}" for reason, count in counts.dropped.most_common(4))
    late = any("nothing" in reason for reason in counts.dropped)
    hint = " (if the streams' clocks differ, use 'stamp: receive' for them)" if late else ""
    return reasons + hint


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 0 where a run was written, and 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="convert",
        description=_DESCRIPTION,
        epilog="example: hilserl run hilserl_replay convert BAG --output runs/mine",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("bag", type=Path, nargs="+", help="a bag's folder, or a file of it")
    parser.add_argument("--output", type=Path, required=True, help="the run to write, runs/NAME")
    parser.add_argument(
        "--contract",
        default="koch",
        help=f"a file, or one of {', '.join(known_contracts())} [koch]",
    )
    parser.add_argument("--reader", choices=READERS, default="", help="[rosbag2_py if installed]")
    add_options(parser, Terms, "in place of the contract's")
    arguments = parser.parse_args(args)
    try:
        contract = read_contract(arguments.contract, given(arguments, Terms))
        bags = [open_bag(path, arguments.reader) for path in arguments.bag]
        result = convert(bags, contract, arguments.output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("error: interrupted: nothing was written", file=sys.stderr)
        raise SystemExit(130) from None
    show(result, arguments.output, Console(width=None if sys.stdout.isatty() else 140))


def show(result: Conversion, output: Path, console: Console) -> None:
    """Prints what was kept, what was dropped, and why."""
    episodes, ticks = result.episodes, result.ticks
    table = Table(title=f"{output}", title_justify="left", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(str(sum(episodes.outcomes.values())), f"episodes: {_counted(episodes.outcomes)}")
    table.add_row(str(sum(episodes.steps.values())), f"steps: {_counted(episodes.steps)}")
    for count, text in (
        (episodes.short, "episodes dropped: too short (min_steps)"),
        (ticks.kept, "ticks whole"),
        *((count, f"ticks dropped: {reason}") for reason, count in ticks.dropped.most_common()),
        (episodes.outside, "ticks outside of any episode"),
        (ticks.pauses, "pauses, in which nothing was measured"),
        (ticks.late, "messages that came too late for their tick"),
        (episodes.clipped, "actions clipped: the arm moved further in a tick than one can say"),
    ):
        if count:
            table.add_row(str(count), text)
    console.print(table)
    for problem in result.problems:
        console.print(f"cut off: {problem}", highlight=False)
    console.print(
        f"{result.seconds:.1f} s recorded, converted in {result.wall:.1f} s "
        f"({result.seconds / max(result.wall, 1e-9):.1f} times real time)",
        highlight=False,
    )


def _counted(counter: Counter[Any]) -> str:
    return ", ".join(f"{count} {key.name}" for key, count in counter.most_common())


if __name__ == "__main__":
    main()
