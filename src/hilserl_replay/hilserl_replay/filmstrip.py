"""A strip of frames from an episode's bag: what the camera saw, from start to end."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilserl_replay.bags import cameras, read_images

FRAMES = 8
_GAP = 4  # pixels between frames


@dataclass(frozen=True)
class Filmstrip:
    """Frames of one episode, one row a camera.

    Attributes:
        png: the picture.
        times: s after the episode's start, of each column.
        cameras: name of each row.
    """

    png: bytes
    times: tuple[float, ...]
    cameras: tuple[str, ...]
    width: int
    height: int


def filmstrip(folder: Path, frames: int = FRAMES) -> Filmstrip | None:
    """The strip of an episode's bag; None where it holds no camera frames."""
    rows, times = [], ()
    names = []
    for camera in cameras(folder):
        seen = list(read_images(folder, camera))
        if not seen:
            continue
        start = seen[0][0]
        picked = [seen[round(i)] for i in np.linspace(0, len(seen) - 1, min(frames, len(seen)))]
        rows.append(_row([image for _, image in picked]))
        times = times or tuple((stamp - start) * 1e-9 for stamp, _ in picked)
        names.append(camera)
    if not rows:
        return None
    picture = _stack(rows)
    buffer = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(buffer, "PNG", optimize=True)
    height, width, _ = picture.shape
    return Filmstrip(buffer.getvalue(), times, tuple(names), width, height)


def _row(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Frames beside each other, (height, width, 4), the gaps between them transparent."""
    height, width, _ = images[0].shape
    row = np.zeros((height, len(images) * (width + _GAP) - _GAP, 4), np.uint8)
    for i, image in enumerate(images):
        start = i * (width + _GAP)
        row[:, start : start + width, :3] = image[:height, :width]
        row[:, start : start + width, 3] = 255
    return row


def _stack(rows: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Rows above each other."""
    width = max(row.shape[1] for row in rows)
    height = sum(row.shape[0] + _GAP for row in rows) - _GAP
    picture = np.zeros((height, width, 4), np.uint8)
    top = 0
    for row in rows:
        picture[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0] + _GAP
    return picture
