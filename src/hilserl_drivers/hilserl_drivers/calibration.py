"""What joint angle a servo's position is: stored by servo id, and kept by the servos as well.

The servo's homing offset puts the middle of a joint's range half a turn from the ends of
the encoder, so that it does not cross them. Offset and range are written into the
servos too: that is how a calibration is told from another arm's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from hilserl_core.errors import UserError
from hilserl_core.parameters import ParameterError, build, parameter
from hilserl_core.run import write_aside
from hilserl_drivers.arms import Arm, ServoSpec
from hilserl_drivers.registers import (
    RADIANS_PER_TICK,
    TICKS_PER_TURN,
    radians_to_ticks,
    ticks_to_radians,
)

FACTORY = (0, 0, 4095)
"""Homing offset, lowest and highest position of a servo that nobody has calibrated."""

MARGIN = 0.02
"""rad, that a joint keeps from the ends of its range."""


@dataclass(frozen=True)
class ServoCalibration:
    """One servo's, in ticks."""

    joint: str = parameter("", "the joint that it moves")
    model: str = parameter("", "the servo's model")
    homing_offset: int = parameter(0, "as the servo keeps it", low=-4095, high=4095)
    range_min: int = parameter(0, "lowest position that was reached", low=0, high=4095)
    range_max: int = parameter(4095, "highest position that was reached", low=0, high=4095)
    zero: int = parameter(2048, "position at which the joint is at 0 rad", low=-4095, high=8191)
    sign: int = parameter(1, "direction of the joint in that of the servo", choices=(-1, 1))

    @property
    def registers(self) -> tuple[int, int, int]:
        """What the servo keeps: homing offset, lowest and highest position."""
        return self.homing_offset, self.range_min, self.range_max


@dataclass(frozen=True)
class Calibration:
    """An arm's, by servo id."""

    arm: str
    servos: Mapping[int, ServoCalibration]
    path: Path = Path()

    def save(self, path: Path) -> None:
        """Writes it as YAML.

        Raises:
            UserError: the file cannot be written.
        """
        content = {
            "arm": self.arm,
            "servos": {servo: asdict(entry) for servo, entry in self.servos.items()},
        }
        try:
            write_aside(path, yaml.safe_dump(content, sort_keys=False).encode())
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None


def default_path(arm: str) -> Path:
    """Where an arm's calibration lies, unless another file is named."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "hilserl" / f"{arm}.yaml"


def load(path: Path, arm: Arm) -> Calibration:
    """An arm's calibration, as saved.

    Raises:
        UserError: there is none, it is damaged, or it is of another kind of arm.
    """
    again = f"run 'hilserl run hilserl_drivers calibrate {arm.name} --port PORT'"
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no calibration of {arm.name} at {path}: {again}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}): {again}") from None
    if not isinstance(content, dict) or not isinstance(content.get("servos"), dict):
        raise UserError(f"{path} is damaged (no 'servos' in it): {again}")
    if content.get("arm") != arm.name:
        raise UserError(
            f"{path} is the calibration of '{content.get('arm')}', and this is {arm.name}: "
            "name the right file, or the right arm"
        )
    servos = {servo: _entry(path, servo, values) for servo, values in content["servos"].items()}
    for spec in arm.servos:
        entry = servos.get(spec.id)
        if entry is None or entry.joint != spec.joint or entry.model != spec.model:
            raise UserError(
                f"{path} does not say how servo {spec.id}, a {spec.model}, moves {spec.joint}: "
                f"{again}"
            )
    return Calibration(arm.name, servos, path)


def _entry(path: Path, servo: Any, values: Any) -> ServoCalibration:
    if not isinstance(servo, int) or not isinstance(values, dict):
        raise UserError(f"{path} is damaged (servo {servo!r}): calibrate again")
    try:
        entry = build(ServoCalibration, values)
    except ParameterError as error:
        raise UserError(f"{path}, servo {servo}: {error}") from None
    if entry.range_min >= entry.range_max:
        raise UserError(
            f"{path}, servo {servo}: range_min {entry.range_min} is not below range_max "
            f"{entry.range_max}: calibrate again"
        )
    return entry


class JointMap:
    """A servo's positions as a joint's angles, and back.

    Attributes:
        low, high: rad, where the joint may be sent.
        reach: rad, (lowest, highest) where it was while it was calibrated.
        turn: turns by which the servo has counted on since it was powered on.
    """

    def __init__(self, spec: ServoSpec, entry: ServoCalibration) -> None:
        self._entry = entry
        self.turn = 0
        ends = sorted(
            entry.sign * (end - entry.zero) * RADIANS_PER_TICK
            for end in (entry.range_min, entry.range_max)
        )
        self.reach = (ends[0], ends[1])
        self.low = max(spec.low, ends[0] + MARGIN)
        self.high = min(spec.high, ends[1] - MARGIN)

    def angle(self, position: float) -> float:
        """The joint's angle, rad, for the servo's position, rad."""
        turned = 2 * math.pi * self.turn
        return self._entry.sign * (position - ticks_to_radians(self._entry.zero) - turned)

    def position(self, angle: float) -> float:
        """The servo's position, rad, for the joint's angle, rad."""
        turned = 2 * math.pi * self.turn
        return self._entry.sign * angle + ticks_to_radians(self._entry.zero) + turned

    def find_turn(self, position: float) -> None:
        """Takes a reading to be within the turn in which the joint was calibrated.

        An encoder knows its angle and not its turn, so a servo that was powered on again
        may count from another one.
        """
        middle = (self._entry.range_min + self._entry.range_max) / 2
        ticks = radians_to_ticks(position)
        self.turn = round((ticks - middle) / TICKS_PER_TURN)
