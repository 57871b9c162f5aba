"""Image messages to and from arrays (height, width, 3) uint8, rgb; the only place for it.

Where cv_bridge is installed it converts colours, and knows more encodings; else OpenCV does so
here, for those in ``ENCODINGS``, with the same pixels.
"""

from __future__ import annotations

import contextlib
import sys
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core.errors import UserError
from hilserl_core.stamps import ns_to_stamp


@dataclass(frozen=True)
class _Encoding:
    """How a pixel lies in an Image's data.

    Attributes:
        channels: numbers a pixel; yuv422 shares two of its four between two pixels.
        to_rgb: name of OpenCV's conversion; empty where the data is rgb already.
        dtype: of a number.
    """

    channels: int
    to_rgb: str
    dtype: type[np.generic] = np.uint8

    @property
    def bytes(self) -> int:
        """Of a pixel."""
        return self.channels * np.dtype(self.dtype).itemsize


_ENCODINGS = {
    "rgb8": _Encoding(3, ""),
    "bgr8": _Encoding(3, "COLOR_BGR2RGB"),
    "rgba8": _Encoding(4, "COLOR_RGBA2RGB"),
    "bgra8": _Encoding(4, "COLOR_BGRA2RGB"),
    "mono8": _Encoding(1, "COLOR_GRAY2RGB"),
    "mono16": _Encoding(1, "COLOR_GRAY2RGB", np.uint16),
    # ROS has two names for each order of bytes: yuv422 was there first.
    "yuv422": _Encoding(2, "COLOR_YUV2RGB_UYVY"),
    "uyvy": _Encoding(2, "COLOR_YUV2RGB_UYVY"),
    "yuv422_yuy2": _Encoding(2, "COLOR_YUV2RGB_YUYV"),
    "yuyv": _Encoding(2, "COLOR_YUV2RGB_YUYV"),
}
ENCODINGS = tuple(_ENCODINGS)
"""Encodings that are converted without cv_bridge."""

_LAST_BYTES = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}
"""How a JPEG and a PNG begin, and what near its end says that none of it is missing."""


def _cv_bridge() -> Any:
    """A CvBridge, or None where there is none that works."""
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except (ImportError, AttributeError):
        return None  # PyPI's package of that name is another thing: it has no CvBridge.


_BRIDGE = _cv_bridge()


def to_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """The image (height, width, 3) uint8 of a message, rgb.

    An rgb8 message without padding is not copied: the array is its data.

    Raises:
        UserError: the encoding or format is not known, or the data does not hold what the
            message states. It does not name the topic, which the caller knows.
    """
    if isinstance(message, CompressedImage):
        return _decompressed(message)
    if message.encoding not in _ENCODINGS and _BRIDGE is None:
        raise UserError(
            f"an image's encoding is '{message.encoding}': publish one of {', '.join(ENCODINGS)}, "
            "or install cv_bridge"
        )
    if message.encoding not in _ENCODINGS:
        return _bridged(message)
    pixels = _pixels(message, _ENCODINGS[message.encoding])
    if message.encoding == "rgb8":
        return np.ascontiguousarray(pixels)
    if _BRIDGE is not None:
        # Older versions do not know every name in the list.
        with contextlib.suppress(UserError):
            return _bridged(_plain(message, pixels))
    return _own(pixels, _ENCODINGS[message.encoding])


def _pixels(message: Image, encoding: _Encoding) -> NDArray[Any]:
    """The data as (height, width, channels) in this machine's byte order, where it lies."""
    data = np.frombuffer(message.data, np.uint8)
    row = message.width * encoding.bytes
    if (
        data.size != message.height * message.step
        or message.step < row
        or not data.size
        or message.step % np.dtype(encoding.dtype).itemsize
    ):
        raise UserError(
            f"an image of {message.width} x {message.height} {message.encoding} holds {data.size} "
            f"bytes with step {message.step}: its publisher is at fault"
        )
    if encoding.channels == 2 and message.width % 2:
        raise UserError(
            f"an image of {message.encoding} is {message.width} pixels wide: pixels of this "
            "encoding come in pairs, choose an even width"
        )
    pixels = data.reshape(message.height, message.step)[:, :row].view(encoding.dtype)
    if encoding.bytes != encoding.channels and bool(message.is_bigendian) != (
        sys.byteorder == "big"
    ):
        pixels = pixels.byteswap()
    return pixels.reshape(message.height, message.width, encoding.channels)


def _own(pixels: NDArray[Any], encoding: _Encoding) -> NDArray[np.uint8]:
    import cv2  # here, since most processes see rgb8 alone

    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / 65535.0)
    return np.asarray(cv2.cvtColor(pixels, getattr(cv2, encoding.to_rgb)), np.uint8)


def _plain(message: Image, pixels: NDArray[Any]) -> Image:
    """The message without padding and of this machine's byte order.

    cv_bridge's rows are askew where the padding is no whole pixel.
    """
    height, width, _ = pixels.shape
    row = pixels[0].nbytes
    if message.step == row and not message.is_bigendian:
        return message
    result = Image(height=height, width=width, encoding=message.encoding, step=row)
    result.is_bigendian = int(sys.byteorder == "big")
    result.data = _bytes(pixels)
    return result


def _bridged(message: Image) -> NDArray[np.uint8]:
    try:
        result: NDArray[np.uint8] = _BRIDGE.imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # CvBridgeError, and what numpy says of data that is too short
        raise UserError(
            f"an image of {message.width} x {message.height} '{message.encoding}' cannot be "
            f"converted by cv_bridge: {error}"
        ) from None
    return result


def _decompressed(message: CompressedImage) -> NDArray[np.uint8]:
    import cv2

    if "compressedDepth" in message.format:
        raise UserError(
            f"a compressed image's format is '{message.format}', which is depth: subscribe to a "
            "colour image"
        )
    data = np.frombuffer(message.data, np.uint8)
    last = _LAST_BYTES.get(data[:2].tobytes())
    # OpenCV fills what is missing of a file with grey, and says so on the terminal alone.
    whole = last is not None and last in data.tobytes()
    image = None
    if whole:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(data, flags)
    if image is None:
        what = "is no JPEG or PNG" if last is None else "is cut off or damaged"
        raise UserError(
            f"a compressed image of format '{message.format}', {data.size} bytes, {what}: "
            "publish jpeg or png"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)


def _bytes(values: NDArray[Any]) -> array[int]:
    """uint8[] of a message, copied once: bytes would be checked one by one."""
    result = array("B")
    result.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return result


def to_image(rgb: NDArray[np.uint8], stamp_ns: int, frame: str = "") -> Image:
    """An rgb8 message of an image (height, width, 3) uint8."""
    height, width, _ = rgb.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    message.data = _bytes(rgb)
    return message


def to_jpeg(
    rgb: NDArray[np.uint8], stamp_ns: int, frame: str = "", quality: int = 80
) -> CompressedImage:
    """A JPEG message of an image (height, width, 3) uint8.

    Args:
        quality: 1 to 100.
    """
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)
    message = CompressedImage(format="jpeg", data=_bytes(data))
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    return message
