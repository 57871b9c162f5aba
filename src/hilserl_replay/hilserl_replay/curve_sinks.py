"""Where curves are drawn: event files for TensorBoard, and Weights & Biases where it is asked for.

Each is imported only when it is used. How many points of a curve a sink has is noted beside
what it wrote, so that a process that starts anew goes on from there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory, write_aside
from hilserl_replay.curves import Curves, Point, Tag

WANDB_PROJECT = "hilserl"
_SUFFIX = ".hilserl"  # of event files, so that a person knows whose they are
_QUEUE = 1000  # events that the writer's thread may be behind
_FLUSH = 1e9  # s: when to flush is decided here


class Sink(Protocol):
    """Takes points."""

    folder: Path

    def add(self, points: Iterable[Point]) -> None:
        """Writes points, to the disk."""

    def close(self) -> None:
        """Ends what was written in order."""


class TensorBoard:
    """Event files in ``runs/NAME/tensorboard``.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, run_dir: Path) -> None:
        try:
            # Its own writer: torch's would load torch, five times the memory and time.
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise UserError(
                f"parameter 'tensorboard': it cannot be imported ({error}): pip install "
                "tensorboard, or use tensorboard:=false"
            ) from None
        self.folder = run_dir / "tensorboard"
        self._event, self._summary = event_pb2.Event, summary_pb2
        self._writer = EventFileWriter(str(self.folder), _QUEUE, _FLUSH, _SUFFIX)

    def add(self, points: Iterable[Point]) -> None:
        for point in points:
            value = self._summary.Summary.Value(
                tag=point.tag.name, simple_value=point.value, metadata=self._metadata(point.tag)
            )
            summary = self._summary.Summary(value=[value])
            event = self._event(wall_time=point.wall_time, step=point.step, summary=summary)
            self._writer.add_event(event)
        self._writer.flush()

    def _metadata(self, tag: Tag) -> Any:
        """What TensorBoard shows behind a curve's title."""
        kind = self._summary.SummaryMetadata.PluginData(plugin_name="scalars")
        return self._summary.SummaryMetadata(
            plugin_data=kind, summary_description=f"{tag.text}; over {tag.axis}"
        )

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A Weights & Biases run in ``runs/NAME/wandb``; every tag is drawn over its own axis.

    Args:
        run_dir: the run's folder; its name is the run's.
        mode: ``offline`` writes to the folder alone (``wandb sync`` sends it later), ``online``
            sends it as it goes.

    Raises:
        UserError: wandb is not installed, or refuses to start.
    """

    def __init__(self, run_dir: Path, mode: str) -> None:
        check_wandb(mode)
        import wandb

        run_dir.mkdir(parents=True, exist_ok=True)
        self.folder = run_dir / "wandb"
        name = run_dir.resolve().name
        run = RunDirectory(run_dir)
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", WANDB_PROJECT),
                name=name,
                id=name,
                resume="allow" if mode == "online" else None,
                dir=str(run_dir),
                mode=mode,
                config=run.config() if run.config_path.exists() else {},
                settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
            )
        except (wandb.Error, OSError) as error:
            raise UserError(f"parameter 'wandb': {mode} cannot start: {error}") from None
        self._defined: set[str] = set()

    def add(self, points: Iterable[Point]) -> None:
        for point in points:
            axis = f"axis/{point.tag.axis}"
            if point.tag.name not in self._defined:
                self._run.define_metric(point.tag.name, step_metric=axis)
                self._defined.add(point.tag.name)
            self._run.log({point.tag.name: point.value, axis: point.step})

    def close(self) -> None:
        self._run.finish()


class CurveWriter:
    """Keeps sinks up to a run's logs.

    Args:
        run_dir: the run's folder.
        sinks: where the curves go.
    """

    def __init__(self, run_dir: Path, sinks: Iterable[Sink]) -> None:
        self._curves = Curves(run_dir)
        self._sinks = [_Counted(sink) for sink in sinks]

    def update(self) -> None:
        """Writes what the logs say since the last call."""
        points = list(self._curves.new())
        if points:
            for sink in self._sinks:
                sink.add(points)

    def close(self) -> None:
        """Writes what is left, and ends every sink in order."""
        with contextlib.ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
            self.update()


class _Counted:
    """A sink that is given no point twice, also where an earlier process gave it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._note = sink.folder / "points.json"
        try:
            self._had: Counter[str] = Counter(json.loads(self._note.read_text()))
        except (OSError, ValueError):
            self._had = Counter()
        self._seen: Counter[str] = Counter()

    def add(self, points: Iterable[Point]) -> None:
        self._sink.add(self._fresh(points))
        write_aside(self._note, json.dumps(self._seen | self._had).encode())

    def _fresh(self, points: Iterable[Point]) -> Iterator[Point]:
        for point in points:
            name = point.tag.name
            self._seen[name] += 1
            if self._seen[name] > self._had[name]:
                yield point

    def close(self) -> None:
        self._sink.close()


def check_wandb(mode: str) -> None:
    """Raises UserError where Weights & Biases is asked for and not installed."""
    if mode != "off" and importlib.util.find_spec("wandb") is None:
        raise UserError(
            f"'wandb': {mode} needs Weights & Biases, which is not installed: pip install wandb, "
            "or use wandb:=off"
        )


def make_sinks(run_dir: Path, tensorboard: bool, wandb: str) -> list[Sink]:
    """The sinks that are asked for; ``wandb`` is off, offline or online.

    Raises:
        UserError: one of them is not installed.
    """
    sinks: list[Sink] = [TensorBoard(run_dir)] if tensorboard else []
    if wandb != "off":
        sinks.append(WeightsAndBiases(run_dir, wandb))
    return sinks
