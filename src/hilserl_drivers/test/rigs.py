"""Emulated servos and arms within the process, on a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hilserl_core.errors import UserError
from hilserl_drivers.arms import ARMS, make_bus
from hilserl_drivers.bus import Bus
from hilserl_drivers.driver import Driver, DriverSettings
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.bus import EmulatedBus
from hilserl_drivers.emulator.faults import FaultRates, Faults
from hilserl_drivers.emulator.servo import EmulatedServo
from hilserl_drivers.emulator.wires import LoopbackWire, VirtualClock
from hilserl_drivers.models import MODELS

PERIOD = 0.01
BOTH = ("koch_follower", "so101_follower")
FOLLOWERS = pytest.mark.parametrize("name", BOTH)


class ServoRig:
    """Loose servos on a bus, ids from 1 on."""

    def __init__(self, models: Sequence[str], rates: FaultRates | None = None) -> None:
        self.clock = VirtualClock()
        self.servos = [EmulatedServo(MODELS[name], n) for n, name in enumerate(models, 1)]
        self.faults = Faults(rates)
        self.emulated = EmulatedBus(self.servos, self.clock, faults=self.faults)
        self.bus = attach(self.emulated, self.clock)
        for servo in self.servos:
            self.bus.attach(servo.id, servo.model)


def attach(emulated: EmulatedBus, clock: VirtualClock) -> Bus:
    """An opened bus of the right family."""
    family = emulated.servos[0].model.family
    bus = make_bus(family, lambda baud: LoopbackWire(emulated, clock, baud), 1_000_000, 0.01, clock)
    bus.open()
    return bus


class ArmRig:
    """An arm with its driver."""

    def __init__(
        self,
        name: str = "koch_follower",
        settings: DriverSettings | None = None,
        seed: int = 0,
        faults: Faults | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.arm = ARMS[name]
        self.faults = faults or Faults()
        self.emulated = EmulatedArm(self.arm, self.clock, seed, faults=self.faults)
        self.plugged = True
        self.wire: LoopbackWire | None = None
        self.bus = make_bus(self.arm.family, self._open, self.arm.baud, 0.01, self.clock)
        self.settings = settings or DriverSettings()
        self.driver = Driver(
            self.bus, self.arm, self.emulated.calibration, self.settings, self.clock
        )

    def _open(self, baud: int) -> LoopbackWire:
        if not self.plugged:
            raise UserError("no port")
        self.wire = LoopbackWire(self.emulated.bus, self.clock, baud)
        return self.wire

    def start(self) -> Driver:
        """Configured and active."""
        self.driver.configure()
        self.driver.activate()
        return self.driver

    def run(self, seconds: float, command: Sequence[float] | None = None) -> None:
        """Lets the driver cycle, with the command repeated at 10 Hz."""
        for cycle in range(round(seconds / PERIOD)):
            if command is not None and cycle % 10 == 0:
                self.driver.command(command)
            began = self.clock()
            self.driver.cycle()
            self.clock.sleep(max(0.0, PERIOD - (self.clock() - began)))

    def unplug(self) -> None:
        """Pulls the adapter's plug; the servos keep their power."""
        self.plugged = False
        if self.wire is not None:
            self.wire.plugged = False

    def plug_in(self) -> None:
        self.plugged = True

    def torques(self) -> list[bool]:
        """Of the servos."""
        return [bool(servo.get("torque_enable")) for servo in self.emulated.servos]


def command_of(rig: ArmRig, offset: float = 0.2) -> list[float]:
    """A command to go that far, rad, from where every joint is."""
    return (rig.emulated.angles() + offset).tolist()
