"""Conversion of a raw bag: how many times real time, and whether memory grows with the bag.

Two cameras of 640 x 480 at 30 Hz, joint and servo states and those of a leader at 100 Hz, written
in MCAP as ``ros2 bag record`` does by default, without compression. Each conversion is the program
``convert`` in a process of its own, its start and imports included.

python bench/bench_convert.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mcap.writer import CompressionType, Writer
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from hilserl_core.stamps import ns_to_stamp
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import ServoState
from hilserl_replay.message_definitions import message_definition

LENGTHS = (15.0, 45.0)  # s
CAMERAS, WIDTH, HEIGHT = ("front", "wrist"), 640, 480
GOAL, LIMIT_MB = 20.0, 500.0
START = 1_800_000_000_000_000_000
_FRAMES = 7  # distinct ones, so that none is its neighbour


def _scene(number: int) -> array[int]:
    """A frame that compresses like a camera's: soft shapes under a little noise."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
    soft = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noisy = np.clip(soft + rng.integers(-3, 4, soft.shape), 0, 255).astype(np.uint8)
    return array("B", noisy.tobytes())


def _messages(seconds: float) -> Iterator[tuple[str, int, Any]]:
    """Topic, stamp (ns) and message, in the order in which they would be recorded."""
    frames = [_scene(number) for number in range(_FRAMES)]
    for i in range(round(seconds * 300)):
        stamp = START + i * 10_000_000 // 3
        if i % 3 == 0:
            pose = KOCH.home + 0.1 * np.sin(i / 300 + np.arange(6))
            for topic in ("joint_states", "leader/joint_states"):
                message = JointState(name=list(JOINT_NAMES), position=pose.tolist())
                message.velocity = [0.0] * 6
                yield topic, stamp, message
            yield "servo_states", stamp, ServoState(name=list(JOINT_NAMES), current=[0.1] * 6)
        if i % 10 == 0:
            for k, camera in enumerate(CAMERAS):
                message = Image(height=HEIGHT, width=WIDTH, encoding="bgr8", step=3 * WIDTH)
                message.data = frames[(i // 10 + k) % _FRAMES]
                yield f"camera/{camera}/image_raw", stamp, message


def write_bag(path: Path, seconds: float, compression: CompressionType) -> None:
    """A lone MCAP file, by the library ``mcap``."""
    with path.open("wb") as stream:
        writer = Writer(stream, compression=compression, chunk_size=786_432)
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for topic, stamp, message in _messages(seconds):
            if topic not in channels:
                kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
                text = message_definition(kind).text.encode()
                schema = writer.register_schema(kind, "ros2msg", text)
                channels[topic] = writer.register_channel(f"/{topic}", "cdr", schema)
            message.header.stamp = ns_to_stamp(stamp)
            writer.add_message(channels[topic], stamp, serialize_message(message), stamp)
        writer.finish()


class Figures(NamedTuple):
    """Of one conversion: times real time as the program says, CPU time of its whole process (s),
    and the most memory that it held (MB)."""

    speed: float
    cpu: float
    memory: float


def convert(bag: Path, output: Path) -> Figures:
    """Runs the program."""
    program = [sys.executable, "-m", "hilserl_replay.convert"]
    process = subprocess.Popen(
        [*program, str(bag), "--output", str(output)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    found = re.search(r"\(([\d.]+) times real time\)", told)
    if status or found is None:
        raise RuntimeError(f"convert ended with {status}: {told}")
    return Figures(float(found[1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def rows() -> list[dict[str, Any]]:
    """Two lengths without compression, and the shorter with chunks in zstd."""
    result = []
    with tempfile.TemporaryDirectory(prefix="hilserl-bench-") as folder:
        kinds = [
            *((seconds, CompressionType.NONE) for seconds in LENGTHS),
            (LENGTHS[0], CompressionType.ZSTD),
        ]
        for number, (seconds, compression) in enumerate(kinds):
            bag = Path(folder, f"{number}.mcap")
            write_bag(bag, seconds, compression)
            size = bag.stat().st_size / 1e6
            figures = convert(bag, Path(folder, f"run{number}"))
            bag.unlink()
            name = f"convert_{seconds:.0f}s" + (
                "_zstd" if compression == CompressionType.ZSTD else ""
            )
            what = (
                f"goal {GOAL:g}; {size:.0f} MB, two cameras {WIDTH} x {HEIGHT} at 30 Hz; "
                f"{figures.cpu:.1f} s of CPU time"
            )
            result.append(_row(f"{name}_speed", figures.speed, "x real time", what, GOAL))
            what = f"limit {LIMIT_MB:g}"
            result.append(_row(f"{name}_memory", figures.memory, "MB", what, LIMIT_MB))
    return result


def _row(name: str, value: float, unit: str, compared_to: str, to: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "compared_to": compared_to,
        "ratio": round(value / to, 2),
    }


if __name__ == "__main__":
    for each in rows():
        print(each)
