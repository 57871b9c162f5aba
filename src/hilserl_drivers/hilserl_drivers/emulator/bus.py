"""The emulated bus: requests in, answers out, and time that passes for the servos."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from hilserl_drivers.emulator.faults import Faults
from hilserl_drivers.emulator.plant import Plant, ServoPlant
from hilserl_drivers.emulator.protocols import (
    BROADCAST,
    PING,
    READ,
    REBOOT,
    SYNC_READ,
    SYNC_WRITE,
    WRITE,
    Codec,
    DynamixelCodec,
    FeetechCodec,
    Instruction,
)
from hilserl_drivers.emulator.servo import EmulatedServo
from hilserl_drivers.registers import Family

BITS_PER_BYTE = 10
_ALERT = 0x80
_INSTRUCTION_ERROR = 2
_LONGEST = 248
"""Bytes that an answer can hold."""
_PARAMETERS = {READ: 2, WRITE: 1, SYNC_READ: 2, SYNC_WRITE: 2}
"""How many addresses and lengths an instruction begins with."""

Part = tuple[float, bytes]
"""When bytes arrive at the host, s of the clock, and the bytes."""


class EmulatedBus:
    """Servos of one family on one wire.

    Args:
        servos: any number of them, also two of one id.
        plant: what they move; by default each moves its own shaft.
        clock: s.
        timing: whether bytes take the time that they take at the servos' baud rate, and
            answers wait for the servos' return delay.
        faults: what goes wrong.
    """

    def __init__(
        self,
        servos: Sequence[EmulatedServo],
        clock: Callable[[], float],
        plant: Plant | None = None,
        timing: bool = False,
        faults: Faults | None = None,
    ) -> None:
        self.servos = list(servos)
        self.plant: Plant = plant or ServoPlant([servo.model for servo in servos])
        self.faults = faults or Faults()
        self.lock = threading.RLock()
        """Hold it while touching servos or plant from another thread."""
        self.answered = 0
        """Answers sent, those that a fault then swallowed among them."""
        self.misheard = 0
        """Requests so damaged that they meant something else, and passed the checksum."""
        self._dynamixel = servos[0].model.family == Family.DYNAMIXEL
        self._codec: Codec = DynamixelCodec() if self._dynamixel else FeetechCodec()
        self._clock, self._timing = clock, timing
        self._buffer = bytearray()
        self._now = clock()
        self._written = False  # A setting may change what the servos measure.
        self.advance()

    def advance(self) -> None:
        """Lets the time pass that has passed."""
        with self.lock:
            self._written = False
            now = self._clock()
            seconds, self._now = max(0.0, now - self._now), now
            shafts = self.plant.advance(seconds, [servo.drive() for servo in self.servos])
            for servo, shaft in zip(self.servos, shafts, strict=True):
                servo.advance(seconds, shaft)

    def catch_up(self) -> None:
        """Lets time pass if any has."""
        if self._written or self._clock() > self._now:
            self.advance()

    def receive(self, data: bytes, baud: int) -> list[Part]:
        """Takes bytes off the wire, sent at ``baud``; returns the answers to them."""
        with self.lock:
            self.catch_up()
            heard = self.faults.request(bytes(data))
            self._buffer += heard
            parts: list[Part] = []
            due = self._now + (len(data) * BITS_PER_BYTE / baud if self._timing else 0.0)
            while (instruction := self._codec.take(self._buffer)) is not None:
                if heard != data and instruction != self._codec.take(bytearray(data)):
                    self.misheard += 1
                for servos, error, answer in self._answers(instruction, baud):
                    packets, due = self._send(servos, error, answer, due)
                    parts += packets
            return sorted(parts, key=lambda part: part[0])

    def _send(
        self, servos: list[EmulatedServo], error: int, data: list[bytes], due: float
    ) -> tuple[list[Part], float]:
        """One slot on the wire, in which every servo of an id answers at once."""
        self.answered += 1
        servo = servos[0]
        if self._timing:
            due += servo.response_delay
        others = [other.id for other in self.servos if other is not servo]
        parts = self.faults.answer(self._codec, servo.id, error, data[0], others)
        if len(servos) > 1:
            # The line is low where any servo pulls it low.
            packets = [self._codec.status(servo.id, error, part) for part in data]
            length = max(map(len, packets))
            padded = [packet.ljust(length, b"\xff") for packet in packets]
            merged = bytes(_and(column) for column in zip(*padded, strict=True))
            parts = [(delay, merged) for delay, _ in parts[:1]]
        if self._timing:
            due += sum(len(part) for _, part in parts) * BITS_PER_BYTE / servo.baud
        return [(due + delay, part) for delay, part in parts], due

    def _answers(
        self, instruction: Instruction, baud: int
    ) -> list[tuple[list[EmulatedServo], int, list[bytes]]]:
        """Does what is asked; who answers what, in which order."""
        heard: dict[int, list[EmulatedServo]] = {}
        for servo in self.servos:
            # At another rate the bytes are noise to it.
            if servo.baud == baud:
                servo.heard()
                heard.setdefault(servo.id, []).append(servo)
        code, parameters = instruction.code, instruction.parameters
        size = self._codec.address_size
        if len(parameters) < _PARAMETERS.get(code, 0) * size:
            return []  # Damaged in a way that its checksum does not show.
        if code == SYNC_WRITE:
            self._sync_write(heard, parameters)
            return []
        if code == SYNC_READ:
            address, length = (
                int.from_bytes(parameters[start : start + size], "little") for start in (0, size)
            )
            asked = [heard[servo] for servo in parameters[2 * size :] if servo in heard]
        else:
            address = int.from_bytes(parameters[:size], "little")
            length = int.from_bytes(parameters[size : 2 * size], "little")
            everybody = instruction.servo == BROADCAST
            asked = list(heard.values()) if everybody else [heard.get(instruction.servo, [])]
            if everybody and code not in (PING, SYNC_READ):
                return []
        if code in (READ, SYNC_READ) and length > _LONGEST:
            return []
        answers = []
        for servos in filter(None, asked):
            done = [self._do(servo, code, address, length, parameters[size:]) for servo in servos]
            error = max(error for error, _ in done) | self._condition(servos[0])
            answers.append((servos, error, [data for _, data in done]))
        return answers

    def _condition(self, servo: EmulatedServo) -> int:
        """What a servo's answers say of its own health."""
        error = servo.get("hardware_error")
        return (_ALERT if error else 0) if self._dynamixel else error

    def _do(
        self, servo: EmulatedServo, code: int, address: int, length: int, rest: bytes
    ) -> tuple[int, bytes]:
        """What one servo answers to a request: an error and data."""
        if code == PING:
            number = servo.model.number.to_bytes(2, "little")
            firmware = bytes([servo.get("firmware")])
            return 0, number + firmware if self._dynamixel else b""
        if code in (READ, SYNC_READ):
            return 0, servo.read(address, length)
        self._written = True
        if code == WRITE:
            error = servo.write(address, rest)
            return (error if self._dynamixel else 0), b""
        if code == REBOOT and self._dynamixel:
            servo.restart()
            return 0, b""
        return (_INSTRUCTION_ERROR if self._dynamixel else 0), b""

    def _sync_write(self, heard: dict[int, list[EmulatedServo]], parameters: bytes) -> None:
        size = self._codec.address_size
        address, length = (
            int.from_bytes(parameters[start : start + size], "little") for start in (0, size)
        )
        data = parameters[2 * size :]
        for start in range(0, len(data) - length, length + 1):
            for servo in heard.get(data[start], []):
                servo.write(address, data[start + 1 : start + 1 + length])


def _and(values: tuple[int, ...]) -> int:
    result = 0xFF
    for value in values:
        result &= value
    return result
