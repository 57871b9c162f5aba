"""A V4L2 camera by OpenCV: opened with clear words on what is wrong, locked, stamped."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hilserl_camera.source import AUTOMATIC, Frame, SourceLost, SourceSettings
from hilserl_core.device_files import by_whom, no_permission
from hilserl_core.errors import UserError

# s that OpenCV waits for a frame, before it gives up: a camera that hangs is told of soon.
# It is read once in a process, before the first device is opened.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")

import cv2

_MAJOR = 81  # of video devices, whatever made them
_OLDEST = 1.0  # s: a frame whose driver's stamp is older is stamped by a clock of another kind.


@dataclass(frozen=True)
class _Control:
    """A control of a camera.

    Attributes:
        setting: its name in the settings.
        value: its property.
        switch: the property that makes it automatic, where one does.
        by_hand, automatic: that property's values.
    """

    setting: str
    value: int
    switch: int | None = None
    by_hand: int = 0
    automatic: int = 1


_CONTROLS = (
    # V4L2's numbers of the menu: 1 is by hand, 3 the automatic that webcams have.
    _Control("exposure", cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_AUTO_EXPOSURE, 1, 3),
    _Control("gain", cv2.CAP_PROP_GAIN),
    _Control("white_balance", cv2.CAP_PROP_WB_TEMPERATURE, cv2.CAP_PROP_AUTO_WB),
    _Control("focus", cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_AUTOFOCUS),
)


def device_path(name: str) -> Path:
    """The path of a device that may be given by its number."""
    return Path(f"/dev/video{name}") if name.isdigit() else Path(name)


def available_devices(root: Path = Path("/")) -> list[str]:
    """The cameras there are, by their lasting names where they have one, with what they are."""
    lasting = {path.resolve(): path for path in (root / "dev/v4l/by-id").glob("*")}
    result = []
    folders = (root / "sys/class/video4linux").glob("video*")
    for folder in sorted(folders, key=lambda path: int(path.name[5:] or 0)):
        # A UVC camera has a second device, of index 1, that gives no pictures.
        if _read(folder / "index") not in ("", "0"):
            continue
        path = root / "dev" / folder.name
        name = _read(folder / "name")
        shown = str(lasting.get(path.resolve(), path))
        result.append(f"{shown} ({name})" if name else shown)
    return result


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def no_device(name: str) -> str:
    """What to say where there is no device of that name."""
    return f"no camera {name}: {_there()}; check the cable, or name another device"


def _there() -> str:
    found = available_devices()
    return f"there is {', '.join(found)}" if found else "no camera is connected"


class Device:
    """A camera of this machine.

    Args:
        path: such as /dev/video0, or a name under /dev/v4l/by-id.
        settings: size, rate, and what is locked.
        open_capture: opens a path, as OpenCV's VideoCapture for V4L2.
    """

    def __init__(
        self,
        path: Path,
        settings: SourceSettings,
        open_capture: Callable[[str], Any] = lambda path: cv2.VideoCapture(path, cv2.CAP_V4L2),
    ) -> None:
        self._path, self._settings = path, settings
        self._open_capture = open_capture
        self._capture: Any = None
        self._lock_at: float | None = None

    def open(self) -> tuple[int, int]:
        self.close()
        self._check_file()
        # By its number OpenCV would open another device than a lasting name's after a reboot.
        self._capture = self._open_capture(str(self._path.resolve()))
        try:
            if not self._capture.isOpened():
                raise UserError(self._refused())
            self._configure()
            if not self._capture.grab():
                raise UserError(self._silent())
        except UserError:
            self.close()
            raise
        if self._settings.lock_after > 0:
            self._lock_at = time.monotonic() + self._settings.lock_after
        return self._settings.width, self._settings.height

    def _check_file(self) -> None:
        try:
            if os.major(os.stat(self._path).st_rdev) != _MAJOR:
                raise UserError(f"{self._path} is no camera; {_there()}")
            os.close(os.open(self._path, os.O_RDWR | os.O_NONBLOCK))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
                raise UserError(no_device(str(self._path))) from None
            if error.errno in (errno.EACCES, errno.EPERM):
                raise UserError(no_permission(str(self._path), "video")) from None
            if error.errno == errno.EBUSY:
                raise UserError(self._busy()) from None
            raise UserError(
                f"camera {self._path} cannot be opened ({os.strerror(error.errno or 0)}): "
                "unplug it and plug it in again"
            ) from None

    def _busy(self) -> str:
        return (
            f"camera {self._path} is in use{by_whom(str(self._path))}: stop that program, or name "
            "another camera"
        )

    def _refused(self) -> str:
        if by_whom(str(self._path)):
            return self._busy()
        return (
            f"{self._path} gives no pictures: it is no camera, or a program that may not be seen "
            f"uses it; {_there()}"
        )

    def _silent(self) -> str:
        if by_whom(str(self._path)):
            return self._busy()
        return (
            f"camera {self._path} sends no frame: where two cameras share a USB hub, set fourcc "
            "to MJPG, a smaller size or fps, or plug one in elsewhere"
        )

    def _configure(self) -> None:
        """Sets format, size, rate and controls, and checks what came of it."""
        settings, capture = self._settings, self._capture
        if settings.fourcc:
            capture.set(cv2.CAP_PROP_FOURCC, _code(self._checked_fourcc()))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
        capture.set(cv2.CAP_PROP_FPS, settings.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, settings.buffers)
        width, height, fourcc = (
            int(capture.get(key))
            for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FOURCC)
        )
        given = fourcc.to_bytes(4, "little", signed=fourcc < 0).decode("latin1").strip("\0 ")
        if (width, height) != (settings.width, settings.height):
            raise UserError(
                f"camera {self._path} gives {width} x {height} {given} where {settings.width} x "
                f"{settings.height} was asked for: set width and height to a size that it has "
                f"('v4l2-ctl -d {self._path} --list-formats-ext' lists them)"
            )
        if settings.fourcc and given != settings.fourcc:
            raise UserError(
                f"camera {self._path} sends {given} where fourcc '{settings.fourcc}' was asked "
                f"for: set fourcc to {given}, or to '' to leave it to the camera"
            )
        self._set_controls()

    def _checked_fourcc(self) -> str:
        if len(self._settings.fourcc) != 4:
            raise UserError(
                f"parameter 'fourcc': '{self._settings.fourcc}' is not of four letters: write "
                "MJPG, YUYV, or '' to leave it to the camera"
            )
        return self._settings.fourcc

    def _set_controls(self) -> None:
        self._capture.set(cv2.CAP_PROP_MODE, 0)  # controls in the camera's own units
        for control in _CONTROLS:
            value = getattr(self._settings, control.setting)
            automatic = value == AUTOMATIC
            if control.switch is not None:
                # Also where it is automatic: an earlier program may have left it by hand.
                to = control.automatic if automatic else control.by_hand
                self._capture.set(control.switch, to)
            if automatic:
                continue
            accepted = self._capture.set(control.value, value)
            took = int(self._capture.get(control.value))
            if not accepted or took != value:
                what = f"took {took}" if accepted else "has no such control, or not that value"
                raise UserError(
                    f"parameter '{control.setting}': {value} was asked for, and camera "
                    f"{self._path} {what}: 'v4l2-ctl -d {self._path} -L' lists what it can, "
                    f"{AUTOMATIC} leaves it"
                )

    def _hold(self) -> None:
        """Keeps what the automatics have found."""
        self._lock_at = None
        for control in _CONTROLS:
            if control.switch is None or getattr(self._settings, control.setting) != AUTOMATIC:
                continue
            found = self._capture.get(control.value)
            if found >= 0 and self._capture.set(control.switch, control.by_hand):
                self._capture.set(control.value, found)

    def grab(self) -> Frame | None:
        if self._lock_at is not None and time.monotonic() >= self._lock_at:
            self._hold()
        if not self._capture.grab():
            raise SourceLost(f"camera {self._path} is gone, or has stopped sending")
        stamp = time.time_ns() - self._age()
        found, bgr = self._capture.retrieve()
        if not found or bgr is None or not bgr.size:
            return None  # a JPEG that was damaged on its way
        return Frame(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), stamp)

    def _age(self) -> int:
        """ns since the driver received the frame, where it says so by the monotonic clock."""
        received = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        age = time.monotonic() - received
        return int(1e9 * age) if received > 0 and 0 <= age < _OLDEST else 0

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture = self._lock_at = None


def _code(fourcc: str) -> int:
    return int.from_bytes(fourcc.encode("latin1"), "little")
