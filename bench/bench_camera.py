"""What two cameras cost, and how old their images are when they arrive.

Two camera nodes, as processes of their own, read 640 x 480 at 30 Hz and publish 128 x 128. The
frames are JPEGs out of a file, as a webcam sends them; the clock of an image starts where its
frame is taken, before it is decoded, and stops in a subscriber of another process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from hilserl_camera.synthetic import draw
from hilserl_core.qos import SENSOR
from hilserl_core.region import Region, policy_image
from hilserl_core.stamps import stamp_to_ns

# A namespace of its own: a run under way on this machine must not be disturbed, nor disturb.
NAMESPACE = f"bench_{os.getpid()}"
CAMERAS = ("front", "wrist")
WIDTH, HEIGHT, RATE = 640, 480, 30.0
REGION = (80, 0, 480, 480)
SECONDS = 20.0
LIMIT_SECONDS = 60.0
FRAMES = 90


def rows() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder, "camera.avi")
        write_video(video)
        alone = 100.0 * len(CAMERAS) * RATE * seconds_alone(video)
        share, latencies, received = measure(video)
    period = 1e3 / RATE
    asked = len(CAMERAS) * RATE
    return [
        row(
            "two cameras 640 x 480 at 30 Hz: share of a core",
            share,
            "%",
            f"decoding, cropping and resizing alone, in one process: {alone:.1f} %",
            alone,
        ),
        row(
            "from grab to policy image received, 99th percentile",
            float(np.percentile(latencies, 99)),
            "ms",
            f"a frame's period of {period:.1f} ms (median here {np.median(latencies):.1f}, "
            f"worst {max(latencies):.1f})",
            period,
        ),
        row("policy images received", received, "Hz", f"asked for: {asked:.0f} Hz", asked),
    ]


def row(name: str, value: float, unit: str, to: str, other: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "compared_to": to,
        "ratio": value / other,
    }


def write_video(path: Path) -> None:
    """Frames with grain, whose JPEGs are as large as a webcam's."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    random = np.random.default_rng(0)
    for number in range(FRAMES):
        grain = random.normal(0.0, 6.0, (HEIGHT, WIDTH, 1))
        frame = np.clip(draw(WIDTH, HEIGHT, number) + grain, 0, 255).astype(np.uint8)
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()


def seconds_alone(path: Path) -> float:
    """Processor time of a frame without nodes, threads or messages."""
    cv2.setNumThreads(1)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    began, count = time.process_time(), 0
    while True:
        found, bgr = video.read()
        if not found:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        policy_image(np.asarray(rgb, np.uint8), Region(*REGION), (128, 128))
        count += 1
    return (time.process_time() - began) / count


def measure(video: Path) -> tuple[float, list[float], float]:
    """Share of a core in per cent, latencies in ms, and images received a second."""
    rclpy.init()
    node = rclpy.create_node("bench_camera", namespace=NAMESPACE)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    latencies: dict[str, list[float]] = {name: [] for name in CAMERAS}
    processes = []
    try:
        for name in CAMERAS:
            node.create_subscription(Image, f"camera/{name}/policy", taker(latencies[name]), SENSOR)
            processes.append(start(name, video))
        end = time.monotonic() + LIMIT_SECONDS
        while not all(len(values) > RATE for values in latencies.values()):
            if time.monotonic() > end or any(process.poll() is not None for process in processes):
                raise RuntimeError("the camera nodes publish nothing")
            executor.spin_once(timeout_sec=0.1)
        for values in latencies.values():
            values.clear()
        watched = [psutil.Process(process.pid) for process in processes]
        began, used = time.monotonic(), processor_time(watched)
        while time.monotonic() - began < SECONDS:
            executor.spin_once(timeout_sec=0.1)
        lasted = time.monotonic() - began
        share = 100.0 * (processor_time(watched) - used) / lasted
    finally:
        for process in processes:
            process.kill()
            process.wait()
        rclpy.shutdown()
    every = [value for values in latencies.values() for value in values]
    return share, every, len(every) / lasted


def start(name: str, video: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hilserl_camera.camera_node", "--ros-args"]
    command += ["-r", f"__ns:=/{NAMESPACE}", "-p", f"name:={name}", "-p", f"device:={video}"]
    command += ["-p", f"fps:={RATE}", "-p", f"region:={list(REGION)}"]
    return subprocess.Popen(command)


def taker(latencies: list[float]) -> Any:
    def take(message: Image) -> None:
        latencies.append((time.time_ns() - stamp_to_ns(message.header.stamp)) / 1e6)

    return take


def processor_time(processes: list[psutil.Process]) -> float:
    """s, of all of them."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    print(rows())
