"""The driver on a bad wire for a long time: what gets through, and how soon it is well again."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_drivers.arms import Arm, make_bus
from hilserl_drivers.driver import Driver, DriverSettings, State
from hilserl_drivers.emulator.arm import OVERTRAVEL, EmulatedArm
from hilserl_drivers.emulator.faults import FaultRates, Faults
from hilserl_drivers.emulator.wires import LoopbackWire, VirtualClock
from hilserl_drivers.joints import Sample
from hilserl_drivers.plausibility import JUMP

Vector = NDArray[np.float64]

PERIOD = 0.01
WINDOW = 0.1
"""s: a reading is right if the joint was there within that time; an answer may be late."""

RIGHT = JUMP + 0.01
"""rad from there."""

BAD_SECONDS = 3.0
WELL_SECONDS = 0.5
MOVED = 0.3
"""rad, of a command from the one before, at the most."""


@dataclass
class Outcome:
    """Of a soak.

    Attributes:
        packets: answers of the servos, and requests.
        faults: how often each kind happened.
        readings: joints' positions that were believed.
        wrong: those that were not right.
        worst: rad, the largest error among those believed.
        beyond: setpoints outside the limits, or faster than they may be.
        escaped: exceptions out of the driver's cycle.
        misheard: requests that reached a servo as something else, past its checksum.
        recoveries: s, from the last fault until every joint was read again.
        replugs: how often the plug was pulled and put back.
        lost: how often the arm was not found again.
    """

    packets: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    readings: int = 0
    wrong: int = 0
    worst: float = 0.0
    beyond: int = 0
    escaped: list[str] = field(default_factory=list)
    misheard: int = 0
    recoveries: list[float] = field(default_factory=list)
    replugs: int = 0
    lost: int = 0


class Soak:
    """An arm that is driven to and fro, on a clock that only waiting moves.

    Args:
        arm: which.
        rate: of each kind of fault, a share of packets.
        seed: of everything that happens.
    """

    def __init__(self, arm: Arm, rate: float, seed: int = 0) -> None:
        self.outcome = Outcome()
        self._clock = VirtualClock()
        self._rates, self._faults = FaultRates.all(rate), Faults(seed=seed)
        self._random = random.Random(seed)
        self._arm = EmulatedArm(arm, self._clock, seed, faults=self._faults)
        self._wire: LoopbackWire | None = None
        self._plugged = True
        self._bus = make_bus(arm.family, self._open, arm.baud, 0.01, self._clock)
        self._driver = self._new_driver()
        self._target = np.zeros(len(arm.servos))
        self._history: deque[tuple[float, Vector]] = deque()
        self._cycles = 0

    def _new_driver(self) -> Driver:
        calibration, settings = self._arm.calibration, DriverSettings()
        return Driver(self._bus, self._arm.arm, calibration, settings, self._clock)

    def _open(self, baud: int) -> LoopbackWire:
        if not self._plugged:
            raise UserError("the plug is out")
        self._wire = LoopbackWire(self._arm.bus, self._clock, baud)
        return self._wire

    def run(self, packets: int, seconds: float, replugs: int = 0) -> Outcome:
        """Goes on for so many packets and replugs, for ``seconds`` of real time at most."""
        end = time.monotonic() + seconds
        self._driver.configure()
        self._driver.activate()
        result = self.outcome
        while time.monotonic() < end and (result.packets < packets or result.replugs < replugs):
            self._faults.rates = self._rates
            if result.replugs < replugs:
                self._replug()
            self._drive(BAD_SECONDS)
            self._faults.rates = FaultRates()
            self._recover()
            self._drive(WELL_SECONDS)
            result.packets = self._arm.bus.answered + self._bus.counts.sent
            result.faults = dict(self._faults.counts)
            result.misheard = self._arm.bus.misheard
        self._driver.close()
        return result

    def _drive(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD)):
            self._cycle()

    def _cycle(self) -> Sample | None:
        """One cycle, and what it did."""
        setpoint = self._driver.setpoint
        if self._cycles % 10 == 0:
            step = [self._random.uniform(-MOVED, MOVED) for _ in self._target]
            self._target = np.clip(self._target + step, setpoint.low, setpoint.high)
            self._driver.command(self._target)
        self._cycles += 1
        began, before = self._clock(), setpoint.value.copy()
        starts = self._driver.starts
        sample = None
        try:
            sample = self._driver.cycle()
        except Exception as error:
            self.outcome.escaped.append(repr(error))
        self._remember()
        if sample is not None:
            self._judge(sample)
        if self._driver.starts == starts:
            self._check_step(before, setpoint.value)
        self._clock.sleep(max(0.0, PERIOD - (self._clock() - began)))
        self._remember()
        return sample

    def _remember(self) -> None:
        self._arm.bus.catch_up()
        now = self._clock()
        self._history.append((now, self._arm.angles()))
        while now - self._history[0][0] > WINDOW:
            self._history.popleft()

    def _judge(self, sample: Sample) -> None:
        """Compares what was believed with where the joints were."""
        there = np.array([angles for _, angles in self._history])
        low, high = there.min(0), there.max(0)
        error = np.maximum(np.maximum(low - sample.position, sample.position - high), 0.0)
        fresh = sample.age < PERIOD / 2
        self.outcome.readings += int(fresh.sum())
        self.outcome.wrong += int((error[fresh] > RIGHT).sum())
        if fresh.any():
            self.outcome.worst = max(self.outcome.worst, float(error[fresh].max()))

    def _check_step(self, before: Vector, after: Vector) -> None:
        """Whether the setpoint kept to the limits."""
        setpoint = self._driver.setpoint
        # A joint may stand beyond its limit, pushed by hand: from there it may only come in.
        slack = 2 * OVERTRAVEL + 0.02
        inside = (after >= setpoint.low - slack) & (after <= setpoint.high + slack)
        slow = np.abs(after - before) <= setpoint.velocity * 0.05 + 1e-9
        self.outcome.beyond += int((~(inside & slow)).sum())

    def _replug(self) -> None:
        """Pulls the plug for a while."""
        self._plugged = False
        if self._wire is not None:
            self._wire.plugged = False
        self._drive(self._random.uniform(0.02, 0.5))
        self._plugged = True
        self.outcome.replugs += 1

    def _recover(self) -> None:
        """Waits until every joint is read again; repairs what a misheard request has set wrong."""
        began = self._clock()
        while self._clock() - began < 2.0:
            sample = self._cycle()
            active = self._driver.connected and self._driver.state == State.ACTIVE
            if active and sample is not None and sample.age.max() < PERIOD / 2:
                self.outcome.recoveries.append(self._clock() - began)
                return
        self.outcome.lost += 1
        self._arm.repair()
        self._driver.close()
        self._driver = self._new_driver()
        self._driver.configure()
        self._driver.activate()
