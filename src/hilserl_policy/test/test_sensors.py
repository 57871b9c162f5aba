"""Images that do not fit are refused by topic, and never become a frame."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from hilserl_core.images import to_image
from hilserl_core.spec import ImageField
from hilserl_core.stamps import ns_to_stamp
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_description.robot import ArmReader
from hilserl_msgs.msg import ServoState
from hilserl_policy.sensors import Sensors


class Log:
    def __init__(self):
        self.lines = []

    def error(self, text, **_):
        self.lines.append(text)


class Listener:
    """Stands in for a node: keeps the callbacks, and what is logged."""

    def __init__(self):
        self.callbacks, self.log = {}, Log()

    def create_subscription(self, kind, topic, callback, qos):
        self.callbacks[topic] = callback

    def get_logger(self):
        return self.log


@pytest.fixture
def node():
    return Listener()


@pytest.fixture
def frames(node):
    spec = KOCH.observation_spec("cameras", [ImageField("front", 8, 8), ImageField("wrist", 8, 8)])
    stamps = []
    node.sensors = Sensors(node, ArmReader(spec, KOCH), stamps.append)
    return stamps


def image(stamp=5, size=8, value=7):
    return to_image(np.full((size, size, 3), value, np.uint8), stamp)


def state(node, stamp=5):
    names = list(JOINT_NAMES)
    joints = JointState(name=names, position=[0.0] * 6, velocity=[0.0] * 6)
    servos = ServoState(name=names, current=[0.0] * 6)
    for topic, message in (("joint_states", joints), ("servo_states", servos)):
        message.header.stamp = ns_to_stamp(stamp)
        node.callbacks[topic](message)


def test_a_frame_is_complete_with_every_camera_and_knows_no_object(node, frames):
    assert "sim/object_pose" not in node.callbacks
    state(node)
    node.callbacks["camera/front/policy"](image(value=1))
    assert not frames
    node.callbacks["camera/wrist/policy"](image(value=2))
    assert frames == [5]
    observation = node.sensors.observation(5, np.zeros(6))
    assert [int(each[0, 0, 0]) for each in observation.images] == [1, 2]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (image(size=6), "camera/wrist/policy.*6 x 6.*needs 8 x 8"),
        (None, "camera/wrist/policy.*'32FC1'.*rgb8"),
    ],
)
def test_an_image_that_does_not_fit_is_named_and_dropped(node, frames, message, words):
    if message is None:
        message = image()
        message.encoding = "32FC1"
    state(node)
    node.callbacks["camera/front/policy"](image())
    node.callbacks["camera/wrist/policy"](message)
    assert not frames
    (line,) = node.log.lines
    assert re.search(words, line)


def test_a_servo_without_a_current_sensor_reads_zero(node, frames):
    servos = ServoState(name=list(JOINT_NAMES), current=[math.nan, 0.2, 0.3, 0.4, 0.5, 0.6])
    node.callbacks["servo_states"](servos)
    assert node.sensors.frames.values()["servo_states"].tolist() == [0.0, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_a_camera_that_died_is_late(node, frames):
    state(node, 5)
    node.callbacks["camera/front/policy"](image(5))
    node.callbacks["camera/wrist/policy"](image(5))
    state(node, 300)
    node.callbacks["camera/front/policy"](image(300))
    assert node.sensors.frames.late(100) == ["camera/wrist/policy"]
