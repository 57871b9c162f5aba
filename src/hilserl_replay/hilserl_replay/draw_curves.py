"""The program ``curves``: draws a run's curves from its logs, of one that was made without them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_replay.curve_sinks import CurveWriter, make_sinks
from hilserl_replay.curves import TAGS


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    width = max(len(tag.name) for tag in TAGS)
    parser = argparse.ArgumentParser(
        prog="curves",
        description="Draws a run's curves from its logs: TensorBoard's event files in "
        "RUN/tensorboard, or Weights & Biases.",
        epilog="curves:\n"
        + "\n".join(f"  {tag.name:{width}}  {tag.text}" for tag in TAGS)
        + "\n\nexample: hilserl run hilserl_replay curves runs/first && tensorboard --logdir runs",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="the run's folder, runs/NAME")
    parser.add_argument(
        "--wandb",
        choices=("off", "offline", "online"),
        default="off",
        help="Weights & Biases: not at all (default), into RUN/wandb, or sent",
    )
    parser.add_argument("--no-tensorboard", action="store_true", help="write no event files")
    options = parser.parse_args(args)
    try:
        print(draw(options.run, not options.no_tensorboard, options.wandb))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def draw(run: Path, tensorboard: bool, wandb: str) -> str:
    """Draws what was not drawn yet; returns a sentence that says where.

    Raises:
        UserError: the folder holds no logs, or cannot be written, or a sink is not installed.
    """
    if not any(run.glob("*.jsonl")):
        raise UserError(f"{run}: no logs of a run are there: give a folder such as runs/NAME")
    try:
        sinks = make_sinks(run, tensorboard, wandb)
        CurveWriter(run, sinks).close()
    except OSError as error:
        raise UserError(f"{run}: cannot be written: {error.strerror or error}") from None
    return f"the curves are in {' and '.join(str(sink.folder) for sink in sinks) or 'nothing'}"


if __name__ == "__main__":
    main()
