"""From a camera's frame to the policy's image: a region of interest, made small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError


@dataclass(frozen=True)
class Region:
    """A rectangle of a frame, in pixels; all zero: the whole frame.

    Attributes:
        x, y: of its upper left corner, from the frame's.
        width, height: how far it reaches to the right and down.

    Raises:
        UserError: a number is negative, or only one of width and height is 0.
    """

    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        if self.whole:
            return
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise UserError(
                f"region {self}: x and y are at least 0, width and height at least 1; "
                "0 0 0 0 is the whole frame"
            )

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Region:
        """The region of four numbers x, y, width, height.

        Raises:
            UserError: they are not four, or make no region.
        """
        if len(numbers) != 4:
            raise UserError(f"region {list(numbers)}: write [x, y, width, height]")
        return cls(*numbers)

    @property
    def whole(self) -> bool:
        """Whether it is the whole frame, whatever the frame's size."""
        return (self.x, self.y, self.width, self.height) == (0, 0, 0, 0)

    def check(self, width: int, height: int) -> None:
        """Raises UserError where it does not lie in a frame of that size, in pixels."""
        if self.x + self.width > width or self.y + self.height > height:
            raise UserError(
                f"region {self} does not lie in the frame of {width} x {height}: "
                "choose it anew with 'select_roi', or set the camera's size to what it was"
            )

    def crop(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a frame (height, width, channels) that it covers; not copied.

        Raises:
            UserError: it does not lie in the frame.
        """
        if self.whole:
            return frame
        self.check(frame.shape[1], frame.shape[0])
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]

    def __str__(self) -> str:
        return f"[{self.x}, {self.y}, {self.width}, {self.height}]"


def policy_image(
    rgb: NDArray[np.uint8], region: Region, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The region of a frame at the size that the policy sees.

    Every pixel is the mean of the area that it covers, so that small things do not flicker as
    they do where single pixels are picked. The same frame gives the same image, live and from a
    recording.

    Args:
        rgb: (height, width, 3) uint8.
        region: what of it; a region of another shape than ``size`` is stretched.
        size: (width, height) of the result, pixels.

    Returns:
        (size[1], size[0], 3) uint8; part of ``rgb`` where the size is right already.

    Raises:
        UserError: the region does not lie in the frame.
    """
    part = region.crop(rgb)
    width, height = size
    if part.shape[:2] == (height, width):
        return part
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
