"""Policy images of a camera that another ROS package drives, cropped and small, stamps kept.

It takes the images of usb_cam, v4l2_camera, realsense2_camera and others, raw or compressed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from hilserl_camera.pictures import PictureParameters, Pictures
from hilserl_camera.rate import SILENT, Rate
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import follows, stamp_to_ns

NEWEST = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=1
)
"""Matches every publisher; a frame that is late is not worth cropping."""


@dataclass(frozen=True)
class CropParameters(PictureParameters):
    """Parameters of ``crop_node``."""

    topic: str = parameter(
        "image_raw",
        "of the frames: sensor_msgs/Image, or sensor_msgs/CompressedImage where it ends in "
        "'/compressed'",
    )


class CropNode(Node):
    """Crops every frame as it comes."""

    def __init__(self) -> None:
        super().__init__("crop_node")
        self.parameters = parameters = declare(self, CropParameters)
        cv2.setNumThreads(1)
        self._pictures = Pictures(self, parameters)
        self._rate = Rate(time.monotonic)
        self._stamp = self._published = self._refused = 0
        self._problem = ""
        self._age = 0.0
        compressed = parameters.topic.endswith("/compressed")
        kind = CompressedImage if compressed else Image
        self._subscription = self.create_subscription(
            kind, parameters.topic, self._on_image, NEWEST
        )
        Diagnostics(self, "crop", self._health)
        self.get_logger().info(
            f"camera {parameters.name}: frames of {self._subscription.topic_name}, region "
            f"{self._pictures.region}"
        )

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._rate.tick()
        try:
            stamp = stamp_to_ns(message.header.stamp)
            if not stamp or not follows(stamp, self._stamp):
                raise UserError(
                    f"a frame's stamp is {stamp} ns, and the one before it has {self._stamp}: "
                    "its publisher has to stamp each frame when it is taken"
                )
            self._pictures.publish(to_rgb(message), stamp)
        except UserError as error:
            self._refused += 1
            self._problem = f"{self._subscription.topic_name}: {error}"
            self.get_logger().error(self._problem, throttle_duration_sec=5.0)
            return
        self._stamp = stamp
        self._age = (self.get_clock().now().nanoseconds - stamp) / 1e9
        self._published += 1
        self._problem = ""

    def _health(self) -> Health:
        silent = self._rate.age()
        values = {
            "rate [Hz]": f"{self._rate.hertz():.1f}",
            "frames": self._published,
            "refused": self._refused,
            "age of the last frame when published [s]": f"{self._age:.3f}",
            "camera": self.parameters.name,
            "region": str(self._pictures.region),
        }
        if self._problem:
            return Health(self._problem, True, values)
        if silent > SILENT:
            message = f"no frame has come on {self._subscription.topic_name} for {silent:.0f} s"
            return Health(f"{message}: does its node run?", True, values)
        return Health("cropping", values=values)


def main() -> None:
    """Entry point of the program."""
    run_node(CropNode, CropParameters)


if __name__ == "__main__":
    main()
