"""A region of interest in a camera's frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hilserl_core.errors import UserError


@dataclass(frozen=True)
class Region:
    """A rectangle of a frame, in pixels; all zero: the whole frame.

    Raises:
        UserError: a number is negative, or only one of width and height is 0.
    """

    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        whole = (self.x, self.y, self.width, self.height) == (0, 0, 0, 0)
        if not whole and (min(self.x, self.y) < 0 or min(self.width, self.height) < 1):
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

    def __str__(self) -> str:
        return f"[{self.x}, {self.y}, {self.width}, {self.height}]"
