"""Requests to servos, their answers, and what can go wrong on the way."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hilserl_drivers.port import Port
from hilserl_drivers.registers import Family, Model
from hilserl_drivers.wire import Wire

ATTEMPTS = 4

SETTLE_SECONDS = 0.06
"""How long an answer that did not come in time is waited for, before its servo is asked again."""

IDS = range(253)
"""Every id that a servo can have."""


class BusError(Exception):
    """A transaction failed; the next one may succeed."""


class Refused(BusError):
    """A servo understood a request and did not accept it."""


class Unplugged(BusError):
    """The port is gone."""


@dataclass(frozen=True)
class Answer:
    """A status packet: whose, the error that it states, and its data.

    Attributes:
        doubtful: whether it may be another servo's, or to an earlier request.
    """

    servo: int
    error: int
    data: bytes
    doubtful: bool = False


@dataclass
class Counts:
    """Packets since the start."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    """Answers that did not come, or came too late."""
    bad: int = 0
    """Answers damaged, doubled, of the wrong length, or of a servo that was not asked."""


class Transactions(abc.ABC):
    """Requests to servos and their answers, by the packets of a family's SDK.

    Args:
        open_wire: opens the port.
        baud: bits a second.
        reply_timeout: s, as in ``Port``.
        clock: s, as ``time.monotonic``.
    """

    family: Family
    model_address: tuple[int, int]
    """Where a model number lies, and its bytes."""
    _sdk: Any
    """The packet handler of the family's SDK."""
    _status_bytes: int
    """Of an answer without data."""
    _longest_request: int
    """Bytes that a servo may take a request to have."""

    def __init__(
        self,
        open_wire: Callable[[int], Wire],
        baud: int,
        reply_timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self.baud = baud
        self.counts = Counts()
        self.models: dict[int, Model] = {}
        self._open_wire, self._reply_timeout, self._clock = open_wire, reply_timeout, clock
        self._port: Port | None = None
        self._unsettled: dict[int, float] = {}
        """Servos whose answer may still come, and since when it is missing, s."""
        self._silent = False
        """Whether the last request had no answer from anybody."""

    # -- the port

    @property
    def is_open(self) -> bool:
        return self._port is not None

    def open(self) -> None:
        """Opens the port.

        Raises:
            UserError: it cannot be opened.
        """
        self.close()
        self._port = Port(self._open_wire(self.baud), self.baud, self._reply_timeout, self._clock)

    def close(self) -> None:
        """Closes the port; does nothing to the servos."""
        if self._port is not None:
            self._port.closePort()
            self._port = None

    # -- packets: each method that sends returns the SDK's result, which is 0 for success

    def _send_read(self, port: Port, servo: int, address: int, length: int) -> int:
        result: int = self._sdk.readTx(port, servo, address, length)
        return result

    def _send_write(self, port: Port, servo: int, address: int, data: bytes) -> int:
        result: int = self._sdk.writeTxOnly(port, servo, address, len(data), list(data))
        port.setPacketTimeout(self._status_bytes)
        return result

    def _send_sync_write(
        self, port: Port, address: int, length: int, data: Mapping[int, bytes]
    ) -> int:
        parameters = [byte for servo, part in data.items() for byte in (servo, *part)]
        result: int = self._sdk.syncWriteTxOnly(port, address, length, parameters, len(parameters))
        return result

    @abc.abstractmethod
    def _send_sync_read(self, port: Port, address: int, length: int, servos: Sequence[int]) -> int:
        """Asks several servos; the SDKs differ in this."""

    @abc.abstractmethod
    def _receive(self, port: Port) -> Answer | None:
        """The next answer, or None where it was damaged or did not come in time."""

    @abc.abstractmethod
    def _is_refusal(self, error: int) -> bool:
        """Whether a servo's error says that a request was not accepted."""

    @abc.abstractmethod
    def _is_alert(self, error: int) -> bool:
        """Whether a servo's error says that there is a hardware error."""

    # -- requests to one servo

    def ping(self, servo: int) -> int | None:
        """The model number of a servo; None where it does not answer."""
        data = self._read(servo, *self.model_address, attempts=1)
        return None if data is None else int.from_bytes(data, "little")

    def scan(self, servos: Iterable[int] = IDS) -> dict[int, int]:
        """Model numbers of the servos that answer."""
        found = {servo: self.ping(servo) for servo in servos}
        return {servo: number for servo, number in found.items() if number is not None}

    def attach(self, servo: int, model: Model) -> None:
        """Says what model a servo is; its registers are known from then on."""
        self.models[servo] = model

    def read(self, servo: int, register: str) -> int:
        """A register's number.

        Raises:
            BusError: the servo did not answer in several attempts.
        """
        entry = self.models[servo].registers[register]
        data = self._read(servo, entry.address, entry.size, ATTEMPTS)
        if data is None:
            raise BusError(f"servo {servo} does not answer a request for its {register}")
        return entry.decode(data)

    def _read(self, servo: int, address: int, length: int, attempts: int) -> bytes | None:
        """Memory of a servo; None where it did not answer in so many attempts.

        Nothing in an answer says to which request it is. So once one is missing, the next is
        believed only if the one after it is the same.
        """
        doubtful, last, failed = servo in self._unsettled, None, 0
        while failed < attempts:
            answer = self._ask(
                servo, length, lambda port: self._send_read(port, servo, address, length)
            )
            if answer is not None and (not doubtful or answer.data == last):
                return answer.data
            if answer is None or last is not None:
                failed += 1
            doubtful, last = True, None if answer is None else answer.data
        return None

    def write(self, servo: int, register: str, value: int) -> None:
        """Sets a register, and has the servo's word for it.

        Raises:
            Refused: the servo did not accept it.
            BusError: the servo did not answer in several attempts.
        """
        entry = self.models[servo].registers[register]
        data = entry.encode(value)
        for _ in range(ATTEMPTS):
            answer = self._ask(
                servo, 0, lambda port: self._send_write(port, servo, entry.address, data)
            )
            if answer is None:
                continue
            if self._is_refusal(answer.error):
                raise Refused(f"servo {servo} refused {register} = {value}")
            return
        raise BusError(f"servo {servo} does not answer the setting of its {register}")

    # -- one transaction

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Port]:
        """The port for one request.

        Raises:
            Unplugged: it is gone.
        """
        if self._port is None:
            raise Unplugged("the port is closed")
        self.counts.sent += 1
        try:
            yield self._port
        except OSError as error:
            raise Unplugged(str(error)) from None
        finally:
            self._port.is_using = False  # An SDK that was interrupted would be busy for ever.

    def _ask(self, servo: int, length: int, send: Callable[[Port], int]) -> Answer | None:
        """Sends a request and returns the servo's answer; None where none came that fits.

        One with data of another length answers an earlier request, which took too long.
        """
        with self._transaction() as port:
            if servo in self._unsettled:
                port.settle(self._unsettled.pop(servo) + SETTLE_SECONDS - self._clock())
            self._end_request(port)
            if send(port) != 0:
                self.counts.bad += 1
                return None
            while True:
                answer = self._next(port)
                if answer is not None and answer.servo == servo and len(answer.data) == length:
                    self.counts.received += 1
                    self._silent = False
                    return answer
                if answer is None and port.isPacketTimeout():
                    self.counts.lost += 1
                    self._unsettled[servo] = self._clock()
                    self._silent = servo in self.models
                    return None
                self.counts.bad += 1

    def _end_request(self, port: Port) -> None:
        """Where known servos kept silent, ends the request that they may still be hearing.

        A request whose length was damaged on the way has them wait for the rest of it, and
        take the next requests for that.
        """
        if self._silent:
            port.pad(self._longest_request)

    def _next(self, port: Port) -> Answer | None:
        try:
            return self._receive(port)
        except (IndexError, TypeError):
            return None  # What the SDKs raise on an answer shorter than its length says.
