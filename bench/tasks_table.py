"""Writes the table of tasks and methods from runs that `make demo BASELINES=1` made.

Each run named is ours; those of the baselines lie beside it, named as ``scripts/demo.sh``
names them, and so may runs with another encoder. One that is not there is left out.

    python bench/tasks_table.py runs/lift_cube-cameras-seed1-... > bench/results/tasks.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.step import Source
from hilserl_replay.figures import RunData, load, report

METHODS = {
    "": "ours",
    "-hg_dagger": "HG-DAgger",
    "-behaviour_cloning": "behaviour cloning",
    "-no_human": "ours, nobody helps",
    "-end_to_end": "ours, encoder end_to_end",
    "-pretrained": "ours, encoder pretrained",
}
HEADER = (
    "| task | seed | method | success | of episodes | training episodes | training steps | of them "
    "by a person | training, min | median time to success |\n" + "|---" * 10 + "|"
)


def _text(value: Any, form: str, unit: str = "") -> str:
    return "-" if value is None else format(value, form) + unit


def row(data: RunData, method: str) -> str:
    """One line of the table."""
    figures = report(data)
    evaluation, training = figures["evaluation"], figures["training"]
    human = sum(episode.steps[Source.HUMAN] for episode in data.training)
    wall = training["wall_s"]
    cells = (
        str(figures["task"]),
        str(figures["seed"]),
        method,
        _text(evaluation["success_rate"], ".0%").replace("%", " %"),
        str(evaluation["episodes"]),
        str(training["episodes"]),
        str(training["env_steps"]),
        str(human),
        _text(None if wall is None else wall / 60, ".1f"),
        _text(evaluation["cycle_time_s"], ".1f", " s"),
    )
    return "| " + " | ".join(cells) + " |"


def table(runs: list[Path]) -> str:
    """The whole table.

    Raises:
        UserError: a folder is not a run.
    """
    lines = [HEADER]
    for run in runs:
        for ending, method in METHODS.items():
            path = run.with_name(run.name + ending)
            if not ending or path.is_dir():
                lines.append(row(load(path), method))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of our own runs")
    try:
        print(table(parser.parse_args().runs))
    except UserError as error:
        sys.exit(f"tasks_table: {error}")


if __name__ == "__main__":
    main()
