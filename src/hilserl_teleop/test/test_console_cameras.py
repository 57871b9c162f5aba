"""What cameras publish, and what is subscribed to: a node that notes it in place of ROS's."""

from functools import partial

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core.images import to_image, to_jpeg
from hilserl_teleop.console_cameras import CameraViews
from hilserl_teleop.console_pictures import Pictures

POLICY, VIEW, RAW, JPEG = (
    f"camera/front/{part}"
    for part in ("policy", "view/compressed", "image_raw", "image_raw/compressed")
)


class Node:
    """Knows which topics have publishers, and who listens to what."""

    def __init__(self) -> None:
        self.published: set[str] = set()
        self.subscribed: dict[str, tuple[type, object]] = {}

    def count_publishers(self, topic):
        return int(topic in self.published)

    def create_subscription(self, kind, topic, take, qos, raw):
        assert raw
        assert topic not in self.subscribed
        self.subscribed[topic] = kind, take
        return topic

    def destroy_subscription(self, topic):
        del self.subscribed[topic]


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def said():
    return []


@pytest.fixture
def pictures():
    return Pictures()


@pytest.fixture
def views(node, said, pictures):
    return CameraViews(node, ("front",), pictures, said.append)


def test_what_cameras_publish_is_said_when_it_changes(node, said, views):
    views.look()
    node.published |= {POLICY}
    views.look()
    views.look()
    node.published |= {VIEW}
    views.look()
    kinds = [says["front"] for says in said]
    assert kinds == [
        {"policy": False, "raw": False},
        {"policy": True, "raw": False},
        {"policy": True, "raw": True},
    ]


@pytest.mark.parametrize(
    ("published", "expected", "kind"),
    [
        ({JPEG}, JPEG, CompressedImage),
        ({JPEG, RAW}, RAW, Image),
        ({JPEG, RAW, VIEW}, VIEW, CompressedImage),
    ],
)
def test_the_whole_frame_comes_from_where_it_costs_least(node, views, published, expected, kind):
    node.published |= {POLICY, *published}
    views.look()
    views.watch(frozenset({"front/raw"}))
    assert {topic: found for topic, (found, _) in node.subscribed.items()} == {expected: kind}


def test_only_what_somebody_views_is_subscribed_to(node, views):
    node.published |= {POLICY, VIEW}
    views.watch(frozenset({"front", "wrist", "nonsense/raw"}))
    assert node.subscribed == {}  # nobody has looked yet
    views.look()
    assert list(node.subscribed) == [POLICY]
    views.watch(frozenset({"front/raw"}))
    assert list(node.subscribed) == [VIEW]
    views.watch(frozenset())
    assert node.subscribed == {}


def test_a_camera_that_comes_back_as_another_is_viewed_again(node, views):
    node.published |= {RAW}
    views.look()
    views.watch(frozenset({"front/raw"}))
    node.published = {JPEG}
    views.look()
    assert list(node.subscribed) == [JPEG]
    node.published = set()
    views.look()
    assert node.subscribed == {}


@pytest.mark.parametrize("make", [to_image, partial(to_jpeg, quality=95)])
def test_a_picture_of_either_kind_arrives(node, views, pictures, make):
    message = make(np.full((48, 64, 3), 200, np.uint8), 1)
    topic = RAW if isinstance(message, Image) else VIEW
    node.published |= {topic}
    views.look()
    views.watch(frozenset({"front/raw"}))
    _, take = node.subscribed[topic]
    take(serialize_message(message))
    picture = pictures.newest("front/raw")
    assert (picture.width, picture.height) == (64, 48)
