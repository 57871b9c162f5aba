"""The program ``report``: writes a run's report.json, report.html and pictures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_core.step import Outcome, Phase
from hilserl_replay.figures import RunData, load, report
from hilserl_replay.filmstrip import filmstrip
from hilserl_replay.page import Strip, percent, render
from hilserl_replay.plots import draw_all
from hilserl_replay.summary import EpisodeSummary

_TRIED = 5  # episodes looked through for frames before a strip is given up


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the last line printed is the evaluation's figure and the report's path."""
    parser = argparse.ArgumentParser(
        prog="report",
        description="Figures and pictures of a run.",
        epilog="example: hilserl run hilserl_replay report runs/first --baseline bc=runs/first-bc",
    )
    parser.add_argument("run", type=Path, help="the run's folder, runs/NAME")
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="NAME=RUN",
        help="another run to compare with, such as behaviour_cloning=runs/NAME-bc",
    )
    arguments = parser.parse_args(args)
    try:
        baselines = {name: load(path) for name, path in map(_baseline, arguments.baseline)}
        print(write_report(arguments.run, baselines))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _baseline(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UserError(f"--baseline '{text}': give NAME=RUN, as behaviour_cloning=runs/NAME-bc")
    return name, Path(path)


def write_report(run_dir: Path, baselines: Mapping[str, RunData] | None = None) -> str:
    """Writes the report; returns the line that says what came of the run.

    Raises:
        UserError: the folder is not a run, or cannot be written.
    """
    data = load(run_dir)
    figures = report(data, baselines)
    plots = draw_all(data)
    strips = [_strip(data, "success"), _strip(data, "failure")]
    page = render(run_dir.resolve().name, figures, plots, strips, data.config)
    try:
        for plot in plots:
            write_aside(run_dir / f"{plot.name}.png", plot.png)
        for strip in strips:
            picture = run_dir / f"filmstrip_{strip.kind}.png"
            picture.unlink(missing_ok=True)
            if strip.film is not None:
                write_aside(picture, strip.film.png)
        write_aside(run_dir / "report.json", (json.dumps(figures, indent=2) + "\n").encode())
        write_aside(run_dir / "report.html", page.encode())
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written: {error.strerror or error}") from None
    for problem in data.summary.unreadable:
        print(f"left out: {problem}", file=sys.stderr)
    return f"{_verdict(figures)} · report: {run_dir / 'report.html'}"


def _verdict(figures: Mapping[str, Any]) -> str:
    evaluation = figures["evaluation"]
    if not evaluation["episodes"]:
        demonstrations = figures["demonstrations"]["episodes"]
        training = figures["training"]["episodes"]
        return (
            f"evaluation: none yet, {demonstrations} demonstrations and {training} training "
            "episodes"
        )
    each = ", ".join(percent(rate, 0) for rate in evaluation["success_rate_of_each"])
    judge = evaluation["judge"]
    judged = percent(evaluation["judged_success_rate"])
    return (
        f"evaluation: {percent(evaluation['success_rate'])} of {evaluation['episodes']} episodes "
        f"({each})" + (f", {judged} by the {judge}'s judgement" if judge != "sim" else "")
    )


def _strip(data: RunData, kind: str) -> Strip:
    """Frames of the newest success or failure, or why there are none."""
    reported = [episode for evaluation in data.reported for episode in evaluation.episodes]
    candidates, where = _of_kind(reported, kind), ""
    if not candidates:
        everything = [
            e
            for e in data.summary.of(Phase.EVALUATE, Phase.RUN)
            if e.outcome != Outcome.ABORTED and e.finished
        ]
        candidates, where = _of_kind(everything, kind), ", from an earlier evaluation"
    if not candidates:
        return Strip(kind, f"No {kind} in any evaluation so far.", None)
    for episode in candidates[:_TRIED]:
        film = filmstrip(episode.folder)
        if film is not None:
            caption = f"{episode.name}, {episode.duration:.1f} s{where}"
            return Strip(kind, caption, film)
    return Strip(
        kind,
        f"{candidates[0].name} is one, but its bag holds no camera frames: give the simulator "
        "or the camera node cameras to publish, and the recorder record_cameras.",
        None,
    )


def _of_kind(episodes: Sequence[EpisodeSummary], kind: str) -> list[EpisodeSummary]:
    """Successes, or what was none, the newest first."""
    wanted = kind == "success"
    return [episode for episode in reversed(episodes) if episode.true_success == wanted]


if __name__ == "__main__":
    main()
