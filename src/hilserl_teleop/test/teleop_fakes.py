"""A small robot for the tests of arbitration: joints that move as the action says."""

from __future__ import annotations

import numpy as np

from hilserl_core.spec import ActionSpec
from hilserl_teleop.arbitration import SECOND, Arbitration, Device
from hilserl_teleop.mux import Mux

SPEC = ActionSpec("joint_delta", ("a", "b", "gripper"), (0.1, 0.1, 1.0))
JOINTS = ("a", "b", "gripper")
LIMIT = 0.1
PERIOD = SECOND // 10
TOLERANCE = 0.3


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000 * SECOND

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


class FakeMapping:
    """Each joint moves by LIMIT times its action."""

    def __init__(self) -> None:
        self.last = np.zeros(3)

    def reset(self, command) -> None:
        self.last = np.array(command, float)

    def command(self, values):
        self.last = self.last + LIMIT * np.clip(np.asarray(values, float), -1, 1)
        return self.last.copy()


def make_arbitration(clock, *devices: Device) -> Arbitration:
    return Arbitration(SPEC, devices, period=PERIOD, tolerance=TOLERANCE, clock=clock)


def make_mux(clock, *devices: Device, lockstep: bool = False) -> Mux:
    return Mux(
        SPEC,
        FakeMapping(),
        devices,
        joints=JOINTS,
        lockstep=lockstep,
        period=0.1,
        tolerance=TOLERANCE,
        clock=clock,
    )
