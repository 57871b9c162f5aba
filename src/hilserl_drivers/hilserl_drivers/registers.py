"""A servo's registers, and how numbers are written in them."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

TICKS_PER_TURN = 4096
CENTRE = TICKS_PER_TURN // 2
"""The position, in ticks, that is 0 rad: half a turn, as far from both ends as can be."""

RADIANS_PER_TICK = 2 * math.pi / TICKS_PER_TURN
RPM = 2 * math.pi / 60
"""rad/s."""


class Family(enum.Enum):
    """Who made the servo, which is also how one talks to it."""

    DYNAMIXEL = "dynamixel"
    FEETECH = "feetech"


class Mode(enum.Enum):
    """What a servo regulates."""

    CURRENT = "current"
    VELOCITY = "velocity"
    POSITION = "position"
    """Within one turn, and within the servo's own limits."""
    EXTENDED_POSITION = "extended_position"
    """Over many turns; the servo's own limits do not apply."""
    CURRENT_POSITION = "current_position"
    """Position over many turns, with no more current than asked for."""
    PWM = "pwm"
    STEP = "step"


@dataclass(frozen=True)
class Register:
    """A number in a servo's memory, little-endian.

    Attributes:
        address: of its first byte.
        size: bytes.
        signed: two's complement.
        sign_bit: the bit that is the sign, where the rest is the magnitude; None elsewhere.
        writable: whether a write is accepted.
        initial: its value out of the box.
    """

    address: int
    size: int
    signed: bool = False
    sign_bit: int | None = None
    writable: bool = True
    initial: int = 0

    @property
    def end(self) -> int:
        """The address behind its last byte."""
        return self.address + self.size

    def range(self) -> tuple[int, int]:
        """The lowest and the highest number that it can hold."""
        if self.sign_bit is not None:
            highest = (1 << self.sign_bit) - 1
            return -highest, highest
        bits = 8 * self.size
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)

    def encode(self, value: int) -> bytes:
        """The bytes of a number.

        Raises:
            ValueError: the register cannot hold it.
        """
        low, high = self.range()
        if not low <= value <= high:
            raise ValueError(f"{value} does not fit register {self.address}, {low} to {high}")
        if self.sign_bit is not None:
            value = -value | 1 << self.sign_bit if value < 0 else value
            return value.to_bytes(self.size, "little")
        return value.to_bytes(self.size, "little", signed=self.signed)

    def decode(self, data: bytes) -> int:
        """The number of its bytes."""
        if self.sign_bit is None:
            return int.from_bytes(data, "little", signed=self.signed)
        raw = int.from_bytes(data, "little")
        magnitude = raw & (1 << self.sign_bit) - 1
        return -magnitude if raw >> self.sign_bit & 1 else magnitude


@dataclass(frozen=True)
class Model:
    """A servo model: its control table, the units in it, and what it can do.

    Attributes:
        name, number: the vendor's name, and the number that it answers a ping with.
        registers: by name; the same names in both families.
        eeprom_end: registers below this address keep their value without power, and can
            be written with the torque off only.
        modes: the operating modes that it has, and their codes.
        state: the first and last register of the block that is read each cycle.
        velocity_unit: rad/s a count.
        current_unit: A a count; None where the servo has no current sensor and reports its
            load, a share of the torque, instead.
        acceleration_unit: rad/s^2 a count of the profile.
        offset_sign: +1 where position = encoder + homing offset, -1 where it is subtracted.
        voltage: V, the range in which it works.
        temperature_limit: degrees Celsius at which it shuts itself down.
        no_load_speed: rad/s.
        stall_current: A.
        errors: what the bits of its hardware error mean.
        torque_constant: N m an A; None where it regulates no current.
    """

    name: str
    number: int
    family: Family
    registers: Mapping[str, Register]
    eeprom_end: int
    modes: Mapping[Mode, int]
    state: tuple[str, str]
    velocity_unit: float
    current_unit: float | None
    acceleration_unit: float
    offset_sign: int
    voltage: tuple[float, float]
    temperature_limit: float
    no_load_speed: float
    stall_current: float
    errors: Mapping[int, str]
    torque_constant: float | None = None

    @property
    def state_block(self) -> tuple[int, int]:
        """Address and length of the block that holds everything read each cycle."""
        first, last = (self.registers[name] for name in self.state)
        return first.address, last.end - first.address

    def error_text(self, bits: int) -> str:
        """What a hardware error means, for a person."""
        known = [text for bit, text in self.errors.items() if bits >> bit & 1]
        return ", ".join(known) or f"error {bits:#04x}"


def ticks_to_radians(ticks: int) -> float:
    """A servo's position, 0 at the centre."""
    return (ticks - CENTRE) * RADIANS_PER_TICK


def radians_to_ticks(radians: float) -> int:
    """The nearest tick to a position."""
    return round(radians / RADIANS_PER_TICK) + CENTRE
