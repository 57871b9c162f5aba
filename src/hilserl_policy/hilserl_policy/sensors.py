"""The robot's measurements, as the policy node receives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState

from hilserl_core.assembly import Measurements
from hilserl_core.messages import stamp_to_ns
from hilserl_core.qos import SENSOR
from hilserl_description import koch
from hilserl_msgs.msg import ServoState
from hilserl_policy.frames import Frames

STREAMS = {
    "joint_states": "joint_states",
    "servo_states": "servo_states",
    "object_pose": "sim/object_pose",
}
"""Topic of every stream."""


class Sensors:
    """Subscribes to what an observation is made of.

    Args:
        node: that subscribes.
        on_frame: called with a stamp (ns) once every stream's newest measurement has it.
    """

    def __init__(self, node: Node, on_frame: Callable[[int], None]) -> None:
        self.frames = Frames(STREAMS)
        self._on_frame = on_frame
        for stream, kind, callback in (
            ("joint_states", JointState, self._on_joint_states),
            ("servo_states", ServoState, self._on_servo_states),
            ("object_pose", PoseStamped, self._on_object_pose),
        ):
            node.create_subscription(kind, STREAMS[stream], callback, SENSOR)

    def _on_joint_states(self, message: JointState) -> None:
        order = [message.name.index(name) for name in koch.JOINT_NAMES]
        value = (np.array(message.position)[order], np.array(message.velocity)[order])
        self._add("joint_states", message, value)

    def _on_servo_states(self, message: ServoState) -> None:
        order = [message.name.index(name) for name in koch.JOINT_NAMES]
        self._add("servo_states", message, np.array(message.current)[order])

    def _on_object_pose(self, message: PoseStamped) -> None:
        p, q = message.pose.position, message.pose.orientation
        value = (np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))
        self._add("object_pose", message, value)

    def _add(self, stream: str, message: Any, value: object) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        if self.frames.add(stream, stamp, value):
            self._on_frame(stamp)

    def measurements(self, stamp: int, command: NDArray[np.float64]) -> Measurements:
        """The newest of every stream, with the last executed joint command (6,) rad."""
        values = self.frames.values()
        (position, velocity), (place, orientation) = values["joint_states"], values["object_pose"]
        return Measurements(
            stamp=stamp,
            joint_position=position,
            joint_velocity=velocity,
            motor_current=values["servo_states"],
            command=command,
            object_position=place,
            object_orientation=orientation,
        )
