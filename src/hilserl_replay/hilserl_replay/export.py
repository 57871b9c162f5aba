"""The program ``export``: a run's episodes as a LeRobotDataset."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build, parameter
from hilserl_core.progress import track
from hilserl_core.step import Episode, Phase, Source
from hilserl_replay.bag_metadata import is_finished
from hilserl_replay.bags import FOLDERS, read_episode
from hilserl_replay.lerobot_writer import MEGABYTE, DatasetWriter, Limits
from hilserl_replay.mcap_bag import has_files
from hilserl_replay.selection import check_run, select_folders
from hilserl_replay.shapes import Shapes, check, shapes_of
from hilserl_replay.video import CODECS

_RATE_TOLERANCE = 0.05  # share by which an episode's rate may differ from the data set's
_LOOKED_AT = 5  # episodes that the rate is taken from


@dataclass(frozen=True)
class ExportParameters:
    """How a data set is written."""

    codec: str = parameter(
        "h264",
        "of the images; ffv1 (video) and png (in the rows) are lossless",
        choices=(*CODECS, "png"),
    )
    fps: int = parameter(0, "rows a second; 0: the run's control rate, rounded", low=0)
    task: str = parameter("", "what the robot was to do, in words; empty: the run's task")
    data_megabytes: float = parameter(100.0, "size after which a data file ends", low=0.001)
    video_megabytes: float = parameter(200.0, "size after which a video file ends", low=0.001)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 1 where anything was refused, and leaves nothing behind then."""
    parser = argparse.ArgumentParser(
        prog="export",
        description="Writes a run's episodes as a data set. Discarded episodes are left out.",
        epilog="example: hilserl run hilserl_replay export runs/first data/first",
    )
    parser.add_argument("run", type=Path, help="the run's folder, runs/NAME")
    parser.add_argument("output", type=Path, help="the data set's folder, which must not exist")
    parser.add_argument("--format", choices=("lerobot",), default="lerobot", help="[lerobot]")
    parser.add_argument("--episodes", metavar="3,5-9", help="of episodes/ and evaluation/ [all]")
    phases = [phase.name.lower() for phase in Phase if phase != Phase.DONE]
    parser.add_argument("--phase", action="append", choices=phases, help="only those [all]")
    add_options(parser, ExportParameters, "settings")
    arguments = parser.parse_args(args)
    try:
        parameters = build(ExportParameters, given(arguments, ExportParameters))
        wanted = {Phase[name.upper()] for name in arguments.phase or phases}
        episodes = Episodes(arguments.run, arguments.episodes, wanted)
        print(export(episodes, arguments.output, parameters))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


@dataclass(frozen=True)
class Episodes:
    """Those of a run that are exported; iterating reads them, one at a time.

    Attributes:
        run_dir: the run's folder.
        numbers: which, as ``3,5-9``; None: all.
        phases: which.
    """

    run_dir: Path
    numbers: str | None = None
    phases: frozenset[Phase] | set[Phase] = frozenset(Phase)

    def read(self, say: Callable[[str], None]) -> Iterator[tuple[Path, Episode]]:
        """Folders and episodes, without those that nobody is to learn from.

        Raises:
            UserError: the run has none of them, or one cannot be read.
        """
        discarded, short = 0, []
        for folder in track(select_folders(self.run_dir, self.numbers, FOLDERS), "exporting"):
            if not is_finished(folder) and not has_files(folder):
                continue
            episode = read_episode(folder)
            if episode.steps[0].phase not in self.phases:
                continue
            discarded += episode.discarded
            if episode.discarded:
                continue
            if not episode.transitions:
                short.append(folder.name)
                continue
            yield folder, episode
        if discarded:
            say(f"{discarded} discarded episodes left out")
        if short:
            say(f"no action in {', '.join(short)}: left out")


def export(
    episodes: Episodes,
    output: Path,
    parameters: ExportParameters,
    say: Callable[[str], None] = print,
) -> str:
    """Writes a LeRobotDataset, which appears under its name once it is whole.

    Args:
        episodes: to be written.
        output: the data set's folder.
        parameters: settings.
        say: told what is left out.

    Returns:
        What was written, in one line.

    Raises:
        UserError: there is nothing to write, steps differ in shape, a number is not finite, or
            ``output`` exists or cannot be written.
    """
    if output.exists():
        raise UserError(f"{output}: exists already: choose another folder, or remove it")
    fps = parameters.fps or _rate(episodes)
    aside = output.with_name(f".{output.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    counts = dict.fromkeys(Source, 0)
    writer, shapes, slow = None, None, []
    try:
        for folder, episode in episodes.read(say):
            if writer is None or shapes is None:
                shapes = shapes_of(str(folder), episode)
                writer = _writer(aside, shapes, fps, episodes.run_dir, parameters)
            check(str(folder), episode, shapes)
            writer.add(episode)
            for source in Source:
                counts[source] += episode.count(source)
            if abs(_period(episode) * fps - 1) > _RATE_TOLERANCE:
                slow.append(f"{folder.parent.name}/{folder.name}")
        if writer is None:
            raise UserError(f"{episodes.run_dir}: no episode to export")
        writer.close()
        aside.rename(output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _say_which_are_slow(slow, fps, say)
    by_source = ", ".join(f"{count} {source.name.lower()}" for source, count in counts.items())
    return f"{output}: {writer.episodes} episodes, {writer.frames} frames ({by_source}), {fps} Hz"


def _say_which_are_slow(slow: list[str], fps: int, say: Callable[[str], None]) -> None:
    if slow:
        say(
            f"not at {fps} Hz: {', '.join(slow[:5])}{' and more' if len(slow) > 5 else ''}: "
            "timestamps are row / fps there as well, the column 'stamp' has the true ones"
        )


def _period(episode: Episode) -> float:
    """Median seconds between two steps."""
    stamps = [step.observation.stamp for step in episode.steps]
    return float(np.median(np.diff(stamps))) * 1e-9


def _rate(episodes: Episodes) -> int:
    """The control rate of a run, in whole Hz."""
    periods = []
    for _, episode in episodes.read(lambda _: None):
        periods.append(_period(episode))
        if len(periods) == _LOOKED_AT:
            break
    period = float(np.median(periods)) if periods else 0.1
    if not 0 < period <= 2:
        raise UserError(f"{episodes.run_dir}: steps come every {period:g} s: give --fps")
    return max(1, round(1 / period))


def _writer(
    root: Path, shapes: Shapes, fps: int, run_dir: Path, parameters: ExportParameters
) -> DatasetWriter:
    run = check_run(run_dir)
    arguments = run.config().get("arguments") or {} if run.config_path.exists() else {}
    task = parameters.task or str(arguments.get("task") or run_dir.resolve().name)
    sizes = (parameters.data_megabytes, parameters.video_megabytes)
    limits = Limits(*(max(1, round(size * MEGABYTE)) for size in sizes))
    return DatasetWriter(root, shapes, fps, parameters.codec, task, limits)


if __name__ == "__main__":
    main()
