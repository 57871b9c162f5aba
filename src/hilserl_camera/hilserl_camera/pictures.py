"""What is published of a camera's frames: the policy's image, and a view for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core import qos
from hilserl_core.images import to_image, to_jpeg
from hilserl_core.parameters import ParameterError, parameter
from hilserl_core.region import Region, policy_image

_EARLY = 0.1  # Of a view's period: frames come a little before and after their time.


@dataclass(frozen=True)
class PictureParameters:
    """Parameters of what is published."""

    name: str = parameter("front", "of the camera: its topics are camera/NAME/...")
    frame_id: str = parameter("", "of the images' headers; empty: the camera's name")
    region: tuple[int, ...] = parameter(
        (0, 0, 0, 0),
        "x, y, width, height of the part that the policy sees, pixels; all 0: the whole frame; "
        "the program select_roi draws it",
        low=0,
    )
    size: tuple[int, ...] = parameter(
        (128, 128), "width and height of the policy's image, pixels", low=8, high=1024
    )
    view_rate: float = parameter(
        5.0, "pictures a second on camera/NAME/view/compressed; 0: none", low=0.0, high=60.0
    )
    view_quality: int = parameter(80, "of its JPEGs", low=1, high=100)

    def __post_init__(self) -> None:
        """Raises UserError where region or size do not make sense."""
        Region.of(self.region)
        if len(self.size) != 2:
            raise ParameterError(f"parameter 'size': write [width, height], not {list(self.size)}")


class Pictures:
    """Publishes a camera's images.

    Args:
        node: that publishes.
        parameters: what.
    """

    def __init__(self, node: Node, parameters: PictureParameters) -> None:
        self._parameters = parameters
        self.region = Region.of(parameters.region)
        self._size = (parameters.size[0], parameters.size[1])
        self._frame = parameters.frame_id or parameters.name
        topic = f"camera/{parameters.name}"
        self._policy = node.create_publisher(Image, f"{topic}/policy", qos.SENSOR)
        view = f"{topic}/view/compressed"
        # Whoever finds the topic may wait for its pictures: where there are none there is no topic.
        self._view = (
            node.create_publisher(CompressedImage, view, qos.SENSOR)
            if parameters.view_rate
            else None
        )
        self._next_view = 0

    def publish(self, rgb: NDArray[np.uint8], stamp: int) -> None:
        """Publishes what is made of a frame (height, width, 3), under its stamp (ns).

        Raises:
            UserError: the region does not lie in the frame.
        """
        small = policy_image(rgb, self.region, self._size)
        self._policy.publish(to_image(small, stamp, self._frame))
        view = self._view
        if view is not None and self._view_is_due(stamp) and view.get_subscription_count():
            quality = self._parameters.view_quality
            view.publish(to_jpeg(rgb, stamp, self._frame, quality))

    def _view_is_due(self, stamp: int) -> bool:
        """Whether the view's rate allows a picture of that stamp."""
        period = int(1e9 / self._parameters.view_rate)
        if not self._next_view - 2 * period < stamp:
            self._next_view = stamp  # The clock was set back.
        if stamp < self._next_view - _EARLY * period:
            return False
        # Keeps the mean rate although the camera's period does not divide it.
        self._next_view = max(self._next_view, stamp - period) + period
        return True
