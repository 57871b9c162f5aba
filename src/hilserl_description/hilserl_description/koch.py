"""The Koch v1.1 follower: joints, limits, poses, and the spaces in which it acts.

Frames: the base frame is the frame of the scenes. The arm stands at its origin and, with
every joint at zero, holds its upper arm up and its forearm out along +y; +x is to the
right of someone who looks along the forearm, +z is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec


@dataclass(frozen=True)
class Joint:
    """One joint and its servo.

    Attributes:
        offset: m, the joint's frame in its parent's.
        axis: unit vector in that frame.
        low, high: rad, the range of motion.
        mass: kg, of the link that it moves.
        motor, motor_id: the servo's model and bus id.
        torque_limit: N m.
        velocity_limit: rad/s, to which the driver ramps its setpoint.
    """

    name: str
    offset: tuple[float, float, float]
    axis: tuple[float, float, float]
    low: float
    high: float
    mass: float
    motor: str
    motor_id: int
    torque_limit: float
    velocity_limit: float = 4.0

    @property
    def torque_constant(self) -> float:
        """N m per A."""
        return _TORQUE_CONSTANTS[self.motor]


_M288, _W250 = "XL330-M288", "XL430-W250"
# Stall torque over stall current: 0.52 N m at 1.47 A (5 V), and 1.5 N m at 1.4 A (12 V).
_TORQUE_CONSTANTS = {_M288: 0.354, _W250: 1.07}
# Torque limits stay a little below stall.
JOINTS = (
    Joint("shoulder_pan", (0.012, 0, 0.0409), (0, 0, -1), -2.2, 2.2, 0.0501, _W250, 1, 1.4),
    Joint("shoulder_lift", (0, -0.0209, 0.0154), (0, 1, 0), -1.57, 1.22, 0.0502, _W250, 2, 1.4),
    Joint("elbow_flex", (-0.0148, 0.0065, 0.1083), (0, -1, 0), -1.48, 1.74, 0.0638, _M288, 3, 0.5),
    Joint("wrist_flex", (-0.10048, 5e-05, 0.0027), (0, 1, 0), -1.92, 1.92, 0.0198, _M288, 4, 0.5),
    Joint("wrist_roll", (-0.045, 0.0131, 0), (1, 0, 0), -2.97, 2.97, 0.0293, _M288, 5, 0.5),
    Joint("gripper", (-0.01315, -0.0075, 0.0145), (0, 0, -1), -1.74, 0.05, 0.0128, _M288, 6, 0.25),
)
JOINT_NAMES = tuple(joint.name for joint in JOINTS)
GRIPPER = JOINT_NAMES.index("gripper")

LOW: NDArray[np.float64] = np.array([joint.low for joint in JOINTS])
HIGH: NDArray[np.float64] = np.array([joint.high for joint in JOINTS])
TORQUE_LIMIT: NDArray[np.float64] = np.array([joint.torque_limit for joint in JOINTS])
TORQUE_CONSTANT: NDArray[np.float64] = np.array([joint.torque_constant for joint in JOINTS])
VELOCITY_LIMIT: NDArray[np.float64] = np.array([joint.velocity_limit for joint in JOINTS])

GRIPPER_CLOSED = 0.03
GRIPPER_OPENED = -1.15
"""rad, setpoints of the gripper joint; the driver ramps between them."""

CONTROL_PERIOD = 0.1
"""s, one control tick."""

MAX_JOINT_STEP: NDArray[np.float64] = np.array([0.3, 0.3, 0.3, 0.3, 0.3, 2.0])
"""rad a control tick between two commands. The gripper's lets its setpoint go from open to
closed in one command, since that is a choice and not a motion: the driver ramps it."""

WORKSPACE_LOW: NDArray[np.float64] = np.array([-0.15, 0.08, 0.013])
WORKSPACE_HIGH: NDArray[np.float64] = np.array([0.15, 0.28, 0.20])
"""m, base frame: the box that tool targets stay in."""

PATCH_LOW = (-0.08, 0.12)
PATCH_HIGH = (0.08, 0.24)
"""m, base frame: where (x, y) an object may lie at the start of an episode."""

HOME: NDArray[np.float64] = np.array([0.12, -0.58, -1.15, -1.9, 0.0, GRIPPER_OPENED])
"""rad: the tool above the patch, pointing down, the gripper open."""


OBSERVATIONS = ("state", "cameras")
"""What the policy sees beside the servos: the object's pose (simulated, or tracked), or images."""
IMAGES = (ImageField("front"), ImageField("wrist"))
"""Policy images, in the order of the observation."""


def observation_spec(
    observation: str = "state", images: Sequence[ImageField] = IMAGES
) -> ObservationSpec:
    """The layout of observations.

    Args:
        observation: one of ``OBSERVATIONS``.
        images: policy images of the observation "cameras".
    """
    object_pose = observation == "state"
    arm_low, arm_high = tuple(LOW), tuple(HIGH)
    fields = [
        Field("joint_position", arm_low, arm_high, "rad"),
        Field("joint_velocity", (-2.0,) * 5 + (-4.0,), (2.0,) * 5 + (4.0,), "rad/s"),
        Field("motor_current", (-0.5,) * 6, (0.5,) * 6, "A"),
        Field("tool_position", tuple(WORKSPACE_LOW), tuple(WORKSPACE_HIGH), "m"),
        Field("target_offset", (-0.03,) * 3, (0.03,) * 3, "m"),
        Field("gripper_command", (GRIPPER_OPENED,), (GRIPPER_CLOSED,), "rad"),
    ]
    if object_pose:
        fields += [
            Field("object_position", (-0.1, 0.1, 0.0), (0.1, 0.26, 0.12), "m"),
            Field("object_offset", (-0.08, -0.08, -0.1), (0.08, 0.08, 0.02), "m"),
            Field("object_yaw", (-1.0, -1.0), (1.0, 1.0)),
        ]
    return ObservationSpec(tuple(fields), () if object_pose else tuple(images))


def action_spec(kind: str = "ee_delta") -> ActionSpec:
    """The layout of actions: ``ee_delta``, m a tick in the base frame, or ``joint_delta``, rad."""
    if kind == "joint_delta":
        return ActionSpec(kind, JOINT_NAMES, (0.2,) * 5 + (1.0,))
    return ActionSpec(kind, ("x", "y", "z", "gripper"), (0.025, 0.025, 0.025, 1.0))
