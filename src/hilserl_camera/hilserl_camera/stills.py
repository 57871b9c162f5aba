"""Frames to choose a region on: of a camera, a topic, a bag, or a picture file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hilserl_camera.capture import Capture
from hilserl_camera.source import SourceSettings, make_source
from hilserl_core.errors import UserError

FIRST_SECONDS = 5.0
"""In which a camera's or a topic's first frame has to come."""

WARM_UP_SECONDS = 1.0
"""After which a camera's automatics have mostly settled."""

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


class Stills(Protocol):
    """Gives a frame whenever asked.

    Attributes:
        name: of where they come from.
        live: whether another time gives another frame.
    """

    name: str
    live: bool

    def frame(self) -> NDArray[np.uint8]:
        """The newest, (height, width, 3) uint8.

        Raises:
            UserError: there is none.
        """

    def close(self) -> None:
        """Ends."""


class Picture:
    """One frame that is known already."""

    live = False

    def __init__(self, name: str, rgb: NDArray[np.uint8]) -> None:
        self.name, self._rgb = name, rgb

    def frame(self) -> NDArray[np.uint8]:
        return self._rgb

    def close(self) -> None:
        pass


class OfDevice:
    """The newest frame of a device or a file.

    Args:
        settings: of the source.

    Raises:
        UserError: it cannot be opened, or gives none.
    """

    live = True

    def __init__(self, settings: SourceSettings) -> None:
        self.name = settings.device
        self._capture = Capture(make_source(settings))
        first = self._capture.take(FIRST_SECONDS)
        if first is None:
            self.close()
            raise UserError(self._capture.problem or f"{self.name} gives no frame")
        self._rgb = first.rgb

    def frame(self) -> NDArray[np.uint8]:
        newer = self._capture.take(0.0)
        if newer is not None:
            self._rgb = newer.rgb
        if self._capture.problem:
            raise UserError(self._capture.problem)
        return self._rgb

    def close(self) -> None:
        self._capture.close()


class OfTopic:
    """The newest frame of a ROS topic.

    Args:
        topic: of Image, or of CompressedImage where it ends in ``/compressed``.

    Raises:
        UserError: no frame came.
    """

    live = True

    def __init__(self, topic: str) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import CompressedImage, Image

        from hilserl_camera.crop_node import NEWEST

        self.name = topic
        self._message: Any = None
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("select_roi", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        kind = CompressedImage if topic.endswith("/compressed") else Image
        self._node.create_subscription(kind, topic, self._take, NEWEST)
        end = time.monotonic() + FIRST_SECONDS
        while self._message is None and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.1)
        if self._message is None:
            others = self._image_topics()
            self.close()
            there = f"there are frames on {', '.join(others)}" if others else "no topic has images"
            raise UserError(f"no frame came on {topic} in {FIRST_SECONDS:g} s: {there}")

    def _take(self, message: Any) -> None:
        self._message = message

    def _image_topics(self) -> list[str]:
        topics = self._node.get_topic_names_and_types()
        return [
            name
            for name, types in topics
            if set(types) & set(IMAGE_TYPES) and self._node.count_publishers(name)
        ]

    def frame(self) -> NDArray[np.uint8]:
        from hilserl_core.images import to_rgb

        self._executor.spin_once(timeout_sec=0.0)
        return to_rgb(self._message)

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)


def of_image(path: Path) -> Picture:
    """A picture file.

    Raises:
        UserError: it is none.
    """
    import cv2

    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        what = "is no PNG or JPEG" if path.exists() else "is not there"
        raise UserError(f"picture {path} {what}: give one that the camera took")
    return Picture(str(path), np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))


def of_bag(path: Path, topic: str = "") -> Picture:
    """A frame out of the middle of a recording: of a bag, or of a run's newest one.

    Args:
        path: of a bag (its folder or its file), or of a run.
        topic: of the frames; empty: the only one with images.

    Raises:
        UserError: there is no bag, or no such images in it.
    """
    try:
        from rosbags.highlevel import AnyReader
    except ImportError:
        raise UserError("reading a bag needs the package rosbags: pip install rosbags") from None
    folder = _bag(path)
    try:
        with AnyReader([folder]) as reader:
            connections = [c for c in reader.connections if c.msgtype in IMAGE_TYPES]
            topics = sorted({c.topic for c in connections})
            chosen = _choose(folder, topics, topic)
            wanted = [c for c in connections if c.topic == chosen]
            middle = (reader.start_time + reader.end_time) // 2
            for start in (middle, None):
                for connection, _, data in reader.messages(wanted, start=start):
                    name = f"{folder} {chosen}"
                    return Picture(name, _decoded(connection.msgtype, data))
    except UserError:
        raise
    except Exception as error:  # rosbags raises several kinds of its own
        raise UserError(f"{folder} cannot be read: {error}") from None
    raise UserError(f"{folder} holds no message on {chosen}")


def _bag(path: Path) -> Path:
    """The bag at a path, or the newest in the run there."""
    if path.is_file() or _holds_bag(path):
        return path
    bags = [folder for folder in _folders(path / "episodes") if _holds_bag(folder)]
    if not bags:
        what = "holds no bag (.mcap, .db3)" if path.exists() else "is not there"
        raise UserError(f"{path} {what}: name a bag's folder, or a run's")
    return bags[-1]


def _folders(path: Path) -> Iterator[Path]:
    return (
        iter(sorted(entry for entry in path.iterdir() if entry.is_dir()))
        if path.is_dir()
        else iter(())
    )


def _holds_bag(path: Path) -> bool:
    return path.is_dir() and any(True for kind in ("*.mcap", "*.db3") for _ in path.glob(kind))


def _choose(bag: Path, topics: list[str], wanted: str) -> str:
    if not topics:
        raise UserError(
            f"{bag} holds no topic with images: record camera/NAME/image_raw, which camera_node "
            "publishes where its parameter image_raw says so"
        )
    if wanted and wanted not in topics:
        raise UserError(f"{bag} has no images on {wanted}, choose from: {', '.join(topics)}")
    if not wanted and len(topics) > 1:
        raise UserError(f"{bag} has images on {', '.join(topics)}: choose one with --topic")
    return wanted or topics[0]


def _decoded(kind: str, data: bytes) -> NDArray[np.uint8]:
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CompressedImage, Image

    from hilserl_core.images import to_rgb

    return to_rgb(
        deserialize_message(bytes(data), Image if kind == IMAGE_TYPES[0] else CompressedImage)
    )
