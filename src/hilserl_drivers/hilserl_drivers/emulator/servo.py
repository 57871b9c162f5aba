"""One emulated servo: its registers and their rules, its watchdog, and when it gives up."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hilserl_drivers.emulator.plant import Drive, Shaft
from hilserl_drivers.models import BAUD_CODES
from hilserl_drivers.registers import (
    CENTRE,
    TICKS_PER_TURN,
    Family,
    Mode,
    Model,
    Register,
    radians_to_ticks,
    ticks_to_radians,
)

DATA_RANGE, DATA_LENGTH, DATA_LIMIT, ACCESS = 4, 5, 6, 7
"""Errors of Protocol 2.0's status packets."""

WATCHDOG_UNIT = 0.02  # s
OVERLOAD_SECONDS = 1.0
_TRIPPED = -1
_GOALS = ("goal_pwm", "goal_current", "goal_velocity", "goal_position")
_OFFSET_IN_POSITION_MODE = 1024  # ticks; a Dynamixel ignores larger ones there.
VOLTAGE, OVERHEATED, OVERLOAD = 1 << 0, 1 << 2, 1 << 5
"""Bits of a hardware error, the same in both families."""


class EmulatedServo:
    """A servo's memory, and the motor that it makes of it.

    Attributes:
        temperature, voltage: what its sensors feel; tests and plants may set them.
        restarts: how often it was powered on.
    """

    def __init__(self, model: Model, servo: int, baud: int = 1_000_000) -> None:
        self.model = model
        self.temperature = 30.0
        self.voltage = sum(model.voltage) / 2
        self.restarts = 0
        size = max(register.end for register in model.registers.values())
        self._memory = bytearray(size)
        self.reset(servo, baud)
        self._stalled = 0.0
        self._silent = 0.0
        self._ticks = CENTRE  # Of the encoder, at the last look.
        self._turns = 0  # Of the encoder since power-on; it knows its angle, not its turn.

    def reset(self, servo: int, baud: int) -> None:
        """Factory settings, but for an id and a baud rate."""
        for register in self.model.registers.values():
            self._store(register, register.initial)
        self.keep({"id": servo, "baud_rate": BAUD_CODES[self.model.family][baud]})

    # -- registers

    @property
    def id(self) -> int:
        return self.get("id")

    @property
    def baud(self) -> int:
        code = self.get("baud_rate")
        return next(baud for baud, value in BAUD_CODES[self.model.family].items() if value == code)

    @property
    def response_delay(self) -> float:
        """s between a request and the answer."""
        return 2e-6 * self.get("return_delay")

    def get(self, name: str) -> int:
        """A register's number."""
        register = self.model.registers[name]
        return register.decode(bytes(self._memory[register.address : register.end]))

    def set(self, name: str, value: int) -> None:
        """Sets a register, whatever the rules."""
        self._store(self.model.registers[name], value)

    def keep(self, values: Mapping[str, int]) -> None:
        """Sets registers of the EEPROM for good, whatever the rules."""
        for name, value in values.items():
            self.set(name, value)
        self._eeprom = bytes(self._memory[: self.model.eeprom_end])

    def _store(self, register: Register, value: int) -> None:
        low, high = register.range()
        data = register.encode(max(low, min(high, value)))
        self._memory[register.address : register.end] = data

    def read(self, address: int, length: int) -> bytes:
        """Memory as it is; what lies behind it reads as zero."""
        return bytes(self._memory[address : address + length]).ljust(length, b"\0")

    def write(self, address: int, data: bytes) -> int:
        """Writes as far as the rules allow; returns an error of Protocol 2.0, or 0."""
        covered = [
            (name, register)
            for name, register in self.model.registers.items()
            if address <= register.address and register.end <= address + len(data)
        ]
        if sum(register.size for _, register in covered) != len(data):
            return DATA_LENGTH if covered else ACCESS
        for name, register in covered:
            part = data[register.address - address : register.end - address]
            error = self._why_not(name, register, register.decode(part))
            if error:
                return error
        for name, register in covered:
            start = register.address - address
            self._memory[register.address : register.end] = data[start : start + register.size]
            self._written(name, register)
        return 0

    def _why_not(self, name: str, register: Register, value: int) -> int:
        """The error with which a write is refused; 0 where it is not."""
        if not register.writable:
            return ACCESS
        if register.address < self.model.eeprom_end and self.get("torque_enable"):
            return ACCESS
        if name in _GOALS and self._watchdog_tripped():
            return DATA_RANGE
        if name == "torque_enable" and value and self.get("hardware_error") and self._is_dynamixel:
            return DATA_RANGE
        if name == "operating_mode" and value not in self.model.modes.values():
            return DATA_RANGE
        if name == "goal_position" and self.mode == Mode.POSITION and self._is_dynamixel:
            low, high = self.get("min_position"), self.get("max_position")
            return 0 if low <= value <= high else DATA_RANGE
        return 0

    def _written(self, name: str, register: Register) -> None:
        """What a write brings about."""
        if register.address < self.model.eeprom_end:
            # A Feetech keeps what is written while unlocked; else it is lost with the power.
            if self._is_dynamixel or not self.get("lock"):
                kept = bytearray(self._eeprom)
                kept[register.address : register.end] = self._memory[
                    register.address : register.end
                ]
                self._eeprom = bytes(kept)
        elif name == "torque_enable":
            self._stalled = 0.0
            self._silent = 0.0
            if not self._is_dynamixel:
                self.set("hardware_error", 0)

    @property
    def _is_dynamixel(self) -> bool:
        return self.model.family == Family.DYNAMIXEL

    @property
    def mode(self) -> Mode:
        code = self.get("operating_mode")
        return next(mode for mode, value in self.model.modes.items() if value == code)

    # -- power

    def restart(self) -> None:
        """Power off and on: what is not in the EEPROM is as at the factory."""
        self.restarts += 1
        for register in self.model.registers.values():
            self._store(register, register.initial)
        self._memory[: self.model.eeprom_end] = self._eeprom
        self._turns -= self._present_turn()
        self._stalled = self._silent = 0.0

    def _present_turn(self) -> int:
        return math.floor((self._ticks + self._turns * TICKS_PER_TURN) / TICKS_PER_TURN)

    # -- time

    def heard(self) -> None:
        """A request came by on the bus, to whomever."""
        self._silent = 0.0

    def drive(self) -> Drive:
        """What it does to its shaft."""
        mode = self.mode
        on = bool(self.get("torque_enable"))
        limit = self._current_limit(mode)
        position = self._encoder_goal()
        velocity = self._velocity_goal(mode)
        return Drive(on, mode, position, limit, velocity)

    def _current_limit(self, mode: Mode) -> float:
        """A: the greatest that it takes, or its goal in current mode."""
        model = self.model
        if not self._is_dynamixel:
            return model.stall_current * self.get("torque_limit") / 1000
        if mode in (Mode.CURRENT, Mode.CURRENT_POSITION) and model.current_unit is not None:
            return self.get("goal_current") * model.current_unit
        return model.stall_current * self.get("goal_pwm") / 885

    def _velocity_goal(self, mode: Mode) -> float:
        if mode == Mode.VELOCITY and self._is_dynamixel:
            return self.get("goal_velocity") * self.model.velocity_unit
        return self.get("profile_velocity") * self.model.velocity_unit

    def _offset(self) -> int:
        """ticks between the encoder and what it calls its position."""
        offset = self.model.offset_sign * self.get("homing_offset")
        if self._is_dynamixel and self.mode == Mode.POSITION:
            return offset if abs(offset) <= _OFFSET_IN_POSITION_MODE else 0
        return offset

    def _encoder_goal(self) -> float:
        """rad, the goal as the encoder counts."""
        goal = self.get("goal_position")
        if self._is_dynamixel:
            return ticks_to_radians(goal - self._offset() - self._turns * TICKS_PER_TURN)
        goal = max(self.get("min_position"), min(self.get("max_position"), goal))
        here = self.get("present_position")
        return ticks_to_radians(self._ticks + goal - here)

    def advance(self, seconds: float, shaft: Shaft) -> None:
        """Lets time pass, at whose end the shaft is there."""
        self._ticks = radians_to_ticks(shaft.position)
        position = self._ticks + self._offset()
        if self._is_dynamixel:
            position += self._turns * TICKS_PER_TURN
        elif not self.get("phase") & 0x10:
            position %= TICKS_PER_TURN
        self.set("present_position", position)
        self.set("present_velocity", round(shaft.velocity / self.model.velocity_unit))
        self.set("present_voltage", round(self.voltage * 10))
        self.set("present_temperature", round(self.temperature))
        self.set("moving", int(abs(shaft.velocity) > 0.05))
        if self.model.current_unit is not None:
            self.set("present_current", round(shaft.current / self.model.current_unit))
        if "present_load" in self.model.registers:
            share = shaft.current / self.model.stall_current
            self.set("present_load", max(-1000, min(1000, round(1000 * share))))
        self._protect(seconds, shaft)
        self._watch(seconds)

    def _protect(self, seconds: float, shaft: Shaft) -> None:
        """Gives up where going on would do harm."""
        stalled = (
            abs(shaft.current) > 0.95 * self.model.stall_current and abs(shaft.velocity) < 0.05
        )
        self._stalled = self._stalled + seconds if stalled else 0.0
        errors = 0
        if self._stalled > OVERLOAD_SECONDS:
            errors |= OVERLOAD
        if self.temperature > self.get("temperature_limit"):
            errors |= OVERHEATED
        if not self.get("min_voltage") <= round(10 * self.voltage) <= self.get("max_voltage"):
            errors |= VOLTAGE
        if errors:
            self.set("hardware_error", self.get("hardware_error") | errors)
            shuts_down = self.get("shutdown") if self._is_dynamixel else OVERLOAD | OVERHEATED
            if errors & shuts_down:
                self.set("torque_enable", 0)

    def _watchdog_tripped(self) -> bool:
        return self._is_dynamixel and self.get("bus_watchdog") == _TRIPPED

    def _watch(self, seconds: float) -> None:
        """Stops where it is once the bus was silent for too long."""
        if not (self._is_dynamixel and self.get("torque_enable")):
            return
        self._silent += seconds
        limit = self.get("bus_watchdog")
        if limit > 0 and self._silent > limit * WATCHDOG_UNIT:
            self.set("bus_watchdog", _TRIPPED)
            self.set("goal_position", self.get("present_position"))
            self.set("goal_velocity", 0)
