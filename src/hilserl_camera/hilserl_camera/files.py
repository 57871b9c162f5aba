"""A video or an image file as a camera, again and again."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from hilserl_camera.source import Frame, Pace, SourceLost
from hilserl_core.errors import UserError


class FileSource:
    """Frames of a file; a video's end is followed by its beginning, an image by itself.

    Args:
        path: of the file.
        pace: at which frames come, whatever the video's own rate is.
    """

    def __init__(self, path: Path, pace: Pace) -> None:
        self._path, self._pace = path, pace
        self._image: np.ndarray | None = None
        self._video: cv2.VideoCapture | None = None

    def open(self) -> tuple[int, int]:
        self.close()
        # An empty or foreign file is no image; what it is otherwise, the video reader says.
        self._image = cv2.imread(str(self._path), cv2.IMREAD_COLOR)
        if self._image is None:
            self._video = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
            first = self._next()
            if first is None:
                raise UserError(
                    f"{self._path} is no image and no video that can be read: "
                    "give a PNG, JPEG, MP4, MKV or AVI file"
                )
            self._video.set(cv2.CAP_PROP_POS_FRAMES, 0)
            return first.shape[1], first.shape[0]
        return self._image.shape[1], self._image.shape[0]

    def grab(self) -> Frame:
        self._pace.wait()
        stamp = time.time_ns()
        bgr = self._image if self._image is not None else self._next()
        if bgr is None:  # its end
            self.open()
            bgr = self._next()
        if bgr is None:
            raise SourceLost(f"{self._path} holds no frame any more")
        return Frame(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), stamp)

    def _next(self) -> np.ndarray | None:
        if self._video is None:
            return None
        found, bgr = self._video.read()
        return bgr if found else None

    def close(self) -> None:
        if self._video is not None:
            self._video.release()
        self._video = self._image = None
