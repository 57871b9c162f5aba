"""Camera pictures for the pages: the newest of each camera, as JPEG, made once for all viewers.

Messages are kept as they come, and unpacked only where somebody looks; free of ROS.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError

QUALITY = 80
LARGEST = 640
"""Pixels: a longer side is shown smaller."""

Unpack = Callable[[], NDArray[np.uint8]]
"""Gives the image (height, width, 3) uint8 rgb of a message that was kept as it came."""


@dataclass(frozen=True)
class Picture:
    """One camera's frame, ready to send.

    Attributes:
        number: counts the camera's frames.
        width, height: of the camera's frame, pixels; the JPEG may be smaller.
    """

    camera: str
    number: int
    width: int
    height: int
    jpeg: bytes


class Pictures:
    """The newest frame of each camera."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: dict[str, tuple[int, Unpack | None]] = {}
        self._made: dict[str, Picture] = {}
        self.problems: dict[str, str] = {}

    def offer(self, camera: str, unpack: Unpack) -> None:
        """Takes a camera's newest message, unread."""
        with self._lock:
            number, _ = self._arrived.get(camera, (0, None))
            self._arrived[camera] = (number + 1, unpack)

    def forget(self, camera: str) -> None:
        """Nobody looks at a camera any longer: its last frame must not be taken for news."""
        with self._lock:
            number, _ = self._arrived.get(camera, (0, None))
            self._arrived[camera] = (number, None)

    def newest(self, camera: str) -> Picture | None:
        """A camera's newest frame; None where there is none yet, or none that can be shown."""
        with self._lock:
            number, unpack = self._arrived.get(camera, (0, None))
        if unpack is None:
            return None
        made = self._made.get(camera)
        if made is None or made.number != number:
            try:
                made = _picture(camera, number, unpack())
            except UserError as error:
                self.problems[camera] = f"camera {camera}: {error}"
                return None
            self.problems.pop(camera, None)
            self._made[camera] = made
        return made


def _picture(camera: str, number: int, rgb: NDArray[np.uint8]) -> Picture:
    height, width, _ = rgb.shape
    shrink = max(width, height) / LARGEST
    if shrink > 1:
        size = (round(width / shrink), round(height / shrink))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return Picture(camera, number, width, height, data.tobytes())


def pack(frame: int, pictures: Sequence[Picture]) -> bytes:
    """One binary message: length of the header (4 bytes, little-endian), header, JPEGs.

    The header is JSON: ``frame``, and of each picture in order ``camera``, ``width``,
    ``height`` and ``bytes``.
    """
    described = [
        {"camera": p.camera, "width": p.width, "height": p.height, "bytes": len(p.jpeg)}
        for p in pictures
    ]
    header = json.dumps({"frame": frame, "pictures": described}).encode()
    return b"".join([struct.pack("<I", len(header)), header, *(p.jpeg for p in pictures)])
