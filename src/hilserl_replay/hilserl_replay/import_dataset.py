"""The program ``import``: a LeRobotDataset as a run's episodes."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build, parameter
from hilserl_core.progress import track
from hilserl_core.run import RunDirectory
from hilserl_core.step import Episode, Outcome, Phase, Source, Step
from hilserl_replay.bags import EpisodeWriter, episode_folder, read_episode
from hilserl_replay.lerobot_format import SUCCESS
from hilserl_replay.lerobot_reader import Assumed, Dataset
from hilserl_replay.selection import numbers, select_folders
from hilserl_replay.shapes import Shapes, check, shapes_of

_PHASES = tuple(phase.name.lower() for phase in Phase if phase != Phase.DONE)
_OUTCOMES = ("success", "failure", "timeout")


@dataclass(frozen=True)
class ImportParameters:
    """What is said of another program's data set; one exported from a run says it itself."""

    source: str = parameter(
        "offline",
        "who acted, where there is no column 'source'",
        choices=tuple(source.name.lower() for source in Source),
    )
    outcome: str = parameter(
        "",
        "how every episode ended; empty: after 'next.success', and a time-out without it",
        choices=("", *_OUTCOMES),
    )
    phase: str = parameter("record", "what the episodes are for", choices=_PHASES)
    like: str = parameter(
        "", "a run whose observations and actions these are, so that it can learn from them"
    )


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 1 where anything was refused, and leaves nothing behind then."""
    parser = argparse.ArgumentParser(
        prog="import",
        description="Makes a run of a LeRobotDataset's episodes (version 3).",
        epilog="example: hilserl run hilserl_replay import data/first runs/imported",
    )
    parser.add_argument("dataset", type=Path, help="the data set's folder")
    parser.add_argument("output", type=Path, help="folder of the new run, runs/NAME")
    parser.add_argument("--episodes", metavar="3,5-9", help="which, as the data set counts [all]")
    add_options(parser, ImportParameters, "settings")
    arguments = parser.parse_args(args)
    try:
        parameters = build(ImportParameters, given(arguments, ImportParameters))
        print(import_dataset(arguments.dataset, arguments.output, parameters, arguments.episodes))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def import_dataset(
    root: Path,
    output: Path,
    parameters: ImportParameters,
    episodes: str | None = None,
    say: Callable[[str], None] = print,
) -> str:
    """Writes a run, which appears under its name once it is whole.

    Args:
        root: the data set's folder.
        output: the new run's folder.
        parameters: settings.
        episodes: which, as ``3,5-9``; None: all.
        say: told what was assumed.

    Returns:
        What was read, in one line.

    Raises:
        UserError: the data set cannot be read, steps differ in shape from each other or from
            the run that they are to be like, or ``output`` exists or cannot be written.
    """
    if output.exists():
        raise UserError(f"{output}: exists already: choose another name, or remove it")
    dataset = Dataset(root)
    wanted = _wanted(episodes, len(dataset.episodes))
    like, assumed = _assumed(dataset, output, parameters, say)
    aside = output.with_name(f".{output.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    writer = _Writer(aside, like)
    try:
        total = len(dataset.episodes) if wanted is None else len(wanted)
        for episode in track(dataset.read(assumed, wanted), "importing", total):
            writer.add(root, episode)
        origin = {"arguments": {"task": dataset.task()}, "imported": str(root.resolve())}
        RunDirectory.create_or_resume(aside, {"graph": "import", **origin})
        aside.rename(output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    counts = ", ".join(f"{count} {s.name.lower()}" for s, count in writer.counts.items())
    return f"{output}: {writer.episodes} episodes, steps: {counts}"


class _Writer:
    """Writes episodes into a new run, under their own numbers where these are free."""

    def __init__(self, run_dir: Path, shapes: Shapes | None) -> None:
        self._run_dir, self._shapes = run_dir, shapes
        self.counts = dict.fromkeys(Source, 0)
        self.episodes = 0

    def add(self, root: Path, episode: Episode) -> None:
        first = episode.steps[0]
        name = f"{root}, episode {first.episode}"
        self._shapes = self._shapes or shapes_of(name, episode)
        check(name, episode, self._shapes)
        number = first.episode
        folder = episode_folder(self._run_dir, first.phase, number)
        if folder.exists():
            number = RunDirectory(self._run_dir).next_episode(first.phase)
            folder = episode_folder(self._run_dir, first.phase, number)
        writer = EpisodeWriter(folder)
        for step in episode.steps:
            writer.write_step(_numbered(step, number))
        writer.close()
        self.episodes += 1
        for source in Source:
            self.counts[source] += episode.count(source)


def _numbered(step: Step, number: int) -> Step:
    return step if step.episode == number else replace(step, episode=number)


def _wanted(text: str | None, count: int) -> Collection[int] | None:
    if text is None:
        return None
    wanted = {n for part in numbers(text, "--episodes") for n in range(count) if n in part}
    if not wanted:
        raise UserError(f"--episodes '{text}': the data set has episodes 0 to {count - 1}")
    return wanted


def _assumed(
    dataset: Dataset, output: Path, parameters: ImportParameters, say: Callable[[str], None]
) -> tuple[Shapes | None, Assumed]:
    """What is said of the episodes, and the shapes that they must have."""
    like, spec = None, dataset.spec()
    if parameters.like:
        folder = select_folders(Path(parameters.like), None, (Phase.TRAIN,))[0]
        example = read_episode(folder)
        like, spec = shapes_of(str(folder), example), example.steps[0].spec
    if not dataset.ours:
        say("no observation after the last action of an episode: the last one is repeated there")
        if not parameters.outcome and not dataset.has(SUCCESS):
            say(
                f"no column '{SUCCESS}': every outcome is a time-out; give --outcome success for "
                "successful demonstrations"
            )
    assumed = Assumed(
        run=output.resolve().name,
        phase=Phase[parameters.phase.upper()],
        spec=spec,
        source=Source[parameters.source.upper()],
        outcome=Outcome[parameters.outcome.upper()] if parameters.outcome else None,
    )
    return like, assumed


if __name__ == "__main__":
    main()
