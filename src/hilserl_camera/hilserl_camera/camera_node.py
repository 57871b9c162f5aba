"""A camera as a node: captures, and publishes what the policy sees, cropped and small.

It takes V4L2 devices, and files and a synthetic pattern for trials. Where the camera goes
away, /diagnostics says so, and it is taken up again when it is back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from hilserl_camera.capture import Capture
from hilserl_camera.pictures import PictureParameters, Pictures
from hilserl_camera.source import Frame, SourceSettings, make_source
from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.images import to_image, to_jpeg
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare

RAW = ("off", "raw", "jpeg")
POLL_SECONDS = 0.2
SLOW = 0.8  # Of the rate asked for: less is worth a warning.
_REMEMBERED = 100  # Frames by which the time from capture to publishing is told.


@dataclass(frozen=True)
class CameraParameters(SourceSettings, PictureParameters):
    """Parameters of ``camera_node``."""

    image_raw: str = parameter(
        "off",
        "whole frames, at full rate, for bags: on camera/NAME/image_raw, or as JPEGs on "
        "camera/NAME/image_raw/compressed",
        choices=RAW,
    )


class CameraNode(Node):
    """Publishes each newest frame from a thread of its own; the executor only tells of it."""

    def __init__(self) -> None:
        super().__init__("camera_node")
        self.parameters = parameters = declare(self, CameraParameters)
        # A frame takes 2 ms: threads that wait for each other would cost more than they save.
        cv2.setNumThreads(1)
        self._pictures = Pictures(self, parameters)
        self._raw = self._raw_publisher()
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._said = self._failure = ""
        self._size = (0, 0)
        self._capture = Capture(make_source(parameters), self._check)
        width, height = self._size
        self.get_logger().info(
            f"camera {parameters.name}: {parameters.device}, {width} x {height} at "
            f"{parameters.fps:g} Hz, region {self._pictures.region}"
        )
        self._ended = threading.Event()
        self._publisher = threading.Thread(target=self._publish_all, name="publish", daemon=True)
        self._publisher.start()
        Diagnostics(self, "camera", self._health)

    def _raw_publisher(self) -> Any:
        topic = f"camera/{self.parameters.name}/image_raw"
        if self.parameters.image_raw == "raw":
            return self.create_publisher(Image, topic, qos.SENSOR)
        if self.parameters.image_raw == "jpeg":
            return self.create_publisher(CompressedImage, f"{topic}/compressed", qos.SENSOR)
        return None

    def _check(self, width: int, height: int) -> None:
        self._pictures.region.check(width, height)
        self._size = (width, height)

    # On the publishing thread.

    def _publish_all(self) -> None:
        while not self._ended.is_set():
            frame = self._capture.take(POLL_SECONDS)
            problem = self._capture.problem
            if problem != self._said:
                self._said = problem
                log = self.get_logger()
                log.error(problem) if problem else log.info("the camera is back")
            if frame is None:
                continue
            try:
                self._publish(frame)
            except Exception as error:
                # A thread that died would leave the node alive and silent.
                self._failure = str(error) if isinstance(error, UserError) else repr(error)
                self.get_logger().error(self._failure, throttle_duration_sec=5.0)

    def _publish(self, frame: Frame) -> None:
        parameters = self.parameters
        self._pictures.publish(frame.rgb, frame.stamp)
        self._latencies.append((time.time_ns() - frame.stamp) / 1e6)
        if self._raw is None or not self._raw.get_subscription_count():
            return
        id_ = parameters.frame_id or parameters.name
        if parameters.image_raw == "raw":
            self._raw.publish(to_image(frame.rgb, frame.stamp, id_))
        else:
            self._raw.publish(to_jpeg(frame.rgb, frame.stamp, id_, parameters.view_quality))

    # On the executor's thread.

    def _health(self) -> Health:
        capture, counts, rate = self._capture, self._capture.counts, self._capture.rate
        latencies = list(self._latencies)
        values: dict[str, object] = {
            "rate [Hz]": f"{rate.hertz():.1f}",
            "frames": counts.captured,
            "dropped": counts.dropped,
            "damaged": counts.damaged,
            "age of the newest frame [s]": f"{rate.age():.3f}",
            "reconnections": counts.reconnections,
            "size": "{} x {}".format(*self._size),
            "camera": self.parameters.name,
            "region": str(self._pictures.region),
        }
        if latencies:
            percentile = np.percentile(latencies, 99)
            values["capture to publishing, 99th percentile [ms]"] = f"{percentile:.1f}"
        problem = capture.problem or self._failure
        if problem:
            return Health(problem, True, values)
        if rate.age() > 1.0 + 2.0 / self.parameters.fps:
            return Health("no frame comes", True, values)
        if counts.captured > 2 * self.parameters.fps and rate.hertz() < SLOW * self.parameters.fps:
            message = f"only {rate.hertz():.1f} of {self.parameters.fps:g} frames a second come"
            return Health(f"{message}: is it dark, or its exposure long?", True, values)
        return Health("capturing", values=values)

    def close(self) -> None:
        """Stops capturing."""
        self._ended.set()
        self._publisher.join(5.0)
        self._capture.close()


def main() -> None:
    """Entry point of the program."""
    run_node(CameraNode, CameraParameters)


if __name__ == "__main__":
    main()
