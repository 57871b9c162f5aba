"""The cameras that the console shows: what each publishes, and the pictures that somebody views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core.images import to_rgb
from hilserl_core.measuring import camera_stream
from hilserl_core.qos import SENSOR
from hilserl_teleop.console_pictures import Pictures

WHOLE = (
    ("view/compressed", CompressedImage),  # made for people: a few a second, while somebody looks
    ("image_raw", Image),
    ("image_raw/compressed", CompressedImage),
)
"""Where a camera's whole frames may come from, the one to be preferred first."""


@dataclass(frozen=True)
class _Stream:
    topic: str
    kind: type[Any]


class CameraViews:
    """Finds what cameras publish, and subscribes to what pages view.

    A page views ``NAME``, which is what the policy sees, or ``NAME/raw``, the whole frame.

    Args:
        node: that subscribes.
        cameras: their names.
        pictures: is offered what arrives.
        say: is told what each camera publishes, at first and when that changes:
            ``{"front": {"policy": True, "raw": False}}``.
    """

    def __init__(
        self,
        node: Node,
        cameras: tuple[str, ...],
        pictures: Pictures,
        say: Callable[[Mapping[str, Mapping[str, bool]]], None],
    ) -> None:
        self._node, self._cameras, self._pictures, self._say = node, cameras, pictures, say
        self._said: dict[str, dict[str, bool]] = {}
        self._streams: dict[str, _Stream] = {}
        self._wanted: frozenset[str] = frozenset()
        self._viewed: dict[str, tuple[_Stream, Any]] = {}

    def look(self) -> None:
        """Looks which cameras publish what, now."""
        self._streams = {name: s for name in self._names() if (s := self._find(name)) is not None}
        available = {
            camera: {"policy": camera in self._streams, "raw": f"{camera}/raw" in self._streams}
            for camera in self._cameras
        }
        if available != self._said:
            self._said = available
            self._say(available)
        self._subscribe()

    def watch(self, wanted: frozenset[str]) -> None:
        """Shows these, of those that are published, and no others."""
        self._wanted = wanted
        self._subscribe()

    def _names(self) -> list[str]:
        return [name for camera in self._cameras for name in (camera, f"{camera}/raw")]

    def _find(self, name: str) -> _Stream | None:
        """Where a view's pictures come from; None where nobody publishes them."""
        camera, _, whole = name.partition("/")
        streams = (
            [_Stream(f"camera/{camera}/{part}", kind) for part, kind in WHOLE]
            if whole
            else [_Stream(camera_stream(camera), Image)]
        )
        return next((s for s in streams if self._node.count_publishers(s.topic)), None)

    def _subscribe(self) -> None:
        """Subscribes to what is wanted, and ends what is not, or comes from elsewhere now."""
        streams = {name: s for name, s in self._streams.items() if name in self._wanted}
        for name, (stream, subscription) in list(self._viewed.items()):
            if streams.get(name) != stream:
                self._node.destroy_subscription(subscription)
                del self._viewed[name]
        for name in streams.keys() - self._viewed.keys():
            stream = streams[name]
            subscription = self._node.create_subscription(
                stream.kind, stream.topic, partial(self._take, name, stream.kind), SENSOR, raw=True
            )
            self._viewed[name] = stream, subscription

    def _take(self, name: str, kind: type[Any], message: bytes) -> None:
        self._pictures.offer(name, partial(_unpack, kind, message))


def _unpack(kind: type[Any], message: bytes) -> NDArray[np.uint8]:
    return to_rgb(deserialize_message(message, kind))
