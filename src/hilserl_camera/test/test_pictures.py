"""What is published of a frame, and how often."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from hilserl_camera.pictures import PictureParameters, Pictures
from hilserl_camera.synthetic import draw
from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.parameters import build
from hilserl_core.region import Region, policy_image
from hilserl_core.stamps import stamp_to_ns

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND


class Publisher:
    def __init__(self):
        self.sent, self.listeners = [], 1

    def publish(self, message):
        self.sent.append(message)

    def get_subscription_count(self):
        return self.listeners


class Node:
    def __init__(self):
        self.publishers = {}

    def create_publisher(self, kind, topic, qos):
        self.publishers[topic] = Publisher()
        return self.publishers[topic]


@pytest.fixture
def node():
    return Node()


def pictures(node, **values):
    return Pictures(node, build(PictureParameters, values))


def views(node):
    return node.publishers["camera/front/view/compressed"]


def test_the_policys_image_keeps_the_stamp(node):
    frame = draw(640, 480, 3)
    pictures(node, name="wrist", region=(10, 20, 300, 200), size=(64, 32)).publish(frame, START)
    (sent,) = node.publishers["camera/wrist/policy"].sent
    assert isinstance(sent, Image)
    assert (sent.width, sent.height, sent.encoding) == (64, 32, "rgb8")
    assert sent.header.frame_id == "wrist"
    assert stamp_to_ns(sent.header.stamp) == START
    expected = policy_image(frame, Region(10, 20, 300, 200), (64, 32))
    np.testing.assert_array_equal(to_rgb(sent), expected)


def test_the_view_is_the_whole_frame(node):
    pictures(node, region=(10, 8, 30, 40), frame_id="lens").publish(draw(64, 48, 0), START)
    (sent,) = views(node).sent
    assert isinstance(sent, CompressedImage)
    assert to_rgb(sent).shape == (48, 64, 3)
    assert sent.header.frame_id == "lens"


@pytest.mark.parametrize(("rate", "expected"), [(5.0, 50), (7.0, 70), (30.0, 300), (60.0, 300)])
def test_the_view_keeps_its_mean_rate(node, rate, expected):
    published = pictures(node, view_rate=rate, size=(8, 8))
    random = np.random.default_rng(0)
    for number in range(300):  # ten seconds at 30 Hz, a little early and late
        jitter = int(random.uniform(-0.002, 0.002) * SECOND)
        published.publish(draw(16, 16, 0), START + number * SECOND // 30 + jitter)
    assert len(views(node).sent) == pytest.approx(expected, rel=0.03)


def test_no_view_is_made_that_nobody_sees(node):
    published = pictures(node)
    views(node).listeners = 0
    published.publish(draw(16, 16, 0), START)
    assert not views(node).sent


def test_a_rate_of_zero_is_no_view(node):
    pictures(node, view_rate=0.0).publish(draw(16, 16, 0), START)
    assert list(node.publishers) == ["camera/front/policy"]


def test_views_go_on_after_a_clock_was_set_back(node):
    published = pictures(node)
    published.publish(draw(16, 16, 0), START)
    published.publish(draw(16, 16, 0), START - 3600 * SECOND)
    assert len(views(node).sent) == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"region": (1, 2, 3)}, r"write \[x, y, width, height\]"),
        ({"region": (5, 0, 0, 10)}, "width and height at least 1"),
        ({"size": (128,)}, r"'size': write \[width, height\]"),
        ({"size": (128, 4)}, "'size': 4 is out of range"),
    ],
)
def test_parameters_that_make_no_sense(values, said):
    with pytest.raises(UserError, match=said):
        build(PictureParameters, values)
