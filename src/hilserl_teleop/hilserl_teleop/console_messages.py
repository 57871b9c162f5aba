"""What a page of the console may say: a few small messages, each checked whole.

A message is one JSON object of at most ``MAX_BYTES``:

    {"type": "drive", "move": [x, y, z], "grip": -1 | 0 | 1, "speed": s}   directions in [-1, 1]
    {"type": "event", "event": "takeover" | "release" | ... | "stop"}      of hilserl_core.step
    {"type": "release_stop"}
    {"type": "view", "cameras": [name, ...]}                               pictures wanted
    {"type": "seen", "frame": n}                                           pictures received

Nothing else is understood, so nothing else can be asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hilserl_core.step import Event
from hilserl_teleop.jog import SPEEDS

MAX_BYTES = 1024
MAX_CAMERAS = 8
MAX_NAME = 64
_FRAMES = 2**53


class MessageError(Exception):
    """A message is refused; says why, for a person to read."""


@dataclass(frozen=True)
class Drive:
    """Directions of motion, each in [-1, 1], a gripper's pulse, and the speed they share."""

    move: tuple[float, float, float]
    grip: int
    speed: float


@dataclass(frozen=True)
class Press:
    """The operator decided something."""

    event: Event


@dataclass(frozen=True)
class ReleaseStop:
    """The stop shall end."""


@dataclass(frozen=True)
class View:
    """The cameras whose pictures the page shows."""

    cameras: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """The number of the newest picture message that arrived."""

    frame: int


Message = Drive | Press | ReleaseStop | View | Seen


def parse(text: str | bytes) -> Message:
    """The message of a text.

    Raises:
        MessageError: it is too long, no JSON, or not one of the messages above.
    """
    if not isinstance(text, str):
        raise MessageError("a message is text, this is binary")
    if len(text) > MAX_BYTES:
        raise MessageError(f"a message has at most {MAX_BYTES} characters, this one {len(text)}")
    try:
        content = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MessageError("a message is one JSON object, this is not") from None
    if not isinstance(content, dict):
        raise MessageError("a message is one JSON object, this is not")
    kind = content.pop("type", None)
    maker = _MAKERS.get(kind) if isinstance(kind, str) else None
    if maker is None:
        raise MessageError(f"'type' is one of {', '.join(_MAKERS)}")
    keys, make = maker
    if set(content) != keys:
        raise MessageError(f"'{kind}' has exactly the keys {', '.join(sorted(keys)) or 'none'}")
    return make(content)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _number(value: Any, name: str, low: float, high: float) -> float:
    """A finite number between two bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise MessageError(f"'{name}' is a number from {low:g} to {high:g}")
    return float(value)


def _whole(value: Any, name: str, low: int, high: int) -> int:
    number = _number(value, name, low, high)
    if not math.isclose(number, round(number), abs_tol=0.0):
        raise MessageError(f"'{name}' is a whole number")
    return round(number)


def _drive(content: Mapping[str, Any]) -> Drive:
    move = content["move"]
    if not isinstance(move, list) or len(move) != 3:
        raise MessageError("'move' is a list of three numbers")
    x, y, z = (_number(value, "move", -1.0, 1.0) for value in move)
    speed = _number(content["speed"], "speed", SPEEDS[0], SPEEDS[-1])
    return Drive((x, y, z), _whole(content["grip"], "grip", -1, 1), speed)


def _press(content: Mapping[str, Any]) -> Press:
    name = content["event"]
    events = {event.name.lower(): event for event in Event}
    if not isinstance(name, str) or name not in events:
        raise MessageError(f"'event' is one of {', '.join(events)}")
    return Press(events[name])


def _view(content: Mapping[str, Any]) -> View:
    cameras = content["cameras"]
    if (
        not isinstance(cameras, list)
        or len(cameras) > MAX_CAMERAS
        or not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in cameras)
    ):
        raise MessageError(f"'cameras' is a list of at most {MAX_CAMERAS} names")
    return View(tuple(dict.fromkeys(cameras)))


_MAKERS: dict[str, tuple[set[str], Callable[[Mapping[str, Any]], Message]]] = {
    "drive": ({"move", "grip", "speed"}, _drive),
    "event": ({"event"}, _press),
    "release_stop": (set(), lambda _: ReleaseStop()),
    "view": ({"cameras"}, _view),
    "seen": ({"frame"}, lambda content: Seen(_whole(content["frame"], "frame", 0, _FRAMES))),
}
