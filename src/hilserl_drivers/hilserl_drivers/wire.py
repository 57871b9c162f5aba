"""A serial port: opened with a clear word on what is wrong, read without spinning."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from pathlib import Path
from typing import Protocol

import serial
from serial.tools import list_ports

from hilserl_core.device_files import by_whom, no_permission
from hilserl_core.errors import UserError


class Wire(Protocol):
    """Bytes to and from the servos. Every method raises OSError once the plug is out."""

    def write(self, data: bytes) -> int:
        """Sends; returns how many bytes were."""

    def read(self, length: int) -> bytes:
        """At most ``length`` bytes of those that have arrived; waits for none."""

    def wait(self, seconds: float) -> None:
        """Returns once a byte has arrived, and after ``seconds`` at the latest."""

    def discard(self) -> None:
        """Throws away what has arrived and was not read."""

    def close(self) -> None:
        """Ends; a second call does nothing."""


class SerialWire:
    """A serial port of this machine, for one process alone.

    Args:
        port: such as /dev/ttyUSB0, or a name under /dev/serial/by-id.
        baud: bits a second.

    Raises:
        UserError: it is not there, may not be opened, or is in use; the message says how to
            go on.
    """

    def __init__(self, port: str, baud: int) -> None:
        try:
            self._serial = serial.Serial(
                port, baud, timeout=0, write_timeout=0.1, exclusive=True, rtscts=False
            )
        except (OSError, ValueError) as error:
            raise UserError(_why_not(port, error)) from None
        # Without this an FTDI adapter keeps bytes back for up to 16 ms. A pty, or an adapter
        # that does not wait, has no such setting.
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> int:
        return self._serial.write(data) or 0

    def read(self, length: int) -> bytes:
        result: bytes = self._serial.read(length)
        return result

    def wait(self, seconds: float) -> None:
        select.select([self._serial.fileno()], [], [], max(0.0, seconds))

    def discard(self) -> None:
        try:
            self._serial.reset_input_buffer()
        except Exception as error:
            # termios raises an error of its own, which is no OSError.
            raise OSError(errno.EIO, str(error)) from None

    def close(self) -> None:
        with contextlib.suppress(OSError):  # The plug may be out.
            self._serial.close()


def available_ports() -> list[str]:
    """The ports that a servo arm's adapter may be, by their lasting names where they have one."""
    lasting = {str(path.resolve()): str(path) for path in Path("/dev/serial/by-id").glob("*")}
    return [lasting.get(port.device, port.device) for port in list_ports.comports() if port.vid]


def _why_not(port: str, error: Exception) -> str:
    """What keeps a port from being opened, and the remedy."""
    number = getattr(error, "errno", None)
    if not os.path.exists(port):
        found = available_ports()
        there = f"there is {', '.join(found)}" if found else "no USB serial adapter is connected"
        return f"no port {port}: {there}; check the cable, or name another port"
    if number == errno.EACCES or isinstance(error, PermissionError):
        return no_permission(port, "dialout")
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "lock" in str(error):
        return f"port {port} is in use{by_whom(port)}: stop that program, or name another port"
    if isinstance(error, ValueError):
        return f"port {port} cannot be opened: {error}"
    reason = os.strerror(number) if number else str(error)
    return f"port {port} cannot be opened ({reason}): unplug the adapter and plug it in again"
