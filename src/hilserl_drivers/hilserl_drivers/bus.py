"""Servos on a bus, the same for both families: rad, rad/s, A.

A servo's position is 0 rad half a turn from the ends of its encoder, and grows with its
ticks, also beyond a turn. What joint that is, and which way round, is for ``calibration``.
"""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hilserl_drivers.registers import (
    TICKS_PER_TURN,
    Mode,
    Model,
    radians_to_ticks,
    ticks_to_radians,
)
from hilserl_drivers.transactions import (
    ATTEMPTS,
    Answer,
    BusError,
    Refused,
    Transactions,
    Unplugged,
)
from hilserl_drivers.wire import Wire


@dataclass(frozen=True)
class Reading:
    """What one servo measured.

    Attributes:
        position: rad.
        velocity: rad/s.
        current: A; nan where the servo has no such sensor.
        load: share of the greatest torque, signed; nan where it reports none.
        voltage: V.
        temperature: degrees Celsius.
        alert: whether the servo says that it has a hardware error.
        doubtful: whether it may be another servo's, or an earlier one.
    """

    position: float
    velocity: float
    current: float
    load: float
    voltage: float
    temperature: float
    alert: bool
    doubtful: bool = False


class Bus(Transactions):
    """A family's servos by names and units that both share."""

    can_reboot = False

    def __init__(
        self,
        open_wire: Callable[[int], Wire],
        baud: int,
        reply_timeout: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(open_wire, baud, reply_timeout, clock)
        self._recalled: dict[tuple[int, str], int] = {}

    # -- registers

    def write_lasting(self, servo: int, register: str, value: int) -> None:
        """Sets an EEPROM register and reads it back, where it is not so already.

        The torque must be off.

        Raises:
            BusError: as ``write``, or the servo did not keep it.
        """
        if self.recalled(servo, register) == value:
            return
        self._recalled.pop((servo, register), None)
        self.unlock(servo)
        self.write(servo, register, value)
        kept = self.read(servo, register)
        self.lock(servo)
        if kept != value:
            raise Refused(f"servo {servo} kept {register} = {kept} instead of {value}")

    @contextlib.contextmanager
    def recall(self, servos: Sequence[int]) -> Iterator[None]:
        """Knows within it what the servos keep in their EEPROM, from one transaction.

        Raises:
            BusError: a servo does not answer.
        """
        table = self.models[servos[0]]
        kept = [entry for entry in table.registers.values() if entry.end <= table.eeprom_end]
        start = min(entry.address for entry in kept if entry.writable)
        length = max(entry.end for entry in kept) - start
        blocks: dict[int, bytes] = {}
        doubtful: dict[int, bytes] = {}
        for _ in range(ATTEMPTS):
            for servo, answer in self._sync_read(start, length, servos).items():
                if not answer.doubtful or doubtful.get(servo) == answer.data:
                    blocks[servo] = answer.data
                doubtful[servo] = answer.data
            if len(blocks) == len(servos):
                break
        else:
            missing = next(servo for servo in servos if servo not in blocks)
            raise BusError(f"servo {missing} does not answer a request for its settings")
        for servo, data in blocks.items():
            for name, entry in self.models[servo].registers.items():
                if start <= entry.address and entry.end <= start + length:
                    part = data[entry.address - start : entry.end - start]
                    self._recalled[servo, name] = entry.decode(part)
        try:
            yield
        finally:
            self._recalled.clear()

    def recalled(self, servo: int, register: str) -> int:
        """A register's number, as recalled, or else read now."""
        value = self._recalled.get((servo, register))
        return self.read(servo, register) if value is None else value

    def write_identity(self, servo: int, register: str, value: int) -> None:
        """Sets the register by which a servo is reached, and does not wait for its word."""
        entry = self.models[servo].registers[register]
        data = entry.encode(value)
        self.unlock(servo)
        self._ask(servo, 0, lambda port: self._send_write(port, servo, entry.address, data))

    def unlock(self, servo: int) -> None:
        """Makes what is written to the EEPROM last, in a family where it would not."""

    def lock(self, servo: int) -> None:
        """Ends ``unlock``."""

    def reboot(self, servo: int) -> None:
        """Restarts a servo, which clears its hardware error; its RAM is as at power-on.

        Raises:
            Refused: this family has no such request.
        """
        raise Refused(
            f"servo {servo} cannot be restarted by a request: switch its power off and on"
        )

    # -- requests to all servos

    def read_states(self, servos: Sequence[int]) -> dict[int, Reading]:
        """What the servos measure, in one transaction; those that did not answer are left out.

        An answer counts only if it is whole, of the length asked for, the only one of its
        servo, and in its turn: one that is not may be from before. Next to one that is missing
        it is doubtful: it may be the missing one's, with an id that was damaged.

        Raises:
            Unplugged: the port is gone.
        """
        answers = self._sync_read(*self.models[servos[0]].state_block, servos)
        return {
            servo: self._reading(self.models[servo], answer) for servo, answer in answers.items()
        }

    def _sync_read(self, address: int, length: int, servos: Sequence[int]) -> dict[int, Answer]:
        """The same memory of several servos; those without a good answer are left out."""
        heard: dict[int, Answer] = {}
        doubled = set()
        with self._transaction() as port:
            self._end_request(port)
            if self._send_sync_read(port, address, length, servos) == 0:
                while len(heard) < len(servos):
                    answer = self._next(port)
                    if answer is None and port.isPacketTimeout():
                        break
                    if answer is None or answer.servo not in servos or len(answer.data) != length:
                        self.counts.bad += 1
                    elif answer.servo in heard:
                        self.counts.bad += 1
                        doubled.add(answer.servo)
                    else:
                        heard[answer.servo] = answer
        now = self._clock()
        self._silent = not heard
        for servo in servos:
            if servo in heard:
                self._unsettled.pop(servo, None)
            else:
                self._unsettled[servo] = now
        self.counts.lost += len(servos) - len(heard)
        self.counts.received += len(heard) - len(doubled)
        gaps = {turn for turn, servo in enumerate(servos) if servo not in heard}
        turns = [servos.index(servo) for servo in heard]
        return {
            servo: replace(answer, doubtful=turn - 1 in gaps or turn + 1 in gaps)
            for turn, (servo, answer) in zip(turns, heard.items(), strict=True)
            if servo not in doubled and _in_turn(turn, turns)
        }

    def read_all(
        self, servos: Sequence[int], accept: Callable[[int, Reading], bool] = lambda *_: True
    ) -> dict[int, Reading]:
        """A reading of every servo, asked several times if need be; none is doubtful.

        Args:
            servos: ids.
            accept: says of an id and a reading whether to take it.

        Raises:
            BusError: one does not answer.
        """
        found: dict[int, Reading] = {}
        heard: set[int] = set()
        for _ in range(ATTEMPTS):
            for servo, reading in self.read_states(servos).items():
                heard.add(servo)
                if not reading.doubtful and accept(servo, reading):
                    found[servo] = reading
            if len(found) == len(servos):
                return found
        missing = min((servo for servo in servos if servo not in found), key=heard.__contains__)
        raise BusError(f"servo {missing} does not answer")

    def _reading(self, model: Model, answer: Answer) -> Reading:
        start, _ = model.state_block
        data = answer.data

        def value(name: str, unit: float | None) -> float:
            register = model.registers.get(name)
            if register is None or unit is None or register.address < start:
                return math.nan
            part = data[register.address - start : register.end - start]
            return register.decode(part) * unit

        raw = model.registers["present_position"]
        ticks = raw.decode(data[raw.address - start : raw.end - start])
        status = value("hardware_error", 1.0)
        return Reading(
            position=ticks_to_radians(ticks),
            velocity=value("present_velocity", model.velocity_unit),
            current=value("present_current", model.current_unit),
            load=value("present_load", 0.001),
            voltage=value("present_voltage", 0.1),
            temperature=value("present_temperature", 1.0),
            alert=self._is_alert(answer.error) or status > 0,
            doubtful=answer.doubtful,
        )

    def write_positions(self, positions: Mapping[int, float]) -> None:
        """Sets the goals of the servos, rad, in one transaction that nobody answers.

        Raises:
            Unplugged: the port is gone.
        """
        self._write_all(
            "goal_position", {servo: radians_to_ticks(rad) for servo, rad in positions.items()}
        )

    def write_currents(self, currents: Mapping[int, float]) -> None:
        """Sets goal currents, A: the greatest that a servo takes in a current-position mode.

        Raises:
            Unplugged: the port is gone.
        """
        ticks = {}
        for servo, amperes in currents.items():
            unit = self.models[servo].current_unit
            if unit is not None:
                ticks[servo] = round(amperes / unit)
        self._write_all("goal_current", ticks)

    def _write_all(self, register: str, values: Mapping[int, int]) -> None:
        if not values:
            return
        entries = {servo: self.models[servo].registers[register] for servo in values}
        data = {servo: entries[servo].encode(value) for servo, value in values.items()}
        entry = next(iter(entries.values()))
        with self._transaction() as port:
            self._send_sync_write(port, entry.address, entry.size, data)

    # -- settings

    def set_torque(self, servos: Iterable[int], on: bool) -> None:
        """Switches torque on or off, each servo having confirmed it.

        Raises:
            BusError: a servo did not confirm it; all were asked all the same.
        """
        failed: BusError | None = None
        for servo in servos:
            try:
                self.write(servo, "torque_enable", int(on))
                # Its word may be that of an earlier request.
                if not on and self.read(servo, "torque_enable"):
                    raise Refused(f"servo {servo} keeps its torque on")
            except Unplugged:
                raise
            except BusError as error:
                failed = error
        if failed is not None:
            raise failed

    def set_mode(self, servo: int, mode: Mode) -> None:
        """Sets the operating mode; the torque must be off.

        Raises:
            Refused: the model does not have that mode.
        """
        model = self.models[servo]
        if mode not in model.modes:
            raise Refused(f"servo {servo} is a {model.name}, which has no {mode.value} mode")
        self.write_lasting(servo, "operating_mode", model.modes[mode])

    def set_gains(self, servo: int, p: int, i: int, d: int) -> None:
        """Sets the position gains, in the servo's own units."""
        for letter, value in (("p", p), ("i", i), ("d", d)):
            self._set(servo, f"position_{letter}_gain", value)

    def _set(self, servo: int, register: str, value: int) -> None:
        """Sets a register, wherever it lies."""
        model = self.models[servo]
        if model.registers[register].address < model.eeprom_end:
            self.write_lasting(servo, register, value)
        else:
            self.write(servo, register, value)

    def set_profile(self, servo: int, velocity: float, acceleration: float) -> None:
        """Limits how a servo goes to a new goal: rad/s, rad/s^2; 0 is without limit."""
        model = self.models[servo]
        self.write(servo, "profile_acceleration", round(acceleration / model.acceleration_unit))
        self.write(servo, "profile_velocity", round(velocity / model.velocity_unit))

    @abc.abstractmethod
    def set_effort_limit(self, servo: int, share: float) -> None:
        """Limits the torque to a share of the greatest, without wearing the EEPROM."""

    def set_watchdog(self, servo: int, seconds: float) -> None:
        """Has a servo stop by itself after that long without a request.

        0 switches it off, and ends the state in which it had stopped, which nothing else does.
        A family without a watchdog ignores this.
        """

    @abc.abstractmethod
    def set_plain(self, servo: int) -> None:
        """Clears what would turn a servo's direction or the meaning of its positions."""

    def calibration_registers(self, servo: int) -> tuple[int, int, int]:
        """Homing offset, lowest and highest position, ticks, as the servo keeps them."""
        names = ("homing_offset", "min_position", "max_position")
        offset, low, high = (self.recalled(servo, name) for name in names)
        return offset, low, high

    def write_calibration(self, servo: int, offset: int, low: int, high: int) -> None:
        """Has the servo keep its homing offset and its limits, ticks; the torque must be off."""
        names = ("homing_offset", "min_position", "max_position")
        for name, value in zip(names, (offset, low, high), strict=True):
            self.write_lasting(servo, name, value)


def half_turn_offset(model: Model, ticks: int, offset: int, target: int) -> int:
    """The homing offset with which a servo that now reads ``ticks`` would read ``target``.

    A Feetech servo's register holds 2047 ticks either way, so half a turn exactly is the one
    offset that it cannot hold: it then reads one tick beside the target.

    Args:
        ticks: its position with the offset that it has.
        offset: the one that it has.
        target: ticks.
    """
    result = offset + model.offset_sign * (target - ticks)
    turn = TICKS_PER_TURN
    # Within half a turn either way: more means the same.
    result = (result + turn // 2 - 1) % turn - (turn // 2 - 1)
    low, high = model.registers["homing_offset"].range()
    return min(max(result, low), high)


def _in_turn(turn: int, turns: Sequence[int]) -> bool:
    """Whether one of all ``turns`` came after those before it, and before those after it."""
    place = turns.index(turn)
    return max(turns[:place], default=-1) < turn < min(turns[place + 1 :], default=turn + 1)
