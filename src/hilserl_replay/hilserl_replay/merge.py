"""The program ``merge``: several runs' episodes as one run."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.progress import track
from hilserl_core.run import RunDirectory
from hilserl_core.step import Episode, Phase, Step
from hilserl_replay.bag_metadata import is_finished
from hilserl_replay.bags import FOLDERS, episode_folder, episode_folders, read_episode
from hilserl_replay.rewrite import EpisodeCopy
from hilserl_replay.selection import check_run

LABELS = "labels"
"""``labels.jsonl`` of a run, beside its bags: of each frame label, the episode's folder."""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 1 where anything was refused, and leaves nothing behind then."""
    parser = argparse.ArgumentParser(
        prog="merge",
        description="Copies the episodes of several runs into a new one, numbered anew. Every "
        "step keeps the name of the run that it was recorded in.",
        epilog="example: hilserl run hilserl_replay merge runs/both runs/first runs/second",
    )
    parser.add_argument("output", type=Path, help="folder of the new run, runs/NAME")
    parser.add_argument("run", type=Path, nargs="+", help="the runs' folders")
    parser.add_argument("--discarded", action="store_true", help="copies discarded episodes too")
    arguments = parser.parse_args(args)
    try:
        counts = merge(arguments.output, arguments.run, discarded=arguments.discarded)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"{arguments.output}: {sum(counts.values())} episodes")


def merge(
    output: Path,
    runs: Sequence[Path],
    *,
    discarded: bool = False,
    say: Callable[[str], None] = print,
) -> dict[Path, int]:
    """Makes a run of several runs' closed episodes, in the order given.

    Their messages are copied as they are, but for the steps' episode numbers. The metadata of
    every bag says where it came from (``merged_from``).

    Args:
        output: folder of the new run, which must not exist; it appears once it is whole.
        runs: folders of the runs.
        discarded: copies also what was discarded.
        say: told what each run gives and what is left out.

    Returns:
        How many episodes each run gave.

    Raises:
        UserError: the runs' specs differ, an episode is given twice or cannot be read, or
            ``output`` exists or cannot be written.
    """
    if output.exists():
        raise UserError(f"{output}: exists already: choose another name, or remove it")
    configurations = [_configuration(run) for run in runs]
    aside = output.with_name(f".{output.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    merger = _Merger(aside, discarded)
    try:
        counts = {run: merger.add(run, say) for run in runs}
        if not any(counts.values()):
            raise UserError(f"{', '.join(map(str, runs))}: no closed episode to merge")
        RunDirectory.create_or_resume(aside, _merged(runs, configurations))
        aside.rename(output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return counts


class _Merger:
    """Copies runs' episodes into one folder, numbered in order."""

    def __init__(self, output: Path, discarded: bool) -> None:
        self._output = output
        self._discarded = discarded
        self._next = dict.fromkeys(FOLDERS, 0)
        self._seen: dict[tuple[str, Phase, int], Path] = {}
        self._spec: tuple[str, Path] | None = None

    def add(self, run: Path, say: Callable[[str], None]) -> int:
        """Copies a run's episodes; returns how many."""
        left_out, places = 0, {}
        for kind in FOLDERS:
            for folder in track(episode_folders(run, kind), f"merging {run.name}"):
                if not is_finished(folder):
                    say(f"{folder}: under way or cut off, left out")
                    continue
                episode = read_episode(folder)
                if episode.discarded and not self._discarded:
                    left_out += 1
                    continue
                self._check(folder, episode)
                copied = self._copy(folder, kind, run.resolve().name)
                places[f"{folder.parent.name}/{folder.name}"] = copied
        self._copy_labels(run, places)
        more = f", {left_out} discarded left out" if left_out else ""
        say(f"{run}: {len(places)} episodes{more}")
        return len(places)

    def _check(self, folder: Path, episode: Episode) -> None:
        """Refuses an episode of another spec, or one that was there before."""
        first = episode.steps[0]
        spec, where = self._spec = self._spec or (first.spec, folder)
        if first.spec != spec:
            raise UserError(
                f"{folder} has spec {first.spec or 'unknown'}, {where} has {spec or 'unknown'}: "
                "only runs of one task, observation and action space can be merged"
            )
        key = (first.run, first.phase, first.episode)
        if key in self._seen:
            raise UserError(
                f"{folder} is the same episode ({first.episode} of run '{first.run}') as "
                f"{self._seen[key]}: give every run once"
            )
        self._seen[key] = folder

    def _copy(self, folder: Path, kind: Phase, origin: str) -> str:
        """Copies an episode; returns its folder within the new run."""
        number = self._next[kind]
        self._next[kind] += 1

        def renumbered(step: Step) -> Step:
            return replace(step, episode=number)

        notes = {"merged_from": f"{origin}/{folder.parent.name}/{folder.name}"}
        target = episode_folder(self._output, kind, number)
        EpisodeCopy(folder, renumbered, notes).write(target)
        return f"{target.parent.name}/{target.name}"

    def _copy_labels(self, run: Path, places: dict[str, str]) -> None:
        """Copies what was said of frames, a line a label, to where the episodes are now."""
        merged = RunDirectory(self._output)
        for label in RunDirectory(run).read(LABELS):
            if label.get("episode") in places:
                merged.append(LABELS, {**label, "episode": places[label["episode"]]})


def _configuration(run: Path) -> dict[str, Any]:
    directory = check_run(run)
    return directory.config() if directory.config_path.exists() else {}


def _merged(runs: Sequence[Path], configurations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The configuration of the new run: where it came from, and what all of them share."""
    arguments = [configuration.get("arguments") or {} for configuration in configurations]
    shared = {
        key: value
        for key, value in arguments[0].items()
        if all(other.get(key) == value for other in arguments[1:])
    }
    return {"graph": "merge", "arguments": shared, "merged": [str(run.resolve()) for run in runs]}


if __name__ == "__main__":
    main()
