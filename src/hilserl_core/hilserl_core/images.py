"""Image messages as arrays (height, width, 3) uint8, rgb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core.errors import UserError
from hilserl_core.messages import image_from_msg


def to_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """The image (height, width, 3) uint8 of a message, rgb.

    Raises:
        UserError: its encoding is not known, or its data is damaged.
    """
    if isinstance(message, Image):
        return image_from_msg(message)
    import cv2

    image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"a compressed image of format '{message.format}' is damaged")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
