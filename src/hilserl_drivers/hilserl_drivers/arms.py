"""The arms that the drivers know: which servo is which joint, and how it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hilserl_description.models import KOCH, SO101
from hilserl_drivers.bus import Bus
from hilserl_drivers.dynamixel_bus import DynamixelBus
from hilserl_drivers.feetech_bus import FeetechBus
from hilserl_drivers.models import MODELS
from hilserl_drivers.registers import Family, Mode, Model
from hilserl_drivers.wire import Wire

FACTORY_BAUD = {Family.DYNAMIXEL: 57_600, Family.FEETECH: 1_000_000}


@dataclass(frozen=True)
class ServoSpec:
    """A joint's servo.

    Attributes:
        joint: its name.
        id: the servo's on the bus.
        model: one of ``models.MODELS``.
        mode: in which it follows positions.
        low, high: rad, the joint's range of motion.
        velocity_limit: rad/s, of its setpoint.
        positive: what moving to larger angles looks like; empty where the servo's own
            direction is the joint's.
        effort: the share of its greatest torque that it may use.
        gains: P, I and D in the servo's own units; None leaves them as they are.
    """

    joint: str
    id: int
    model: str
    mode: Mode
    low: float
    high: float
    velocity_limit: float
    positive: str = ""
    effort: float = 1.0
    gains: tuple[int, int, int] | None = None

    @property
    def table(self) -> Model:
        """The model's control table."""
        return MODELS[self.model]


@dataclass(frozen=True)
class Arm:
    """An arm on one bus.

    Attributes:
        family: of all its servos.
        baud: bits a second.
        servos: in the order of the joints.
        home: rad, where a reset brings it; empty: a leader, which has no such place.
        pose: how to hold it when its calibration begins.
        zero_in_pose: whether every joint is at 0 rad in that pose; else the middle of the
            range that is found is the middle of the range of the joint.
    """

    name: str
    family: Family
    baud: int
    servos: tuple[ServoSpec, ...]
    home: tuple[float, ...]
    pose: str
    zero_in_pose: bool

    @property
    def kind(self) -> str:
        """Of leader and follower alike, as ``hilserl_description.models`` names it."""
        return self.name.partition("_")[0]

    @property
    def joints(self) -> tuple[str, ...]:
        return tuple(servo.joint for servo in self.servos)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(servo.id for servo in self.servos)


_KOCH_POSE = (
    "the upper arm straight up, the forearm level and straight ahead, the hand in line with "
    "it, the jaw closed"
)
_KOCH_POSITIVE = {
    "shoulder_pan": "turn the arm to its right, seen from behind it",
    "shoulder_lift": "lean the upper arm backwards",
    "elbow_flex": "lower the forearm",
    "wrist_flex": "raise the hand",
    "wrist_roll": "turn the hand counterclockwise, seen from behind the arm",
    "gripper": "close the jaw",
}


def _koch(name: str, leader: bool) -> Arm:
    servos = []
    for joint in KOCH.joints:
        gripper = joint.name == "gripper"
        # A leader follows softly, to be pushed away; a gripper must not break what it holds.
        soft = leader or gripper
        servos.append(
            ServoSpec(
                joint=joint.name,
                id=joint.motor_id,
                model="XL330-M077" if leader else joint.motor,
                mode=Mode.CURRENT_POSITION if soft else Mode.EXTENDED_POSITION,
                low=joint.low,
                high=joint.high,
                velocity_limit=joint.velocity_limit,
                positive=_KOCH_POSITIVE[joint.name],
                # A policy that learns leans on the table now and then: short of stall, that
                # is no overload, with which the servo would give up.
                effort=0.3 if soft else 0.9,
            )
        )
    return Arm(
        name=name,
        family=Family.DYNAMIXEL,
        baud=1_000_000,
        servos=tuple(servos),
        home=() if leader else KOCH.home_pose,
        pose=_KOCH_POSE,
        zero_in_pose=True,
    )


def _so101(name: str, leader: bool) -> Arm:
    servos = tuple(
        ServoSpec(
            joint=joint.name,
            id=joint.motor_id,
            model=joint.motor,
            mode=Mode.POSITION,
            low=joint.low,
            high=joint.high,
            velocity_limit=joint.velocity_limit,
            effort=0.3 if leader else 0.5 if joint.name == "gripper" else 1.0,
            # Out of the box the P gain of 32 has an SO-101 shake.
            gains=(16, 0, 32),
        )
        for joint in SO101.joints
    )
    return Arm(
        name=name,
        family=Family.FEETECH,
        baud=1_000_000,
        servos=servos,
        home=() if leader else SO101.home_pose,
        pose="every joint about in the middle of its range",
        zero_in_pose=False,
    )


ARMS = {
    arm.name: arm
    for arm in (
        _koch("koch_follower", leader=False),
        _koch("koch_leader", leader=True),
        _so101("so101_follower", leader=False),
        _so101("so101_leader", leader=True),
    )
}


def make_bus(
    family: Family,
    open_wire: Callable[[int], Wire],
    baud: int,
    reply_timeout: float,
    clock: Callable[[], float],
) -> Bus:
    """The bus of a family; see ``Bus`` for the arguments."""
    kind = DynamixelBus if family == Family.DYNAMIXEL else FeetechBus
    return kind(open_wire, baud, reply_timeout, clock)
