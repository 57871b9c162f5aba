"""The robot's measurements, as the policy node receives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from hilserl_core.assembly import Measurements
from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.qos import SENSOR
from hilserl_core.spec import ImageField, ObservationSpec
from hilserl_core.stamps import stamp_to_ns
from hilserl_description import koch
from hilserl_msgs.msg import ServoState
from hilserl_policy.frames import Frames


class Sensors:
    """Subscribes to what an observation is made of.

    Args:
        node: that subscribes.
        spec: names what is needed.
        on_frame: called with a stamp (ns) once every stream's newest measurement has it.

    Attributes:
        topics: of every stream, by its name.
    """

    def __init__(self, node: Node, spec: ObservationSpec, on_frame: Callable[[int], None]) -> None:
        self._node = node
        self._on_frame = on_frame
        self._cameras = [image.name for image in spec.images]
        streams: list[tuple[str, type, Callable[[Any], None]]] = [
            ("joint_states", JointState, self._on_joint_states),
            ("servo_states", ServoState, self._on_servo_states),
        ]
        if "object_position" in spec.slices:
            streams.append(("sim/object_pose", PoseStamped, self._on_object_pose))
        for image in spec.images:
            streams.append((f"camera/{image.name}/policy", Image, self._taker(image)))
        self.topics = [topic for topic, _, _ in streams]
        self.frames = Frames(self.topics)
        for topic, kind, callback in streams:
            node.create_subscription(kind, topic, callback, SENSOR)

    def _on_joint_states(self, message: JointState) -> None:
        order = [message.name.index(name) for name in koch.JOINT_NAMES]
        value = (np.array(message.position)[order], np.array(message.velocity)[order])
        self._add("joint_states", message, value)

    def _on_servo_states(self, message: ServoState) -> None:
        order = [message.name.index(name) for name in koch.JOINT_NAMES]
        # A servo without a current sensor says nan: always 0, it tells the policy nothing.
        current = np.nan_to_num(np.array(message.current)[order], nan=0.0)
        self._add("servo_states", message, current)

    def _on_object_pose(self, message: PoseStamped) -> None:
        p, q = message.pose.position, message.pose.orientation
        value = (np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))
        self._add("sim/object_pose", message, value)

    def _taker(self, field: ImageField) -> Callable[[Image], None]:
        """What takes the images of one camera; one that does not fit is no measurement."""
        topic = f"camera/{field.name}/policy"

        def take(message: Image) -> None:
            try:
                image = to_rgb(message)
                if image.shape != (field.height, field.width, 3):
                    raise UserError(
                        f"an image is {message.width} x {message.height}: the policy needs "
                        f"{field.width} x {field.height}"
                    )
            except UserError as error:
                self._node.get_logger().error(f"{topic}: {error}", throttle_duration_sec=5.0)
                return
            self._add(topic, message, image)

        return take

    def _add(self, stream: str, message: Any, value: object) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        if self.frames.add(stream, stamp, value):
            self._on_frame(stamp)

    def measurements(self, stamp: int, command: NDArray[np.float64]) -> Measurements:
        """The newest of every stream, with the last executed joint command (6,) rad."""
        values = self.frames.values()
        position, velocity = values["joint_states"]
        place, orientation = values.get("sim/object_pose", (None, None))
        return Measurements(
            stamp=stamp,
            joint_position=position,
            joint_velocity=velocity,
            motor_current=values["servo_states"],
            command=command,
            object_position=place,
            object_orientation=orientation,
            images={name: values[f"camera/{name}/policy"] for name in self._cameras},
        )
