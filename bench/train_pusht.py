"""Trains PushT with scripted demonstrations, seed by seed, and keeps the curves.

Each seed is a run of ``train_offline`` with the settings that suit PushT; what else is given
goes to it. Every curve in the folder of results is drawn, also those of other methods.

    python bench/train_pusht.py --seeds 1 2 3
    python bench/train_pusht.py --seeds 1 --name cloning --algorithm bc
    python bench/train_pusht.py --seeds 1 --name pixels --env-settings obs_type=pixels_agent_pos
    python bench/train_pusht.py --seeds 1 2 3 --keep
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build
from hilserl_core.run import RunDirectory, write_aside
from hilserl_learner import process
from hilserl_learner.offline import EVALUATIONS, OfflineParameters, OfflineRun
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.train_offline import NOT_OFFERED

RESULTS = Path(__file__).resolve().parent / "results" / "pusht"
RUNS = Path("runs", "pusht")
PUBLISHED = {"diffusion policy, imitation (published)": 0.71}
"""Success on keypoints, of Chi et al. 2023."""
KEPT = (
    "steps",
    "ticks_trained",
    "updates",
    "processor_seconds",
    "episodes",
    "success",
    "best",
    "ticks",
)


def folder(name: str, seed: int) -> Path:
    """Of one seed's run."""
    return RUNS / f"{name}-seed{seed}"


def train(seed: int, given_: dict[str, Any], learning: dict[str, Any], name: str) -> dict[str, Any]:
    """One seed: trains, evaluates, keeps the curve; returns the last evaluation's figures."""
    values = {**given_, "run": str(folder(name, seed)), "env": "gym_pusht/PushT-v0", "seed": seed}
    run = OfflineRun(build(OfflineParameters, values), learning, print_line)
    process.prepare(run.learner_parameters.threads)
    figures = run.train()
    keep(name, seed)
    return figures


def keep(name: str, seed: int) -> None:
    """Copies the curve of a run, also of one that is under way, into the results."""
    lines = RunDirectory(folder(name, seed)).read(EVALUATIONS)
    if not lines:
        raise UserError(f"{folder(name, seed)} holds no evaluation: train it first")
    kept = [{key: line[key] for key in (*KEPT, "final") if key in line} for line in lines]
    text = "".join(json.dumps({"seed": seed, **line}) + "\n" for line in kept)
    write_aside(RESULTS / f"{name}-seed{seed}.jsonl", text.encode())


def print_line(line: str) -> None:
    print(line, flush=True)


def curves() -> dict[str, list[list[dict[str, Any]]]]:
    """The evaluations of every run, by the name of its method."""
    result: dict[str, list[list[dict[str, Any]]]] = {}
    for path in sorted(RESULTS.glob("*-seed*.jsonl")):
        name = path.stem.rpartition("-seed")[0]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        result.setdefault(name, []).append(lines)
    return result


def draw() -> Path:
    """Draws success over the environment's ticks of training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.6), dpi=100)
    for number, (name, runs) in enumerate(curves().items()):
        for i, lines in enumerate(runs):
            points = [
                (e["ticks_trained"] / 1000, 100 * e["success"]) for e in lines if "final" not in e
            ]
            axes.plot(*np.array(points).T, color=f"C{number}", lw=1, alpha=0.6,
                      label=name if i == 0 else None)  # fmt: skip
            for end in (e for e in lines if "final" in e):
                axes.plot(
                    end["ticks_trained"] / 1000, 100 * end["success"], "o", color=f"C{number}"
                )
    for name, value in PUBLISHED.items():
        axes.axhline(100 * value, color="grey", lw=1, ls=":", label=name)
    axes.set(xlabel="control ticks of training, thousands", ylabel="success, %", ylim=(-2, 102))
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    figure.tight_layout()
    path = RESULTS / "success.png"
    figure.savefig(path)
    return path


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--name", default="rlpd", help="of the method, for files and picture")
    parser.add_argument(
        "--keep", action="store_true", help="only copy and draw the curves of runs as they are"
    )
    own = ("env", "seed", "run")
    add_options(parser, OfflineParameters, "each run", own)
    add_options(parser, LearnerParameters, "the learner", NOT_OFFERED)
    options = parser.parse_args(args)
    values = given(options, OfflineParameters, own)
    learning = given(options, LearnerParameters, NOT_OFFERED)
    rows = []
    try:
        for seed in options.seeds:
            if options.keep:
                keep(options.name, seed)
            else:
                rows.append(train(seed, values, learning, options.name))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if rows:
        each = ", ".join(f"{100 * row['success']:.0f} %" for row in rows)
        hours = np.mean([row["processor_seconds"] for row in rows]) / 3600
        print(
            f"{options.name}: success {each} of {rows[0]['episodes']} episodes each, average "
            f"maximum reward {np.mean([row['best'] for row in rows]):.3f}, after "
            f"{rows[0]['steps']} actions and {hours:.2f} h of processor a seed"
        )
    print(draw())


if __name__ == "__main__":
    main()
