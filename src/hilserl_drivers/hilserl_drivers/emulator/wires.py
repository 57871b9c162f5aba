"""Two ways to an emulated bus: a pty, as a serial port has it, and one within the process."""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import select
import termios
import threading
import time
import tty
from pathlib import Path

from hilserl_drivers.emulator.bus import EmulatedBus

_BAUDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit()
}
_IDLE = 0.005  # s, between looks at the time while nobody asks.


class VirtualClock:
    """A clock that goes on when somebody waits for it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


class LoopbackWire:
    """A wire to an emulated bus of this process, on a virtual clock.

    Attributes:
        plugged: False: the plug is out.
    """

    def __init__(self, bus: EmulatedBus, clock: VirtualClock, baud: int = 1_000_000) -> None:
        self.plugged = True
        self._bus, self._clock, self._baud = bus, clock, baud
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._arrived = bytearray()

    def _check(self) -> None:
        if not self.plugged:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        while self._due and self._due[0][0] <= self._clock():
            self._arrived += heapq.heappop(self._due)[2]

    def write(self, data: bytes) -> int:
        self._check()
        for due, part in self._bus.receive(data, self._baud):
            self._count += 1
            heapq.heappush(self._due, (due, self._count, part))
        return len(data)

    def read(self, length: int) -> bytes:
        self._check()
        result = bytes(self._arrived[:length])
        del self._arrived[:length]
        return result

    def wait(self, seconds: float) -> None:
        self._check()
        if self._arrived:
            return
        if self._due:
            seconds = min(seconds, self._due[0][0] - self._clock())
        # A little more than asked: a sum of floats may fall short of the deadline for ever.
        self._clock.sleep(seconds + 1e-9)

    def discard(self) -> None:
        self._check()
        self._arrived.clear()

    def close(self) -> None:
        self._arrived.clear()


class PtyBus:
    """An emulated bus behind a pty, served by a thread.

    Args:
        bus: on the clock ``time.monotonic``.
        path: a link to the pty, which stays the same when the plug is pulled and put back.
    """

    def __init__(self, bus: EmulatedBus, path: Path) -> None:
        self.bus, self.path = bus, path
        self._master: int | None = None
        self._thread: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None
        self.plug_in()

    def plug_in(self) -> None:
        """Makes the port appear."""
        if self._thread is not None:
            return
        master, slave = os.openpty()
        tty.setraw(slave)
        # A hang-up looks like something to read, and somebody may open the port in between.
        os.set_blocking(master, False)
        aside = self.path.with_name(f".{self.path.name}.new")
        aside.unlink(missing_ok=True)
        aside.symlink_to(os.ttyname(slave))
        aside.replace(self.path)
        os.close(slave)
        self._master, self._wake = master, os.pipe()
        self._thread = threading.Thread(
            target=self._serve, args=(master, self._wake[0]), name="pty", daemon=True
        )
        self._thread.start()

    def unplug(self) -> None:
        """Makes the port disappear; the servos keep their power."""
        if self._thread is None or self._wake is None or self._master is None:
            return
        os.close(self._wake[1])
        self._thread.join()
        os.close(self._wake[0])
        os.close(self._master)
        self.path.unlink(missing_ok=True)
        self._thread = self._wake = self._master = None

    def close(self) -> None:
        """Ends."""
        self.unplug()

    def __enter__(self) -> PtyBus:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self, master: int, wake: int) -> None:
        due: list[tuple[float, int, bytes]] = []
        count = 0
        while True:
            timeout = min(_IDLE, due[0][0] - time.monotonic()) if due else _IDLE
            readable, _, _ = select.select([master, wake], [], [], max(0.0, timeout))
            if wake in readable:
                return
            if master in readable:
                # Nobody has the port open: reading fails until somebody does.
                data = b""
                with contextlib.suppress(OSError):
                    data = os.read(master, 4096)
                if not data:
                    self.bus.advance()
                    time.sleep(_IDLE)
                    continue
                for when, part in self.bus.receive(data, self._baud(master)):
                    count += 1
                    heapq.heappush(due, (when, count, part))
            elif not due:
                self.bus.advance()
            while due and due[0][0] <= time.monotonic():
                with contextlib.suppress(OSError):
                    os.write(master, heapq.heappop(due)[2])

    @staticmethod
    def _baud(master: int) -> int:
        """What the host has set."""
        try:
            return _BAUDS.get(termios.tcgetattr(master)[5], 0) or 1_000_000
        except termios.error:
            return 1_000_000
