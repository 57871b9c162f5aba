"""The quality of service of every topic, by what the topic is for.

A reliable subscriber never matches a best-effort publisher, so both sides take theirs
from here.
"""

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

SENSOR = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=5
)
"""Measurements: the newest counts, a lost one is followed by another."""

SIMULATED = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=100
)
"""Measurements of a simulator. In lockstep it runs ahead of real time and waits for an answer to
each: one lost on the way would end the episode. Where it does not, they are taken as ``SENSOR``."""

EVERYTHING = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=500
)
"""Measurements, for whoever keeps all of them: no burst may push an older one out."""

RELIABLE = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=50
)
"""Actions, observations, rewards, events: each counts."""

EVERY_WORD = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=500
)
"""The same, for whoever keeps all of them: what was received waits, however busy the reader is."""

COMMAND = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=1
)
"""Commands: each is delivered, and only the newest is worth executing."""

STEPS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    history=HistoryPolicy.KEEP_LAST,
    depth=500,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Steps: none may be lost while a subscriber is busy, nor while it starts anew. Whoever takes
them drops those it has seen."""

LATCHED = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""State: a subscriber that starts late gets the last."""

WEIGHTS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    liveliness=LivelinessPolicy.AUTOMATIC,
    liveliness_lease_duration=Duration(seconds=0.3),
)
"""Weights: a subscriber that starts late gets the last, and hears within the lease that the
learner's process is gone. The middleware vouches for it from a thread of its own, so that a
learner that computes for long counts as alive."""


def measurements(lockstep: bool) -> QoSProfile:
    """How to take measurements.

    Args:
        lockstep: the robot is a simulator that waits for an answer to each.
    """
    return SIMULATED if lockstep else SENSOR
