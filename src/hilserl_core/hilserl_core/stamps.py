"""Stamps of ROS messages as integers, ns."""

from __future__ import annotations

from builtin_interfaces.msg import Time


def stamp_to_ns(stamp: Time) -> int:
    """A stamp as one integer, ns."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def ns_to_stamp(ns: int) -> Time:
    """The stamp of an integer in ns."""
    sec, nanosec = divmod(ns, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def follows(stamp: int, last: int) -> bool:
    """Whether a measurement of ``stamp`` (ns) is another one than that of ``last``, and newer.

    A leap back by more than a second is a clock that was set or a recording that began anew.
    """
    return stamp > last or last - stamp > 1_000_000_000
