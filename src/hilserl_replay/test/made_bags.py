"""Bags made by programs that are not ours, for the tests of this package."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter
from sensor_msgs.msg import CompressedImage, Image, JointState

from hilserl_core.stamps import ns_to_stamp
from hilserl_description.arm_model import GRIPPER, JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import ServoState
from hilserl_replay.message_definitions import message_definition

START = 1_800_000_000_000_000_000
MS = 1_000_000


@dataclass(frozen=True)
class Recorded:
    """A message as a recorder gets it: ``stamp`` is when, in ns."""

    topic: str
    type: str
    stamp: int
    data: bytes


def recorded(topic: str, message: Any, stamp: int) -> Recorded:
    package, kind = type(message).__module__.split(".")[0], type(message).__name__
    return Recorded(topic, f"{package}/msg/{kind}", stamp, serialize_message(message))


def joint_state(
    names: Sequence[str], position: Iterable[float], stamp: int, velocity: float = 0.0
) -> JointState:
    position = list(position)
    message = JointState(name=list(names), position=position)
    message.velocity = [velocity] * len(position)
    message.header.stamp = ns_to_stamp(stamp)
    return message


def picture(stamp: int, value: int, width: int = 40, height: int = 30, seed: int = 0) -> Image:
    """An rgb8 frame of noise whose first pixel is ``value``."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels[0, 0] = value
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", pixels.tobytes())
    message.header.stamp = ns_to_stamp(stamp)
    return message


def some_messages(count: int = 30) -> list[Recorded]:
    """Joint states and frames in turn, recorded 3 ms after they were stamped."""
    result = []
    for i in range(count):
        stamp = START + i * 10 * MS
        state = joint_state(["a", "b"], [float(i), 0.5], stamp)
        result.append(recorded("/joint_states", state, stamp + 3 * MS))
        if i % 3 == 0:
            frame = picture(stamp, i, seed=i)
            result.append(recorded("/camera/front/image_raw", frame, stamp + 4 * MS))
    return result


def by_rosbags(
    folder: Path, messages: Iterable[Recorded], storage: str = "mcap", mode: str = "none"
) -> Path:
    """A bag as ``ros2 bag record`` leaves it, written by ``rosbags``."""
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = RosbagsWriter(folder, version=9, storage_plugin=plugin)
    if mode != "none":
        writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    with writer:
        for message in messages:
            if message.topic not in connections:
                definition = message_definition(message.type)
                connections[message.topic] = writer.add_connection(
                    message.topic, message.type, msgdef=definition.text, rihs01=definition.hash
                )
            writer.write(connections[message.topic], message.stamp, message.data)
    return folder


def by_mcap(
    path: Path,
    messages: Iterable[Recorded],
    compression: CompressionType = CompressionType.NONE,
    chunk_size: int = 20_000,
    **options: Any,
) -> Path:
    """A lone MCAP file, written by ``mcap``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        writer = McapWriter(stream, compression=compression, chunk_size=chunk_size, **options)
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for message in messages:
            if message.topic not in channels:
                text = message_definition(message.type).text.encode()
                schema = writer.register_schema(message.type, "ros2msg", text)
                channels[message.topic] = writer.register_channel(message.topic, "cdr", schema)
            channel = channels[message.topic]
            writer.add_message(channel, message.stamp, message.data, message.stamp)
        writer.finish()
    return path


def split(folder: Path, parts: Sequence[Path]) -> Path:
    """One bag of several that were recorded one after the other, as ``--max-bag-size`` does."""
    folder.mkdir()
    names, merged = [], None
    for number, part in enumerate(parts):
        (file,) = (f for f in part.iterdir() if f.suffix != ".yaml")
        name = f"{folder.name}_{number}{''.join(file.suffixes)}"
        shutil.copy(file, folder / name)
        names.append(name)
        information = yaml.safe_load((part / "metadata.yaml").read_text())
        merged = merged or information
    assert merged is not None
    merged["rosbag2_bagfile_information"]["relative_file_paths"] = names
    (folder / "metadata.yaml").write_text(yaml.safe_dump(merged))
    return folder


def cut(path: Path, size: int) -> None:
    """``truncate -s -SIZE`` of the bag's only file, or of the file itself."""
    file = path if path.is_file() else next(f for f in path.iterdir() if f.suffix != ".yaml")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) - size])


def koch_messages(
    seconds: float = 3.0,
    *,
    begin: int = START,
    names: Sequence[str] = JOINT_NAMES,
    size: tuple[int, int] = (40, 30),
    cameras: Sequence[str] = ("front", "wrist"),
    image: Callable[[Image], Any] = lambda message: message,
) -> list[Recorded]:
    """A Koch arm that follows its leader: states at 100 Hz, frames at 30 Hz, in order.

    The leader moves steadily; the gripper closes half-way. A frame's first pixel is its number,
    and ``image`` makes another message of it.
    """
    result = []
    for i in range(round(seconds * 300)):
        stamp = begin + i * 10 * MS // 3
        if i % 3 == 0:
            pose = KOCH.home + np.array([0.1, 0.05, 0, 0, 0, 0]) * i / 300
            pose[GRIPPER] = KOCH.gripper_opened if i < seconds * 150 else -0.2
            for topic in ("/joint_states", "/leader/joint_states"):
                result.append(recorded(topic, joint_state(names, pose, stamp), stamp + MS))
            servos = ServoState(name=list(names), current=[0.1] * len(names))
            servos.header.stamp = ns_to_stamp(stamp)
            result.append(recorded("/servo_states", servos, stamp + MS))
        if i % 10 == 0:
            for camera in cameras:
                frame = image(picture(stamp, i // 10 % 256, *size, seed=i))
                topic = f"/camera/{camera}/image_raw"
                result.append(recorded(topic, frame, stamp + 20 * MS))
    return sorted(result, key=lambda message: message.stamp)


def koch_contract(path: Path, **changes: Any) -> Path:
    """A contract for ``koch_messages``; a section given is merged into it, or removed by None."""
    content: dict[str, Any] = {
        "servo_states": {"topic": "servo_states", "max_age": 0.05},
        "joint_states": {"topic": "joint_states", "max_age": 0.05},
        "cameras": {
            name: {"topic": f"camera/{name}/image_raw", "max_age": 0.1}
            for name in ("front", "wrist")
        },
        "actions": {"kind": "leader", "topic": "leader/joint_states", "max_age": 0.05},
        "image_size": 16,
        "episodes": {},
    }
    for key, value in changes.items():
        merged = {**content.get(key, {}), **value} if isinstance(value, dict) else value
        content[key] = merged
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return path


def encoded(message: Image, encoding: str) -> Any:
    """The same picture in another encoding; a grey one, so that every encoding holds it."""
    rgb = np.frombuffer(message.data, np.uint8).reshape(30, 40, 3)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    rgb = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if encoding in ("jpeg", "png"):
        other = CompressedImage(format=encoding)
        other.data = array("B", cv2.imencode(f".{encoding}", rgb)[1].tobytes())
    else:
        codes = {"rgb8": None, "bgr8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGB2RGBA}
        if encoding == "mono8":
            pixels = grey[:, :, None]
        elif encoding == "yuv422":  # U Y V Y: luma in the range of video, no colour
            luma = np.round(16 + grey.astype(float) * 219 / 255)
            pixels = np.stack([np.full_like(grey, 128), luma.astype(np.uint8)], axis=-1)
        else:
            code = codes[encoding]
            pixels = rgb if code is None else cv2.cvtColor(rgb, code)
        other = Image(height=30, width=40, encoding=encoding, step=40 * pixels.shape[2])
        other.data = array("B", pixels.tobytes())
    other.header = message.header
    return other
