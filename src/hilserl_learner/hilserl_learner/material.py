"""What an encoder is trained on: a run's frames or, under a frozen trunk, its maps of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hilserl_policy.augmentation import disturb, random_shift
from hilserl_policy.encoders import Encoder

COARSE = 16  # pixels, height and width of the pictures that features are to bring back
_AT_ONCE = 256  # frames whose features are made at once


class Material(Protocol):
    """Frames of a run as training sees them."""

    def __len__(self) -> int:
        """Frames that are held."""

    def add(self, frames: NDArray[np.uint8]) -> None:
        """Takes further frames (n, cameras, 3, h, w)."""

    def look(
        self, batch: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Sees some frames, varied at random where that is possible.

        Args:
            batch: (n,), which.
            rng, generator: draw the variations.

        Returns:
            What is seen, (n, seen_dim), differentiable in what of the encoder is to learn; and
            pictures (n, cameras * 3 * COARSE * COARSE) of the same, as they were before anything
            but their place was varied.
        """

    def features(self, states: NDArray[np.float32]) -> NDArray[np.float16]:
        """(frames, feature_dim), of all frames as they are, with the states they came with."""


def make_material(encoder: Encoder, shift: int, folder: Path) -> Material:
    """What an encoder is to be trained on.

    Args:
        encoder: that will learn.
        shift: pixels by which frames are moved at random.
        folder: for the files that hold it.
    """
    if encoder.spec.frozen:
        return MapMaterial(encoder, folder)
    return FrameMaterial(encoder, shift, folder)


class Store:
    """Rows in a file that goes with the process: the system keeps in memory what is read.

    Args:
        shape: of a row.
        dtype: of its numbers.
        folder: where the file lies.
    """

    _CHUNK = 4096

    def __init__(self, shape: tuple[int, ...], dtype: Any, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (lives as long as this)
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._size = int(np.prod(shape)) * self._dtype.itemsize
        self._capacity = 0
        self.count = 0
        self._all: NDArray[Any] = np.zeros((0, *shape), dtype)

    def add(self, rows: NDArray[Any]) -> None:
        """Appends rows (n, *shape)."""
        end = self.count + len(rows)
        if end > self._capacity:
            self._capacity = -(-end // self._CHUNK) * self._CHUNK
            self._file.truncate(self._capacity * self._size)  # sparse: unused room takes no disk
            self._all = np.memmap(
                self._file, self._dtype, mode="r+", shape=(self._capacity, *self._shape)
            )
        self._all[self.count : end] = rows
        self.count = end

    @property
    def array(self) -> NDArray[Any]:
        """(count, *shape), backed by the file."""
        return self._all[: self.count]


class FrameMaterial:
    """Reduced frames, moved and disturbed anew each time: all of the encoder learns.

    Args:
        encoder, shift, folder: as ``make_material`` takes them.
    """

    def __init__(self, encoder: Encoder, shift: int, folder: Path):
        self._encoder, self._shift = encoder, shift
        self._frames = Store(encoder.spec.frame_shape, np.uint8, folder)

    def __len__(self) -> int:
        return self._frames.count

    def add(self, frames: NDArray[np.uint8]) -> None:
        self._frames.add(frames)

    def look(
        self, batch: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        shifted = random_shift(self._frames.array[batch], rng, self._shift)
        clean = self._encoder.normalise(torch.from_numpy(shifted))
        seen = self._encoder.see(disturb(clean, generator), half=True)
        return seen, _pictures(clean)

    def features(self, states: NDArray[np.float32]) -> NDArray[np.float16]:
        return self._encoder.encode(self._frames.array, states)


class MapMaterial:
    """The maps that a frozen trunk makes of each frame, made once: the heads alone learn.

    Nothing is moved or disturbed. That would have to happen before the trunk, whose
    forward pass is all that a frame costs; each version kept would cost as much again, in
    time and on disk. The trunk has seen photographs in any light, and the heads learn under
    noise.

    Args:
        encoder, folder: as ``make_material`` takes them.
    """

    def __init__(self, encoder: Encoder, folder: Path):
        self._encoder, spec = encoder, encoder.spec
        self._maps = Store((len(spec.cameras), *spec.map_shape), np.float16, folder)
        self._pictures = Store((len(spec.cameras) * 3 * COARSE**2,), np.float16, folder)

    def __len__(self) -> int:
        return self._maps.count

    @torch.no_grad()
    def add(self, frames: NDArray[np.uint8]) -> None:
        for start in range(0, len(frames), self._encoder.at_once):
            part = torch.from_numpy(frames[start : start + self._encoder.at_once])
            images = self._encoder.normalise(part)
            self._maps.add(torch.stack(self._encoder.maps(images), 1).half().numpy())
            self._pictures.add(_pictures(images).half().numpy())

    def look(
        self, batch: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        pictures = torch.from_numpy(self._pictures.array[batch]).float()
        return self._read(self._maps.array[batch]), pictures

    def _read(self, maps: NDArray[np.float16]) -> Tensor:
        return self._encoder.read(list(torch.from_numpy(maps).float().unbind(1)))

    @torch.no_grad()
    def features(self, states: NDArray[np.float32]) -> NDArray[np.float16]:
        maps = self._maps.array
        result = np.empty((len(maps), self._encoder.spec.feature_dim), np.float16)
        for start in range(0, len(maps), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            seen = self._read(np.array(maps[part]))
            features = self._encoder.complete(seen, torch.from_numpy(states[part]))
            result[part] = features.half().numpy()
        return result


def _pictures(images: Tensor) -> Tensor:
    """Normalised images (cameras, n, 3, h, w) averaged down, (n, cameras * 3 * COARSE**2)."""
    cameras, n = images.shape[:2]
    coarse = F.adaptive_avg_pool2d(images.flatten(0, 1), COARSE)
    return coarse.view(cameras, n, -1).transpose(0, 1).flatten(1)
