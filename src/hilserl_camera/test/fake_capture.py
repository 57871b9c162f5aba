"""A camera as OpenCV shows it, for what cannot be tried without one."""

from __future__ import annotations

import cv2
import numpy as np


class FakeCapture:
    """Answers as ``cv2.VideoCapture`` of a V4L2 device does.

    Attributes:
        values: of every property that was set or is given.
        refuses: properties that the camera does not have.
        frames: what is still to be grabbed; afterwards it is gone.
    """

    def __init__(self, **changes):
        self.values = {cv2.CAP_PROP_POS_MSEC: 0.0}
        self.gives = {}
        self.refuses = set()
        self.frames = [np.full((480, 640, 3), value, np.uint8) for value in (1, 2, 3)]
        self.opened = True
        self.order = []
        vars(self).update(changes)
        self._grabbed = None

    def isOpened(self):
        return self.opened

    def set(self, key, value):
        if key in self.refuses:
            return False
        self.values[key] = value
        self.order.append(key)
        return True

    def get(self, key):
        if key in self.refuses:
            return -1.0
        return float(self.gives.get(key, self.values.get(key, -1.0)))

    def grab(self):
        if not self.frames:
            return False
        self._grabbed = self.frames.pop(0)
        return True

    def retrieve(self):
        return self._grabbed is not None, self._grabbed

    def release(self):
        self.opened = False
