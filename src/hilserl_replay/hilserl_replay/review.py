"""The program ``review``: a run's episodes as JSON, for another program to show.

Without an episode it prints one line for each, read from the bags' metadata alone; with one it
reads that bag: who acted on every step, the labels of its end, and a strip of its pictures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory, write_aside
from hilserl_core.step import Outcome
from hilserl_replay.bag_metadata import is_finished, read_notes
from hilserl_replay.bags import FOLDERS, episode_folders, read_episode
from hilserl_replay.filmstrip import filmstrip


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 1 where the run or the episode cannot be read."""
    parser = argparse.ArgumentParser(
        prog="review",
        description="A run's episodes as lines of JSON; with --episode one of them in detail.",
        epilog="example: review runs/first --episode episodes/000003 --strip strip.png",
    )
    parser.add_argument("run", type=Path, help="the run's folder, runs/NAME")
    parser.add_argument("--episode", help="as episodes/000003 or evaluation/000003")
    parser.add_argument("--strip", type=Path, metavar="FILE", help="where to write its pictures")
    options = parser.parse_args(args)
    try:
        if options.episode:
            print(json.dumps(detail(options.run, options.episode, options.strip)))
        else:
            for line in listing(options.run):
                print(json.dumps(line))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def listing(run_dir: Path) -> list[dict[str, Any]]:
    """Every episode of a run: ``episode`` (its folder), ``finished``, and what its writer noted:
    ``phase``, ``outcome`` and ``steps``.

    Raises:
        UserError: it is not a run.
    """
    run = RunDirectory(run_dir)
    if not run.config_path.exists() and not any(run.episodes(kind).is_dir() for kind in FOLDERS):
        raise UserError(f"{run_dir}: not a run: it holds neither config.yaml nor episodes")
    return [_line(folder) for kind in FOLDERS for folder in episode_folders(run_dir, kind)]


def _line(folder: Path) -> dict[str, Any]:
    name = f"{folder.parent.name}/{folder.name}"
    try:
        notes = read_notes(folder)
    except UserError as error:
        return {"episode": name, "finished": True, "problem": str(error)}
    return {
        "episode": name,
        "finished": is_finished(folder),
        "phase": notes.get("phase", "").lower(),
        "outcome": notes.get("outcome", "").lower(),
        "steps": int(notes.get("steps", 0)),
    }


def detail(run_dir: Path, name: str, strip: Path | None) -> dict[str, Any]:
    """One episode: ``sources`` as [source, count] runs over its transitions, ``seconds`` of each
    of its steps' observations since the first, and ``strip``: the times of the picture's columns
    and its rows' cameras, where there are pictures and ``strip`` says where to write them.

    Raises:
        UserError: there is no such episode, or its bag cannot be read.
    """
    kind, _, number = name.partition("/")
    parents = {RunDirectory(run_dir).episodes(phase).name for phase in FOLDERS}
    if kind not in parents or not number.isdigit():
        raise UserError(f"episode '{name}': write it as episodes/000003")
    folder = run_dir / kind / number
    if not folder.is_dir():
        raise UserError(f"{run_dir} has no episode {name}")
    episode = read_episode(folder)
    acted = [step.source.name.lower() for step in episode.steps[: episode.transitions]]
    first = episode.steps[0].observation.stamp
    result: dict[str, Any] = {
        "episode": name,
        "sources": [[source, len(list(group))] for source, group in itertools.groupby(acted)],
        "seconds": [round((s.observation.stamp - first) * 1e-9, 3) for s in episode.steps],
        "outcome": Outcome(episode.outcome).name.lower(),
        "strip": None,
    }
    picture = filmstrip(folder) if strip is not None else None
    if picture is not None and strip is not None:
        write_aside(strip, picture.png)
        result["strip"] = {"times": picture.times, "cameras": picture.cameras}
    return result


if __name__ == "__main__":
    main()
