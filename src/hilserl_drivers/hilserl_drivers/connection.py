"""Which arm, on which port: the same for the node and the programs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_drivers.arms import ARMS, Arm, make_bus
from hilserl_drivers.bus import Bus
from hilserl_drivers.calibration import default_path
from hilserl_drivers.registers import Family
from hilserl_drivers.wire import SerialWire, available_ports

REPLY_TIMEOUT = 0.006
"""s that an answer may take, beyond the time of its bytes. A USB adapter hands on every ms; and
a cycle in which one answer is lost still ends within 10 ms."""


@dataclass(frozen=True)
class Connection:
    """Parameters of where the arm is."""

    port: str = parameter("", "the arm's serial port, best by its name in /dev/serial/by-id")
    arm: str = parameter("koch_follower", "which arm it is", choices=tuple(ARMS))
    baud: int = parameter(0, "bits a second; 0: as usual for the arm", low=0, high=4_500_000)
    calibration: str = parameter(
        "", "the arm's calibration file; empty: ~/.config/hilserl/ARM.yaml"
    )
    reply_timeout: float = parameter(
        REPLY_TIMEOUT, "s that a servo's answer may take", low=0.001, high=0.1
    )

    @property
    def which(self) -> Arm:
        return ARMS[self.arm]

    @property
    def calibration_path(self) -> Path:
        return Path(self.calibration) if self.calibration else default_path(self.arm)

    def bus(self) -> Bus:
        """The arm's bus, closed.

        Raises:
            UserError: no port is named.
        """
        if not self.port:
            found = ", ".join(available_ports()) or "none is connected"
            raise UserError(f"parameter 'port' is needed: the arm's serial port ({found})")
        arm = self.which
        return serial_bus(arm.family, self.port, self.baud or arm.baud, self.reply_timeout)


def serial_bus(family: Family, port: str, baud: int, reply_timeout: float = REPLY_TIMEOUT) -> Bus:
    """A bus on a serial port of this machine, closed."""
    return make_bus(
        family, lambda rate: SerialWire(port, rate), baud, reply_timeout, time.monotonic
    )
