"""What the packages know of an arm: joints, limits, poses, and the spaces in which it acts.

Frames: the base frame is the frame of the scenes. An arm stands at its origin and, with every
joint at zero, holds its forearm out along +y; +x is to the right of someone who looks along
the forearm, +z is up.

Joint names, the control period and the meaning of actions are the same for every arm; the rest
is in an ``ArmModel``, of which ``models`` holds one for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec

Vector = NDArray[np.float64]
Point = tuple[float, float, float]
Rectangle = tuple[tuple[float, float], tuple[float, float]]

JOINT_NAMES: tuple[str, ...] = (
    "shoulder_pan",
    "shoulder_lift",
    "elbow_flex",
    "wrist_flex",
    "wrist_roll",
    "gripper",
)
GRIPPER = JOINT_NAMES.index("gripper")

CONTROL_PERIOD = 0.1
"""s, one control tick."""

MAX_JOINT_STEP: Vector = np.array([0.3, 0.3, 0.3, 0.3, 0.3, 2.0])
"""rad a control tick between two commands. The gripper's lets its setpoint go from open to
closed in one command, since that is a choice and not a motion: the driver ramps it."""

OBSERVATIONS = ("state", "cameras")
"""What the policy sees beside the servos: the object's pose (simulated, or tracked), or images."""
IMAGES = (ImageField("front"), ImageField("wrist"))
"""Policy images, in the order of the observation."""

# V, of each servo's supply.
_VOLTAGES = {"XL330-M288": 5.0, "XL430-W250": 12.0, "STS3215": 12.0}
# N m per A: stall torque over stall current. XL330-M288: 0.52 N m at 1.47 A (5 V); XL430-W250:
# 1.5 N m at 1.4 A (12 V); STS3215, the 12 V version: 30 kg cm at 2.7 A.
_TORQUE_CONSTANTS = {"XL330-M288": 0.354, "XL430-W250": 1.07, "STS3215": 1.09}


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
        turn: rad, by which its frame is turned about the axis against its parent's.
    """

    name: str
    offset: Point
    axis: Point
    low: float
    high: float
    mass: float
    motor: str
    motor_id: int
    torque_limit: float
    velocity_limit: float = 4.0
    turn: float = 0.0

    @property
    def torque_constant(self) -> float:
        """N m per A."""
        return _TORQUE_CONSTANTS[self.motor]

    @property
    def voltage(self) -> float:
        """V, of its supply."""
        return _VOLTAGES[self.motor]


@dataclass(frozen=True)
class Hand:
    """The hand, in the frame of the link that ``wrist_roll`` moves.

    Attributes:
        forward: unit vector, where the tool points.
        inward: unit vector, from the moving jaw to the fixed one.
        fingers: m along ``inward``, from the tool point, which lies midway between the open
            jaws, to the middle of the closed ones.
        gripped: rad, of the gripper where the jaws are parallel, about a thing of 30 mm.
        held: m, where the middle of that thing is.
    """

    forward: Point
    inward: Point
    fingers: float
    gripped: float
    held: Point


@dataclass(frozen=True)
class ArmModel:
    """One kind of arm.

    Attributes:
        name: as parameters and files say it.
        joints: in the order of ``JOINT_NAMES``.
        gripper_closed, gripper_opened: rad, setpoints of the gripper joint; the driver ramps
            between them.
        home_pose: rad: the tool above the patch, pointing down, the gripper open.
        workspace: m, base frame: two corners of the box that tool targets stay in.
        patch: m, base frame: two corners of where (x, y) an object may lie at the start of an
            episode.
        upright: m, base frame: two corners of where (x, y) the tool can point straight down, at
            any height that an insertion needs.
    """

    name: str
    joints: tuple[Joint, ...]
    hand: Hand
    gripper_closed: float
    gripper_opened: float
    home_pose: tuple[float, ...]
    workspace: tuple[Point, Point]
    patch: Rectangle
    upright: Rectangle

    def __post_init__(self) -> None:
        assert tuple(joint.name for joint in self.joints) == JOINT_NAMES

    @cached_property
    def low(self) -> Vector:
        """(6,) rad."""
        return np.array([joint.low for joint in self.joints])

    @cached_property
    def high(self) -> Vector:
        """(6,) rad."""
        return np.array([joint.high for joint in self.joints])

    @cached_property
    def torque_limit(self) -> Vector:
        """(6,) N m."""
        return np.array([joint.torque_limit for joint in self.joints])

    @cached_property
    def torque_constant(self) -> Vector:
        """(6,) N m per A."""
        return np.array([joint.torque_constant for joint in self.joints])

    @cached_property
    def velocity_limit(self) -> Vector:
        """(6,) rad/s."""
        return np.array([joint.velocity_limit for joint in self.joints])

    @cached_property
    def home(self) -> Vector:
        """(6,) rad, the pose in which an episode begins."""
        return np.array(self.home_pose)

    @cached_property
    def workspace_low(self) -> Vector:
        """(3,) m, the workspace's lower corner."""
        return np.array(self.workspace[0])

    @cached_property
    def workspace_high(self) -> Vector:
        """(3,) m, its upper corner."""
        return np.array(self.workspace[1])

    @property
    def patch_low(self) -> tuple[float, float]:
        """m, the patch's lower corner."""
        return self.patch[0]

    @property
    def patch_high(self) -> tuple[float, float]:
        """m, its upper corner."""
        return self.patch[1]

    @property
    def closing(self) -> float:
        """1 where the gripper's angle grows as it closes, else -1."""
        return 1.0 if self.gripper_closed > self.gripper_opened else -1.0

    def opening(self, joints: ArrayLike) -> float:
        """rad that the gripper of joints (6,) is open; 0 at the setpoint that closes it."""
        return self.closing * (self.gripper_closed - float(np.asarray(joints)[GRIPPER]))

    @property
    def widest(self) -> float:
        """rad that the gripper is open at the setpoint that opens it."""
        return abs(self.gripper_closed - self.gripper_opened)

    def observation_spec(
        self, observation: str = "state", images: Sequence[ImageField] = IMAGES
    ) -> ObservationSpec:
        """The layout of observations.

        Args:
            observation: one of ``OBSERVATIONS``.
            images: policy images of the observation "cameras".
        """
        object_pose = observation == "state"
        fields = [
            Field("joint_position", tuple(self.low), tuple(self.high), "rad"),
            Field("joint_velocity", (-2.0,) * 5 + (-4.0,), (2.0,) * 5 + (4.0,), "rad/s"),
            Field("motor_current", (-0.5,) * 6, (0.5,) * 6, "A"),
            Field("tool_position", *self.workspace, "m"),
            Field("target_offset", (-0.03,) * 3, (0.03,) * 3, "m"),
            # Normalised, an opened gripper is -1 and a closed one 1, whichever way it turns.
            Field("gripper_command", (self.gripper_opened,), (self.gripper_closed,), "rad"),
        ]
        if object_pose:
            fields += [
                Field("object_position", (*self._around(-1), 0.0), (*self._around(1), 0.12), "m"),
                Field("object_offset", (-0.08, -0.08, -0.1), (0.08, 0.08, 0.02), "m"),
                Field("object_yaw", (-1.0, -1.0), (1.0, 1.0)),
            ]
        return ObservationSpec(tuple(fields), () if object_pose else tuple(images))

    def _around(self, side: int) -> tuple[float, ...]:
        """m, (x, y) of a corner a little outside the patch: the lower for -1, the upper for 1."""
        corner = self.patch[0] if side < 0 else self.patch[1]
        return tuple(round(value + side * 0.02, 6) for value in corner)


def action_spec(kind: str = "ee_delta") -> ActionSpec:
    """The layout of actions: ``ee_delta``, m a tick in the base frame, or ``joint_delta``, rad."""
    if kind == "joint_delta":
        return ActionSpec(kind, JOINT_NAMES, (0.2,) * 5 + (1.0,))
    return ActionSpec(kind, ("x", "y", "z", "gripper"), (0.025, 0.025, 0.025, 1.0))
