"""PushT's block: its outline, where it has to lie, and the frame that it carries along.

Lengths are the environment's pixels, of which its square has 512 a side; angles are radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

RADIUS = 15.0
"""Of the agent, a disc."""
SIDE = 512.0
"""Of the square."""
OUTLINE = np.array(
    [(-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120), (-15, 30), (-60, 30)], float
)
"""The block's corners, in its own frame and in order: a T of two bars."""
CENTRE = np.array([0.0, 45.0])
"""The block's centre of gravity in its own frame: a push in line with it turns nothing."""


@dataclass(frozen=True)
class Pose:
    """Of the block: where its frame's origin lies, and how far it is turned."""

    x: float
    y: float
    angle: float

    def rotate(self, vectors: Vector) -> Vector:
        """Directions (..., 2) of the block's frame in the world's."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return vectors @ np.array([[c, s], [-s, c]])

    def rotate_back(self, vectors: Vector) -> Vector:
        """Directions (..., 2) of the world's frame in the block's."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return vectors @ np.array([[c, -s], [s, c]])

    def to_world(self, points: Vector) -> Vector:
        """Points (..., 2) of the block's frame in the world's."""
        return self.rotate(points) + np.array([self.x, self.y])

    def to_block(self, points: Vector) -> Vector:
        """Points (..., 2) of the world's frame in the block's."""
        return self.rotate_back(points - (self.x, self.y))

    @classmethod
    def of_keypoints(cls, keypoints: Vector) -> Pose:
        """The pose that the environment's keypoints (8, 2) mean.

        The first two are the ends of the outer edge, (-60, 0) and (60, 0) in the block's frame.
        """
        along = keypoints[1] - keypoints[0]
        x, y = (keypoints[0] + keypoints[1]) / 2
        return cls(float(x), float(y), float(np.arctan2(along[1], along[0])))


GOAL = Pose(256.0, 256.0, np.pi / 4)
_GOAL_OUTLINE = GOAL.to_world(OUTLINE)


def distance_to_goal(pose: Pose) -> float:
    """Mean distance of the block's corners from where they should be."""
    return float(np.linalg.norm(pose.to_world(OUTLINE) - _GOAL_OUTLINE, axis=1).mean())


def angle_to_goal(pose: Pose) -> float:
    """How far the block has to turn, -pi to pi."""
    return float((GOAL.angle - pose.angle + np.pi) % (2 * np.pi) - np.pi)
