"""Minimum, maximum, mean, deviation and quantiles of numbers and of pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistics = dict[str, NDArray[np.float64]]
"""One array a figure: min, max, mean, std, count, and a quantile each, as q01."""

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_LEVELS = 256
_WEIGHTS = np.arange(_LEVELS) / (_LEVELS - 1)


def number_statistics(values: ArrayLike) -> Statistics:
    """Figures of numbers (count, size), an element each: every array is (size,), count (1,)."""
    numbers = np.asarray(values, np.float64)
    figures = {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)]),
    }
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return figures | dict(zip(QUANTILES, quantiles, strict=True))


class PictureStatistics:
    """Figures of pictures' channels, exact, from a count of every level."""

    def __init__(self) -> None:
        self.levels = np.zeros((3, _LEVELS), np.int64)
        self.pictures = 0

    def add(self, pictures: Iterable[NDArray[np.uint8]]) -> None:
        """Counts pictures (height, width, 3)."""
        for picture in pictures:
            for channel in range(3):
                counts = np.bincount(picture[..., channel].ravel(), minlength=_LEVELS)
                self.levels[channel] += counts
            self.pictures += 1

    def merge(self, other: PictureStatistics) -> None:
        """Counts what another has counted."""
        self.levels += other.levels
        self.pictures += other.pictures

    def figures(self) -> Statistics:
        """Figures in [0, 1], (3, 1, 1) each; count is that of pictures, (1,)."""
        total = self.levels.sum(axis=1)
        mean = self.levels @ _WEIGHTS / total
        spread = self.levels @ _WEIGHTS**2 / total - mean**2
        cumulative = self.levels.cumsum(axis=1) / total[:, None]
        present = self.levels > 0
        figures = {
            "min": _WEIGHTS[present.argmax(axis=1)],
            "max": _WEIGHTS[_LEVELS - 1 - present[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(spread.clip(min=0.0)),
        }
        for name, share in QUANTILES.items():
            figures[name] = _WEIGHTS[(cumulative >= share).argmax(axis=1)]
        shaped = {name: figure.reshape(3, 1, 1) for name, figure in figures.items()}
        return shaped | {"count": np.array([self.pictures])}
