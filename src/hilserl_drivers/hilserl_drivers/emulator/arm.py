"""A whole arm on an emulated bus, as somebody built and calibrated it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_drivers.arms import Arm
from hilserl_drivers.bus import half_turn_offset
from hilserl_drivers.calibration import Calibration, ServoCalibration
from hilserl_drivers.emulator.bus import EmulatedBus
from hilserl_drivers.emulator.faults import Faults
from hilserl_drivers.emulator.plant import Drive, Joint, Plant, ServoPlant, Shaft
from hilserl_drivers.emulator.servo import EmulatedServo
from hilserl_drivers.registers import CENTRE, RADIANS_PER_TICK, TICKS_PER_TURN, Mode

OVERTRAVEL = 0.05
"""rad, that a joint goes beyond the range of its arm's description, each way."""


@dataclass(frozen=True)
class Mount:
    """How a servo sits in its joint: rad of its encoder at the joint's zero, and its direction."""

    zero: float
    sign: int


class MountedPlant:
    """A plant of joints, seen by servos that are mounted in them."""

    def __init__(self, plant: Plant, mounts: Sequence[Mount]) -> None:
        self.plant, self._mounts = plant, mounts

    def advance(self, seconds: float, drives: Sequence[Drive]) -> Sequence[Shaft]:
        pairs = list(zip(drives, self._mounts, strict=True))
        joints = self.plant.advance(seconds, [_in_joint(drive, mount) for drive, mount in pairs])
        return [
            Shaft(
                mount.sign * joint.position + mount.zero,
                mount.sign * joint.velocity,
                mount.sign * joint.current,
            )
            for joint, mount in zip(joints, self._mounts, strict=True)
        ]


def _in_joint(drive: Drive, mount: Mount) -> Drive:
    """What a servo does, as its joint counts."""
    return replace(
        drive,
        position=mount.sign * (drive.position - mount.zero),
        current=drive.current * (mount.sign if drive.mode == Mode.CURRENT else 1),
        velocity=drive.velocity * (mount.sign if drive.mode == Mode.VELOCITY else 1),
    )


class EmulatedArm:
    """An arm whose horns were mounted anyhow, and which then was calibrated.

    Args:
        arm: which.
        clock: s.
        seed: of how it was built.
        plant: of the joints in the arm's order, rad; by default each follows its servo.
        timing, faults: as ``EmulatedBus`` has them.

    Attributes:
        bus: its emulated bus.
        calibration: as ``calibrate`` would have found it.
    """

    def __init__(
        self,
        arm: Arm,
        clock: Callable[[], float],
        seed: int = 0,
        plant: Plant | None = None,
        timing: bool = False,
        faults: Faults | None = None,
    ) -> None:
        self.arm = arm
        rng = random.Random(f"{arm.name}-{seed}")
        self.servos = [EmulatedServo(spec.table, spec.id, arm.baud) for spec in arm.servos]
        self.mounts = []
        entries = {}
        for spec, servo in zip(arm.servos, self.servos, strict=True):
            encoder = rng.randrange(TICKS_PER_TURN)
            sign = rng.choice((-1, 1)) if spec.positive else 1
            middle = 0.0 if arm.zero_in_pose else (spec.low + spec.high) / 2
            self.mounts.append(Mount((encoder - CENTRE) * RADIANS_PER_TICK - sign * middle, sign))
            entry = _entry(spec.joint, servo, encoder, sign, middle, (spec.low, spec.high))
            entries[spec.id] = entry
        self.calibration = Calibration(arm.name, entries)
        self._plant = plant or ServoPlant([servo.model for servo in self.servos])
        if isinstance(self._plant, ServoPlant):
            for joint, spec in zip(self._plant.joints, arm.servos, strict=True):
                joint.low, joint.high = spec.low - OVERTRAVEL, spec.high + OVERTRAVEL
        mounted = MountedPlant(self._plant, self.mounts)
        self.bus = EmulatedBus(self.servos, clock, mounted, timing, faults)
        self.repair()

    @property
    def joints(self) -> list[Joint]:
        """Of the default plant: to be pushed, loaded and blocked."""
        assert isinstance(self._plant, ServoPlant)
        return self._plant.joints

    def angles(self) -> NDArray[np.float64]:
        """(joints,) rad, where they are."""
        return np.array([joint.position for joint in self.joints])

    def place(self, angles: ArrayLike) -> None:
        """Puts the joints somewhere, (joints,) rad, at rest."""
        with self.bus.lock:
            for joint, angle in zip(self.joints, np.asarray(angles, float), strict=True):
                joint.position, joint.velocity = float(angle), 0.0
            self.bus.advance()

    def repair(self) -> None:
        """Has the servos keep what they were set to when the arm was built."""
        for spec, servo in zip(self.arm.servos, self.servos, strict=True):
            offset, low, high = self.calibration.servos[spec.id].registers
            servo.reset(spec.id, self.arm.baud)
            servo.keep({"homing_offset": offset, "min_position": low, "max_position": high})
            servo.keep({"operating_mode": servo.model.modes[spec.mode]})
        self.power_cycle()

    def forget_calibration(self) -> None:
        """Leaves the servos as they come from the factory."""
        for servo in self.servos:
            mode = servo.model.modes[Mode.POSITION]
            servo.keep({"homing_offset": 0, "operating_mode": mode})
            servo.keep({"min_position": 0, "max_position": 4095})
        self.power_cycle()

    def power_cycle(self) -> None:
        """Takes the power off all servos and gives it back."""
        with self.bus.lock:
            self.bus.advance()
            for servo in self.servos:
                servo.restart()
            self.bus.advance()


def _entry(
    joint: str,
    servo: EmulatedServo,
    encoder: int,
    sign: int,
    middle: float,
    limits: tuple[float, float],
) -> ServoCalibration:
    """What calibrating finds of a servo whose encoder reads ``encoder`` in the pose."""
    ends = [
        CENTRE + sign * round((angle - middle) / RADIANS_PER_TICK)
        for angle in (limits[0] - OVERTRAVEL, limits[1] + OVERTRAVEL)
    ]
    return ServoCalibration(
        joint=joint,
        model=servo.model.name,
        homing_offset=half_turn_offset(servo.model, encoder, 0, CENTRE),
        range_min=max(0, min(ends)),
        range_max=min(TICKS_PER_TURN - 1, max(ends)),
        zero=CENTRE - sign * round(middle / RADIANS_PER_TICK),
        sign=sign,
    )
