"""Image messages to arrays: one suite for cv_bridge and for what stands in for it."""

from __future__ import annotations

import sys
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core import images
from hilserl_core.errors import UserError
from hilserl_core.images import ENCODINGS, to_image, to_jpeg, to_rgb
from hilserl_core.stamps import stamp_to_ns

BIG = sys.byteorder == "big"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
GOLDEN = {
    "rgb8": (bytes([255, 0, 0, 1, 2, 3]), [RED, (1, 2, 3)]),
    "bgr8": (bytes([255, 0, 0, 1, 2, 3]), [BLUE, (3, 2, 1)]),
    "rgba8": (bytes([255, 0, 0, 9, 1, 2, 3, 0]), [RED, (1, 2, 3)]),
    "bgra8": (bytes([255, 0, 0, 9, 1, 2, 3, 0]), [BLUE, (3, 2, 1)]),
    "mono8": (bytes([0, 200]), [(0, 0, 0), (200, 200, 200)]),
    # BT.601 with its reduced range: white is 235, black 16; red is 81 with U 90 and V 240.
    "yuv422": (bytes([128, 235, 128, 16]), [WHITE, (0, 0, 0)]),
    "uyvy": (bytes([90, 81, 240, 81]), [(254, 0, 0), (254, 0, 0)]),
    "yuv422_yuy2": (bytes([235, 128, 16, 128]), [WHITE, (0, 0, 0)]),
    "yuyv": (bytes([41, 240, 41, 110]), [(0, 0, 255), (0, 0, 255)]),
}
pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=7).map(lambda s: (*s, 3)))


@pytest.fixture(params=["own", "cv_bridge"])
def converter(request, monkeypatch):
    """Has ``to_rgb`` convert with the one or the other."""
    if request.param == "own":
        monkeypatch.setattr(images, "_BRIDGE", None)
    elif images._BRIDGE is None:
        pytest.skip("no cv_bridge is installed here")


def message(encoding: str, data: bytes, width: int, height: int, padding: int = 0) -> Image:
    """An image whose rows are followed by ``padding`` bytes of rubbish."""
    row = len(data) // height
    padded = b"".join(data[i : i + row] + b"\xee" * padding for i in range(0, len(data), row))
    return Image(
        encoding=encoding, width=width, height=height, step=row + padding, data=array("B", padded)
    )


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize("encoding", GOLDEN)
def test_known_pixels(encoding, padding):
    data, expected = GOLDEN[encoding]
    picture = to_rgb(message(encoding, data + data, 2, 2, padding))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, [expected, expected])


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 2])
def test_the_order_of_bytes_is_honoured_where_there_are_several(big, padding):
    data = np.array([[0, 65535], [257 * 200, 257 * 7]], ">u2" if big else "<u2").tobytes()
    given = message("mono16", data, 2, 2, padding)
    given.is_bigendian = int(big)
    np.testing.assert_array_equal(to_rgb(given)[:, :, 1], [[0, 255], [200, 7]])


@pytest.mark.usefixtures("converter")
def test_the_order_of_bytes_says_nothing_where_there_is_one():
    given = message("bgr8", bytes([1, 2, 3]), 1, 1)
    given.is_bigendian = int(not BIG)
    np.testing.assert_array_equal(to_rgb(given), [[[3, 2, 1]]])


def encoded(rgb, encoding):
    """The data of ``rgb`` in an encoding that loses nothing."""
    alpha = np.full((*rgb.shape[:2], 1), 77, np.uint8)
    return {
        "rgb8": rgb,
        "bgr8": rgb[:, :, ::-1],
        "rgba8": np.concatenate([rgb, alpha], axis=2),
        "bgra8": np.concatenate([rgb[:, :, ::-1], alpha], axis=2),
    }[encoding].tobytes()


@pytest.mark.usefixtures("converter")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pictures, st.sampled_from(["rgb8", "bgr8", "rgba8", "bgra8"]), st.integers(0, 5))
def test_what_loses_nothing_comes_back(rgb, encoding, padding):
    height, width, _ = rgb.shape
    data = encoded(rgb, encoding)
    np.testing.assert_array_equal(to_rgb(message(encoding, data, width, height, padding)), rgb)


@given(pictures, st.integers(0, 2**31 * 10**9 - 1))
def test_a_picture_survives_its_message(rgb, stamp):
    sent = to_image(rgb, stamp, "front")
    np.testing.assert_array_equal(to_rgb(sent), rgb)
    assert stamp_to_ns(sent.header.stamp) == stamp
    assert sent.header.frame_id == "front"


def test_a_part_of_a_picture_survives_its_message():
    rgb = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(to_rgb(to_image(rgb[2:5, 1:7], 0)), rgb[2:5, 1:7])


def test_rgb_without_padding_is_not_copied():
    sent = to_image(np.zeros((2, 2, 3), np.uint8), 0)
    assert np.shares_memory(to_rgb(sent), np.frombuffer(sent.data, np.uint8))


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("change", [{"height": 3}, {"width": 17}, {"step": 1}, {"step": 0}])
def test_data_that_does_not_fit_is_refused(encoding, change):
    given = message(encoding, bytes(32), 4, 2)
    for name, value in change.items():
        setattr(given, name, value)
    with pytest.raises(UserError, match=f"{encoding} holds 32 bytes .* publisher is at fault"):
        to_rgb(given)


@pytest.mark.usefixtures("converter")
def test_an_image_without_pixels_is_refused():
    with pytest.raises(UserError, match="0 x 0 rgb8 holds 0 bytes"):
        to_rgb(Image(encoding="rgb8"))


@pytest.mark.usefixtures("converter")
def test_pairs_of_pixels_need_an_even_width():
    with pytest.raises(UserError, match="choose an even width"):
        to_rgb(message("yuv422", bytes(12), 3, 2))


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("encoding", ["", "32FC1", "no such thing"])
def test_an_unknown_encoding_is_refused_by_name(encoding):
    with pytest.raises(UserError, match=f"'{encoding}'"):
        to_rgb(message(encoding, bytes(16), 2, 2))


def smooth() -> np.ndarray:
    """A picture that a JPEG keeps well: red grows to the right, green downwards."""
    down, right = np.mgrid[0:48, 0:64].astype(np.uint8)
    return np.stack([4 * right, 5 * down, np.full_like(down, 30)], axis=2)


def test_a_jpeg_keeps_the_picture():
    sent = to_jpeg(smooth(), 5_000_000_007, "wrist", quality=95)
    assert sent.format == "jpeg"
    assert stamp_to_ns(sent.header.stamp) == 5_000_000_007
    assert np.abs(to_rgb(sent).astype(int) - smooth()).max() <= 8


def test_a_lower_quality_takes_less():
    assert len(to_jpeg(smooth(), 0, quality=20).data) < len(to_jpeg(smooth(), 0, quality=95).data)


def png(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()


@given(pictures)
def test_a_png_loses_nothing(rgb):
    sent = CompressedImage(format="png", data=array("B", png(rgb)))
    np.testing.assert_array_equal(to_rgb(sent), rgb)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_file_that_is_cut_off_is_refused(kind, share):
    data = png(smooth()) if kind == "png" else bytes(to_jpeg(smooth(), 0).data)
    cut = CompressedImage(format=kind, data=array("B", data[: int(share * len(data))]))
    with pytest.raises(UserError, match=rf"format '{kind}', \d+ bytes, is "):
        to_rgb(cut)


@given(st.binary(max_size=40))
def test_rubbish_is_refused(data):
    with pytest.raises(UserError, match="a compressed image of format 'jpeg'"):
        to_rgb(CompressedImage(format="jpeg", data=array("B", data)))


def test_depth_is_refused():
    sent = CompressedImage(format="16UC1; compressedDepth png", data=array("B", png(smooth())))
    with pytest.raises(UserError, match="which is depth"):
        to_rgb(sent)
