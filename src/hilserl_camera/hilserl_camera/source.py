"""What a camera's frames come from: a device, a file, or a made-up pattern."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter

SYNTHETIC = "synthetic"
AUTOMATIC = -1


class SourceLost(UserError):
    """A source that worked gives no frames any more; it may come back."""


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        rgb: (height, width, 3) uint8; nobody writes to it again.
        stamp: ns since the epoch, when it was taken.
    """

    rgb: NDArray[np.uint8]
    stamp: int


class Source(Protocol):
    """Gives frames, from one thread."""

    def open(self) -> tuple[int, int]:
        """Begins; returns the frames' (width, height), pixels.

        Raises:
            UserError: it cannot; the message says what to do.
        """

    def grab(self) -> Frame | None:
        """Waits for the next frame; None where one came that was damaged.

        Raises:
            SourceLost: it is gone.
        """

    def close(self) -> None:
        """Ends; a second call does nothing."""


@dataclass(frozen=True)
class SourceSettings:
    """Settings of a source; a number of -1 is left as it is, or to the camera's automatic."""

    device: str = parameter(
        "/dev/video0",
        "a V4L2 device (/dev/video0, its number, a name under /dev/v4l/by-id), a video or image "
        f"file, which is looped, or '{SYNTHETIC}', a moving pattern",
    )
    width: int = parameter(640, "of the device's frames, pixels", low=16, high=8192)
    height: int = parameter(480, "of the device's frames, pixels", low=16, high=8192)
    fps: float = parameter(30.0, "frames a second", low=0.1, high=500.0)
    fourcc: str = parameter(
        "MJPG", "how the device sends pixels, such as MJPG or YUYV; empty: as it likes"
    )
    buffers: int = parameter(
        1,
        "frames that the device's driver holds; more of them are staler ones, but a driver may "
        "need two for its full rate",
        low=1,
        high=10,
    )
    exposure: int = parameter(
        AUTOMATIC, "exposure time, 0.1 ms; -1: automatic", low=AUTOMATIC, high=100_000
    )
    gain: int = parameter(AUTOMATIC, "gain, in the camera's own unit; -1: left", low=AUTOMATIC)
    white_balance: int = parameter(
        AUTOMATIC, "white balance, K; -1: automatic", low=AUTOMATIC, high=20_000
    )
    focus: int = parameter(
        AUTOMATIC, "focus, in the camera's own unit; -1: automatic", low=AUTOMATIC
    )
    lock_after: float = parameter(
        0.0,
        "after how many s exposure, white balance and focus stay as the automatics have found "
        "them; 0: they go on",
        low=0.0,
        high=60.0,
    )


Clock = Callable[[], float]
Sleep = Callable[[float], None]


class Pace:
    """Lets frames of a source without a rate of its own come at one.

    Args:
        rate: Hz.
        clock: s, as ``time.monotonic``.
        sleep: waits that many s.
    """

    def __init__(
        self, rate: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self._period, self._clock, self._sleep = 1.0 / rate, clock, sleep
        self._due: float | None = None

    def wait(self) -> None:
        """Returns when the next frame is due; one that was missed is not made up for."""
        now = self._clock()
        due = now if self._due is None else self._due
        if due > now:
            self._sleep(due - now)
        self._due = max(due, now - self._period) + self._period


def make_source(settings: SourceSettings) -> Source:
    """The source that the settings' ``device`` names; it is not opened yet.

    Raises:
        UserError: there is nothing of that name.
    """
    import cv2

    from hilserl_camera.device import Device, device_path, no_device
    from hilserl_camera.files import FileSource
    from hilserl_camera.synthetic import Synthetic

    # What OpenCV would say on the terminal, the errors here say better.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    name = settings.device
    if name == SYNTHETIC:
        return Synthetic(settings.width, settings.height, Pace(settings.fps))
    path = device_path(name)
    if not path.exists():
        if _of_dev(path):
            raise UserError(no_device(name))
        raise UserError(
            f"there is no file {name}: name a video or image, a device under /dev, or '{SYNTHETIC}'"
        )
    if _of_dev(path) or stat.S_ISCHR(path.stat().st_mode):
        return Device(path, settings)
    return FileSource(path, Pace(settings.fps))


def _of_dev(path: Path) -> bool:
    return path.parts[:2] == ("/", "dev")
