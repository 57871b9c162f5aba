"""From ROS messages to measurements: the same code live and from a bag."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import ArrayLike, NDArray
from sensor_msgs.msg import Image, JointState

from hilserl_core.assembly import Measurements
from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.spec import ImageField, ObservationSpec
from hilserl_msgs.msg import ServoState

JOINTS, SERVOS, OBJECT = "joint_states", "servo_states", "sim/object_pose"


def camera_stream(camera: str) -> str:
    """The stream, and topic, of a camera's policy images."""
    return f"camera/{camera}/policy"


def by_name(
    names: Sequence[str], found: Sequence[str], values: ArrayLike, what: str
) -> NDArray[np.float64]:
    """Values (len(names),) in the order of ``names``, of a message that names its own.

    Raises:
        UserError: one is missing, or the message holds fewer values than names.
    """
    array = np.asarray(values, np.float64)
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"it has joints {', '.join(found) or 'without names'} and lacks "
            f"{', '.join(missing)}: it is of another robot, or its joints have other names"
        )
    if array.size != len(found):
        raise UserError(f"it has {array.size} values of {what} for {len(found)} joints")
    return array[[found.index(name) for name in names]]


class MeasurementReader:
    """Reads what an observation is made of, stream by stream.

    Args:
        spec: names what is needed.
        joints: the robot's, in the order of its commands.

    Attributes:
        types: message type of every stream, by the stream's name, which is its topic in a run.
    """

    def __init__(self, spec: ObservationSpec, joints: Sequence[str]) -> None:
        self._joints = list(joints)
        self._cameras = [image.name for image in spec.images]
        self._readers: dict[str, Callable[[Any], Any]] = {
            JOINTS: self._joint_states,
            SERVOS: self._servo_states,
        }
        self.types: dict[str, type[Any]] = {JOINTS: JointState, SERVOS: ServoState}
        if any(name.startswith("object_") for name in spec.slices):
            self._readers[OBJECT], self.types[OBJECT] = _pose, PoseStamped
        for image in spec.images:
            stream = camera_stream(image.name)
            self._readers[stream], self.types[stream] = image_reader(image), Image

    def read(self, stream: str, message: Any) -> Any:
        """What a message of a stream measures.

        Raises:
            UserError: it does not fit; the caller knows the topic.
        """
        return self._readers[stream](message)

    def measurements(
        self, stamp: int, values: Mapping[str, Any], command: NDArray[np.float64]
    ) -> Measurements:
        """One tick's measurements.

        Args:
            stamp: ns, of the newest part.
            values: what ``read`` gave for each stream.
            command: (joints,) rad, of the last executed action.
        """
        position, velocity = values[JOINTS]
        place, orientation = values.get(OBJECT, (None, None))
        return Measurements(
            stamp=stamp,
            joint_position=position,
            joint_velocity=velocity,
            motor_current=values[SERVOS],
            command=command,
            object_position=place,
            object_orientation=orientation,
            images={name: values[camera_stream(name)] for name in self._cameras},
        )

    def _joint_states(self, message: JointState) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return (
            by_name(self._joints, message.name, message.position, "position"),
            by_name(self._joints, message.name, message.velocity, "velocity"),
        )

    def _servo_states(self, message: ServoState) -> NDArray[np.float64]:
        # A servo without a current sensor says nan: always 0, it tells the policy nothing.
        current = by_name(self._joints, message.name, message.current, "current")
        return np.nan_to_num(current, nan=0.0)


def _pose(message: PoseStamped) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, q = message.pose.position, message.pose.orientation
    return np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w])


def image_reader(field: ImageField) -> Callable[[Image], NDArray[np.uint8]]:
    """What reads the images of one camera, raising UserError for one that does not fit."""

    def read(message: Image) -> NDArray[np.uint8]:
        image = to_rgb(message)
        if image.shape != (field.height, field.width, 3):
            raise UserError(
                f"an image is {message.width} x {message.height}: the policy needs "
                f"{field.width} x {field.height}"
            )
        return image

    return read
