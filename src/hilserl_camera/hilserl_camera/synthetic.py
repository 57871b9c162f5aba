"""A made-up camera: a pattern that moves, with the frame's number written into its pixels."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from hilserl_camera.source import Frame, Pace

BITS = 16
"""Of the frame's number, along the upper edge: light is one, dark zero, the lowest leftmost."""

_ROWS = 8  # The number takes one of so many rows of the frame.


def draw(width: int, height: int, number: int) -> NDArray[np.uint8]:
    """The pattern's frame of that number, (height, width, 3) uint8."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:, :, 0] = np.linspace(0, 255, width, dtype=np.uint8)
    rgb[:, :, 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    rgb[:, :, 2] = 96
    side = max(2, height // 4)
    x = number * max(1, width // 64) % max(1, width - side)
    y = height // 2
    rgb[y : y + side, x : x + side] = (250, 220, 20)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        rgb[: height // _ROWS, left:right] = 255 if number >> bit & 1 else 0
    return rgb


def read_number(rgb: NDArray[np.uint8]) -> int:
    """The number in a frame, whole and of any size."""
    height, width, _ = rgb.shape
    row = rgb[height // _ROWS // 2, :, 1]
    return sum(1 << bit for bit in range(BITS) if row[(2 * bit + 1) * width // (2 * BITS)] > 127)


class Synthetic:
    """Frames of the pattern, numbered from 0.

    Args:
        width, height: of a frame, pixels.
        pace: at which they come.
    """

    def __init__(self, width: int, height: int, pace: Pace) -> None:
        self._size = (width, height)
        self._pace = pace
        self._number = 0

    def open(self) -> tuple[int, int]:
        return self._size

    def grab(self) -> Frame:
        self._pace.wait()
        stamp = time.time_ns()
        frame = Frame(draw(*self._size, self._number), stamp)
        self._number = (self._number + 1) % (1 << BITS)
        return frame

    def close(self) -> None:
        pass
