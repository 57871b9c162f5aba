"""Cameras as processes: what the policy sees of them, and what becomes of one that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image

from hilserl_camera.synthetic import draw, read_number
from hilserl_core.images import to_image, to_rgb
from hilserl_core.qos import RELIABLE, SENSOR
from hilserl_core.region import Region, policy_image
from hilserl_core.spec import Field, ImageField, ObservationSpec
from hilserl_core.stamps import stamp_to_ns
from hilserl_description.koch import KOCH
from hilserl_description.robot import ArmReader
from hilserl_policy.sensors import Sensors

NAMESPACE = f"camera_{os.getpid()}"
REGION = Region(101, 33, 333, 333)


class Stage:
    """Nodes of cameras as processes, and a node of the test that listens to them."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("stage", context=self.context, namespace=NAMESPACE)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.health: dict[str, DiagnosticStatus] = {}
        self.processes: list[subprocess.Popen[str]] = []
        topic = "/diagnostics"
        self.node.create_subscription(DiagnosticArray, topic, self._on_diagnostics, RELIABLE)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        status = message.status[0]
        if status.name.startswith(f"/{NAMESPACE}/"):
            self.health[status.hardware_id] = status

    def start(self, program: str, **parameters: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"hilserl_camera.{program}", "--ros-args"]
        command += ["-r", f"__ns:=/{NAMESPACE}"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.processes.append(process)
        return process

    def listen(self, kind: type, topic: str) -> dict[int, Any]:
        """What comes on a topic, by its stamp (ns)."""
        received: dict[int, Any] = {}

        def take(message: Any) -> None:
            received[stamp_to_ns(message.header.stamp)] = message

        self.node.create_subscription(kind, topic, take, SENSOR)
        return received

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            for process in self.processes:
                assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, "what was waited for did not come"
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        # First this side: twice it crashed inside destroy_node right after the others were killed.
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def stage() -> Iterator[Stage]:
    result = Stage()
    yield result
    result.close()


def ended(process: subprocess.Popen[str], seconds: float = 60.0) -> tuple[int, str]:
    said, _ = process.communicate(timeout=seconds)
    return process.returncode, said


def test_a_camera_and_a_crop_of_its_frames_give_the_same_images(stage: Stage) -> None:
    region = f"[{REGION.x}, {REGION.y}, {REGION.width}, {REGION.height}]"
    own = stage.listen(Image, "camera/front/policy")
    cropped = stage.listen(Image, "camera/again/policy")
    raw = stage.listen(Image, "camera/front/image_raw")
    views = stage.listen(CompressedImage, "camera/front/view/compressed")
    stage.start(
        "camera_node", device="synthetic", fps=10.0, image_raw="raw", region=region, view_rate=5.0
    )
    stage.start("crop_node", name="again", topic="camera/front/image_raw", region=region)
    stage.until(lambda: len(own.keys() & cropped.keys() & raw.keys()) >= 10 and len(views) >= 3)
    for stamp in own.keys() & cropped.keys() & raw.keys():
        image = to_rgb(own[stamp])
        np.testing.assert_array_equal(to_rgb(cropped[stamp]), image)
        frame = to_rgb(raw[stamp])
        np.testing.assert_array_equal(frame, draw(640, 480, read_number(frame)))
        np.testing.assert_array_equal(policy_image(frame, REGION, (128, 128)), image)
    newest = max(own)
    assert 0 <= time.time_ns() - newest < 60e9
    stamps = sorted(raw)
    numbers = [read_number(to_rgb(raw[stamp])) for stamp in stamps]
    assert numbers == sorted(set(numbers)), "every frame once, in its order"
    assert to_rgb(views[max(views)]).shape == (480, 640, 3)
    for process in stage.processes:
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0
    stage.processes.clear()


def test_the_policy_sees_the_camera(stage: Stage) -> None:
    spec = ObservationSpec((Field("joint_position", (-1.0,), (1.0,)),), (ImageField("wrist"),))
    sensors = Sensors(stage.node, ArmReader(spec, KOCH), lambda stamp: None)
    stage.start("camera_node", name="wrist", device="synthetic", fps=10.0)

    def image() -> Any:
        return sensors.frames.values()["camera/wrist/policy"]

    stage.until(lambda: image() is not None)
    first = read_number(image())
    stage.until(lambda: read_number(image()) >= first + 5)
    assert image().shape == (128, 128, 3)


def test_a_source_that_goes_away_is_told_of_and_comes_back(stage: Stage, tmp_path: Path) -> None:
    path, aside = tmp_path / "video.avi", tmp_path / "aside.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (320, 240))
    for number in range(5):
        writer.write(np.ascontiguousarray(draw(320, 240, number)[:, :, ::-1]))
    writer.release()
    images = stage.listen(Image, "camera/front/policy")
    stage.start("camera_node", device=path, fps=10.0)

    def health() -> DiagnosticStatus:
        return stage.health.get("camera_node", DiagnosticStatus())

    stage.until(lambda: len(images) > 10 and health().message == "capturing")
    path.rename(aside)
    stage.until(lambda: "video.avi is no image and no video" in health().message)
    assert health().level == DiagnosticStatus.WARN
    images.clear()
    count = {pair.key: pair.value for pair in health().values}["frames"]
    stage.until(lambda: {pair.key: pair.value for pair in health().values}["frames"] == count)
    assert not images, "a frame that was taken before is published no more"
    aside.rename(path)
    stage.until(lambda: len(images) > 5 and health().message == "capturing")
    assert {pair.key: pair.value for pair in health().values}["reconnections"] == "1"


def test_frames_that_cannot_be_cropped_are_told_of(stage: Stage) -> None:
    images = stage.listen(Image, "camera/front/policy")
    frames = stage.node.create_publisher(Image, "other/image_raw", RELIABLE)
    stage.start("crop_node", topic="other/image_raw", region="[0, 0, 100, 100]")

    def says(text: str) -> bool:
        status = stage.health.get("crop_node")
        return status is not None and text in status.message

    stage.until(lambda: says("no frame has come on"))
    small = np.zeros((50, 50, 3), np.uint8)

    def publishes(make: Callable[[int], Image], text: str) -> Callable[[], bool]:
        def condition() -> bool:
            frames.publish(make(time.time_ns()))
            return says(text)

        return condition

    stage.until(publishes(lambda now: to_image(small, now), "does not lie in the frame of 50 x 50"))
    stage.until(publishes(lambda now: to_image(small, 0), "stamp"))
    large = np.zeros((120, 120, 3), np.uint8)

    def strange(now: int) -> Image:
        message = to_image(large, now)
        message.encoding = "infrared9"
        return message

    stage.until(publishes(strange, "infrared9"))
    assert not images
    stage.until(publishes(lambda now: to_image(large, now), "cropping"))
    assert images


def test_a_region_is_checked_on_a_running_cameras_frames(stage: Stage, tmp_path: Path) -> None:
    stage.start("camera_node", device="synthetic", width=320, height=240, image_raw="jpeg")

    def select(topic: str, *region: int) -> tuple[int, str]:
        command = [sys.executable, "-m", "hilserl_camera.select_roi", "--topic", topic]
        command += ["--file", str(tmp_path / "cameras.yaml"), "--region", *map(str, region)]
        return ended(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )

    topic = f"/{NAMESPACE}/camera/front/image_raw/compressed"
    received = stage.listen(CompressedImage, topic)
    stage.until(lambda: bool(received))
    assert select(topic, 10, 20, 200, 200)[0] == 0
    assert "region: [10, 20, 200, 200]" in (tmp_path / "cameras.yaml").read_text()
    code, said = select(topic, 200, 20, 200, 200)
    assert code == 1
    assert "does not lie in the frame of 320 x 240" in said
    code, said = select("/nobody/image_raw", 0, 0, 10, 10)
    assert code == 1
    assert "no frame came on /nobody/image_raw in 5 s: there are frames on" in said
    assert topic in said


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"device": "/dev/video77"}, "error: no camera /dev/video77: "),
        ({"device": "/no/such.mp4"}, "error: there is no file /no/such.mp4"),
        ({"device": "/dev/null"}, "error: /dev/null is no camera"),
        (
            {"device": "synthetic", "region": "[600, 0, 100, 100]"},
            "error: region [600, 0, 100, 100] does not lie in the frame of 640 x 480",
        ),
        ({"device": "synthetic", "region": "[1, 2, 3]"}, "write [x, y, width, height]"),
        ({"device": "synthetic", "size": "[128]"}, "parameter 'size': write [width, height]"),
    ],
)
def test_a_camera_that_cannot_start_says_why_in_a_line(
    stage: Stage, parameters: dict[str, object], said: str
) -> None:
    code, output = ended(stage.start("camera_node", **parameters))
    assert code == 1
    assert said in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1
    stage.processes.clear()
