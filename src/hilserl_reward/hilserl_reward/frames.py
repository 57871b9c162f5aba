"""Labelled frames of runs, as a classifier learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.labels import By, FrameLabel, Label, read_labels
from hilserl_core.step import Observation, Outcome
from hilserl_policy.encoders import reduce_images
from hilserl_replay.bags import read_episode


@dataclass(frozen=True)
class Place:
    """Where a frame is on disk."""

    run: Path
    episode: str
    index: int


@dataclass(frozen=True)
class LabelledFrames:
    """Frames with what they show, n in all.

    Attributes:
        images: (n, cameras, 3, height, width) uint8, averaged down.
        state: (n, state_dim), physical units.
        label: (n,) int64, values of ``Label``.
        episode: (n,) int64, which frames belong to one episode.
        overruled: (n,), whether a person said it against how the episode ended.
        places: where each one is.
        size: (cameras, height, width) of the images as recorded.
    """

    images: NDArray[np.uint8]
    state: NDArray[np.float32]
    label: NDArray[np.int64]
    episode: NDArray[np.int64]
    overruled: NDArray[np.bool_]
    places: tuple[Place, ...]
    size: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.label)

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> LabelledFrames:
        """Some of the frames, by mask or by index."""
        at = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return LabelledFrames(
            self.images[at],
            self.state[at],
            self.label[at],
            self.episode[at],
            self.overruled[at],
            tuple(self.places[i] for i in at),
            self.size,
        )


def join(parts: Sequence[LabelledFrames]) -> LabelledFrames:
    """Frames of several runs as one; their episodes stay apart.

    Raises:
        UserError: the runs' cameras or states differ.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.size != first.size or part.state.shape[1:] != first.state.shape[1:]:
            raise UserError(
                f"{part.places[0].run} has {_shape(part)}, {first.places[0].run} has "
                f"{_shape(first)}: train on runs of the same robot and cameras"
            )
    episodes, start = [], 0
    for part in parts:
        episodes.append(part.episode + start)
        start += int(part.episode.max()) + 1
    return LabelledFrames(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.state for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate(episodes),
        np.concatenate([part.overruled for part in parts]),
        tuple(place for part in parts for place in part.places),
        first.size,
    )


def _shape(frames: LabelledFrames) -> str:
    cameras, height, width = frames.size
    return f"{cameras} images of {width} x {height} and {frames.state.shape[1]} state values"


def read_frames(run_dir: Path, reduce: int) -> LabelledFrames:
    """The labelled frames of a run.

    Args:
        run_dir: the run's folder.
        reduce: images are averaged down by this factor.

    Raises:
        UserError: the run has no labels, one of a frame that is not there, no images, or
            numbers that are not finite.
    """
    labels = read_labels(run_dir)
    if not labels:
        raise UserError(
            f"{run_dir}: has no labels: label it first, as in "
            f"'hilserl run hilserl_reward label {run_dir} --outcomes'"
        )
    by_episode: dict[str, list[FrameLabel]] = {}
    for label in labels.values():
        by_episode.setdefault(label.episode, []).append(label)
    reader = _Reader(run_dir, reduce)
    for name, own in sorted(by_episode.items()):
        reader.add(name, sorted(own, key=lambda each: each.index))
    return reader.frames()


class _Reader:
    """Collects the labelled frames of a run, episode by episode."""

    def __init__(self, run_dir: Path, reduce: int) -> None:
        self._run, self._reduce = run_dir, reduce
        self._images: list[NDArray[np.uint8]] = []
        self._states: list[NDArray[np.float32]] = []
        self._labels: list[FrameLabel] = []
        self._overruled: list[bool] = []
        self._episodes: list[int] = []
        self._size: tuple[int, int, int] | None = None
        self._count = 0

    def add(self, name: str, labels: Sequence[FrameLabel]) -> None:
        folder = self._run / name
        if not folder.is_dir():
            raise UserError(f"{self._run}: a label is about {name}, which is not there")
        episode = read_episode(folder)
        steps = {step.index: step for step in episode.steps}
        for label in labels:
            if label.index not in steps:
                raise UserError(
                    f"{folder}: a label is about frame {label.index}, which is not there: the "
                    f"episode has {len(steps)}"
                )
            self._check(folder, label.index, steps[label.index].observation)
            self._images.append(reduce_images(steps[label.index].observation.images, self._reduce))
            self._states.append(steps[label.index].observation.state)
            self._labels.append(label)
            self._overruled.append(_overrules(label, episode.outcome))
            self._episodes.append(self._count)
        self._count += 1

    def _check(self, folder: Path, index: int, observation: Observation) -> None:
        shapes = {image.shape for image in observation.images}
        if not shapes:
            raise UserError(f"{folder}: its steps hold no images: record with observation:=cameras")
        height, width, _ = min(shapes)
        size = (len(observation.images), height, width)
        if len(shapes) > 1 or (self._size is not None and size != self._size):
            raise UserError(
                f"{folder}: the images' size changes at frame {index} ({sorted(shapes)}): leave "
                "its labels out"
            )
        if height % self._reduce or width % self._reduce:
            raise UserError(
                f"{folder}: images of {width} x {height} do not divide by {self._reduce}"
            )
        if not np.isfinite(observation.state).all():
            raise UserError(
                f"{folder}: the state of frame {index} holds a number that is not finite: leave "
                "its label out"
            )
        self._size = size

    def frames(self) -> LabelledFrames:
        assert self._size is not None
        return LabelledFrames(
            np.stack(self._images),
            np.stack(self._states),
            np.array([_value(each) for each in self._labels], np.int64),
            np.array(self._episodes, np.int64),
            np.array(self._overruled),
            tuple(Place(self._run, each.episode, each.index) for each in self._labels),
            self._size,
        )


def _value(label: FrameLabel) -> int:
    assert label.label is not None
    return int(label.label)


def _overrules(label: FrameLabel, outcome: Outcome) -> bool:
    """Whether a person's label denies the episode's outcome."""
    succeeded = outcome == Outcome.SUCCESS
    denied = label.label == (Label.FAILURE if succeeded else Label.SUCCESS)
    return denied and label.by != By.OUTCOME


def counts(label: NDArray[np.int64]) -> dict[Label, int]:
    """Frames of each label that there are any of."""
    return {each: int((label == each).sum()) for each in Label if (label == each).any()}
