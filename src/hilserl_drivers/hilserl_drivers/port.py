"""The port that both SDKs' packet handlers are given.

Their own ``PortHandler`` reads in a loop that never sleeps, which takes a core from the
learner; it waits 34 ms for an answer that is lost; Feetech's keeps what is left of an old
answer and takes it for the next one's. This class has the same methods, as the packet
handlers call them, and none of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hilserl_drivers.wire import Wire

BITS_PER_BYTE = 10  # With start and stop bit.


class Port:
    """A wire with a packet timeout.

    Args:
        wire: opened.
        baud: bits a second.
        reply_timeout: s that an answer may take beyond the time of its own bytes.
        clock: s, as ``time.monotonic``.
    """

    def __init__(
        self, wire: Wire, baud: int, reply_timeout: float, clock: Callable[[], float]
    ) -> None:
        self.is_using = False
        self.is_open = True
        self._wire, self._baud = wire, baud
        self._reply_timeout, self._clock = reply_timeout, clock
        self._deadline = 0.0

    def closePort(self) -> None:
        self.is_open = False
        self._wire.close()

    def clearPort(self) -> None:
        self._wire.discard()

    def getBaudRate(self) -> int:
        return self._baud

    def writePort(self, packet: Iterable[int]) -> int:
        return self._wire.write(bytes(packet))

    def readPort(self, length: int) -> bytes:
        if length <= 0:
            return b""
        data = self._wire.read(length)
        remaining = self._deadline - self._clock()
        if not data and remaining > 0:
            self._wire.wait(remaining)
            data = self._wire.read(length)
        return data

    def setPacketTimeout(self, packet_length: int) -> None:
        seconds = packet_length * BITS_PER_BYTE / self._baud + self._reply_timeout
        self._deadline = self._clock() + seconds

    def setPacketTimeoutMillis(self, milliseconds: float) -> None:
        self._deadline = self._clock() + milliseconds / 1000

    def isPacketTimeout(self) -> bool:
        return self._clock() >= self._deadline

    def pad(self, count: int) -> None:
        """Sends so many zeros, which no request begins with, and waits until they are out."""
        self.writePort(bytes(count))
        self.settle(count * BITS_PER_BYTE / self._baud)

    def settle(self, seconds: float) -> None:
        """Throws away what arrives in that time."""
        end = self._clock() + seconds
        while (remaining := end - self._clock()) > 0:
            self._wire.wait(remaining)
            self._wire.discard()
