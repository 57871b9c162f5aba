"""The arm's joints on the bus: checked, set up, read with judgement, and sent somewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_drivers import checks
from hilserl_drivers.arms import Arm, ServoSpec
from hilserl_drivers.bus import Bus, Reading
from hilserl_drivers.calibration import Calibration, JointMap
from hilserl_drivers.plausibility import Plausibility
from hilserl_drivers.transactions import BusError, Refused, Unplugged

Vector = NDArray[np.float64]

LOST_AFTER = 0.1
"""s without a servo's answer, after which it counts as gone."""

UNWELL_CYCLES = 10
"""Readings in a row of heat or low voltage before it counts: a single one may be damaged."""

PROFILE_MARGIN = 1.5
"""The servo's own velocity limit, in shares of the setpoint's: the last line."""

ASSIST_AHEAD = 0.3
"""rad, by which the goal of a limp joint that helps is ahead of it: far enough for its servo to
take all the current that it may, and no further than it may run when nobody tells it more."""

REBOOT_SECONDS = 2.0


@dataclass(frozen=True)
class Sample:
    """What was measured in one cycle; arrays are (joints,), in the arm's order.

    Attributes:
        position: rad.
        velocity: rad/s.
        current: A; nan where a servo measures none.
        load: share of the greatest torque; nan where a servo reports none.
        voltage: V.
        temperature: degrees Celsius.
        error: the servos' error bits.
        age: s since each was read; 0 in this cycle.
    """

    position: Vector
    velocity: Vector
    current: Vector
    load: Vector
    voltage: Vector
    temperature: Vector
    error: NDArray[np.uint8]
    age: Vector


class Joints:
    """The joints of an arm.

    Args:
        bus: of the arm.
        arm: which arm it is.
        calibration: of that arm.
        clock: s.
    """

    def __init__(
        self, bus: Bus, arm: Arm, calibration: Calibration, clock: Callable[[], float]
    ) -> None:
        self.arm = arm
        self.maps = {spec.id: JointMap(spec, calibration.servos[spec.id]) for spec in arm.servos}
        self.judges = {spec.id: Plausibility(spec.table) for spec in arm.servos}
        self._bus, self._calibration, self._clock = bus, calibration, clock
        self._signs = np.array([calibration.servos[servo].sign for servo in arm.ids], float)
        self._readings: dict[int, Reading] = {}
        self._seen: dict[int, float] = {}
        self._unwell = dict.fromkeys(arm.ids, 0)
        self._errors = dict.fromkeys(arm.ids, 0)
        self._audited = 0
        self._weakened: set[int] = set()  # Those that were given little current to lead with.

    # -- whether it is the right arm, and well

    def find(self) -> None:
        """Looks for every servo, and checks all that can be wrong with them.

        Raises:
            UserError: something is.
            BusError: the bus does not work.
        """
        checks.find_servos(self._bus, self.arm)
        checks.check_health(self.arm, self._read_all())
        self.clear_errors()
        self.restore()

    def restore(self) -> None:
        """Sets the servos up, as they may have been without power; checks that it is this arm.

        Raises:
            UserError: it is another one.
            BusError: a servo does not answer.
        """
        try:
            self._restore()
        except UserError:
            self._restore()  # A damaged answer may have said so; another arm says it again.

    def _restore(self) -> None:
        with self._bus.recall(self.arm.ids):
            checks.check_calibration(self._bus, self.arm, self._calibration)
            for spec in self.arm.servos:
                self._prepare(spec)
        # Only now: in another mode a Dynamixel does not heed its homing offset.
        self.locate()

    def clear_errors(self) -> None:
        """Clears hardware errors whose cause is gone.

        Raises:
            UserError: one stays.
            BusError: a servo does not answer.
        """
        for spec in self.arm.servos:
            bits = self._bus.read(spec.id, "hardware_error")
            if bits and self._bus.can_reboot:
                self._reboot(spec)
                bits = self._bus.read(spec.id, "hardware_error")
            elif bits:
                # Switching the torque anew clears what was a passing overload.
                self._bus.set_torque([spec.id], False)
                bits = self._bus.read(spec.id, "hardware_error")
            self._errors[spec.id] = bits
            if bits:
                raise UserError(checks.error_problem(spec, bits))

    def _reboot(self, spec: ServoSpec) -> None:
        self._bus.reboot(spec.id)
        deadline = self._clock() + REBOOT_SECONDS
        while self._clock() < deadline:
            if self._bus.ping(spec.id) is not None:
                return
        raise BusError(f"{checks.name(spec)} does not come back after a restart")

    def _prepare(self, spec: ServoSpec) -> None:
        """Sets a servo up; takes its torque off only where a setting needs that."""
        try:
            self._set(spec)
        except Refused:
            self._bus.set_torque([spec.id], False)
            self._set(spec)

    def _set(self, spec: ServoSpec) -> None:
        bus = self._bus
        bus.set_watchdog(spec.id, 0.0)
        bus.set_plain(spec.id)
        bus.write_lasting(spec.id, "return_delay", 0)
        bus.set_mode(spec.id, spec.mode)
        if spec.gains is not None:
            bus.set_gains(spec.id, *spec.gains)
        bus.set_profile(spec.id, PROFILE_MARGIN * spec.velocity_limit, 0.0)
        bus.set_effort_limit(spec.id, spec.effort)

    # -- where it is

    def _read_all(self) -> dict[int, Reading]:
        """One possible reading of every servo.

        Raises:
            BusError: one does not answer.
        """
        return self._bus.read_all(
            self.arm.ids, lambda servo, reading: self.judges[servo].possible(reading)
        )

    def locate(self) -> Vector:
        """Finds out anew where the joints are, (joints,) rad, whatever was believed before.

        Raises:
            UserError: one stands where it cannot, by its calibration.
            BusError: a servo does not answer.
        """
        first, before = self._read_all(), self._clock()
        second, now = self._read_all(), self._clock()
        for spec in self.arm.servos:
            judge = self.judges[spec.id]
            judge.reset()
            judge.accept(first[spec.id], before)
            if not judge.accept(second[spec.id], now):
                raise BusError(f"{checks.name(spec)} reads two positions at once")
            self._readings[spec.id] = second[spec.id]
            self._seen[spec.id] = now
            self.maps[spec.id].find_turn(second[spec.id].position)
        positions = {servo: reading.position for servo, reading in second.items()}
        checks.check_reach(self.arm, self.maps, positions)
        return self.positions()

    def positions(self) -> Vector:
        """(joints,) rad, as last believed."""
        maps, readings = self.maps, self._readings
        return np.array([maps[servo].angle(readings[servo].position) for servo in self.arm.ids])

    def velocities(self) -> Vector:
        """(joints,) rad/s, as last believed."""
        readings = [self._readings[servo].velocity for servo in self.arm.ids]
        result: Vector = self._signs * np.array(readings)
        return result

    def read(self) -> str:
        """Reads all servos once; returns what makes going on unsafe, empty where nothing does.

        Raises:
            BusError: a servo is gone.
        """
        readings = self._bus.read_states(self.arm.ids)
        now = self._clock()
        problem = ""
        for spec in self.arm.servos:
            reading = readings.get(spec.id)
            if reading is not None and self.judges[spec.id].accept(reading, now):
                self._readings[spec.id] = reading
                self._seen[spec.id] = now
                problem = problem or self._problem(spec, reading)
        lost = [spec for spec in self.arm.servos if now - self._seen[spec.id] > LOST_AFTER]
        if lost:
            # Next to a servo that keeps silent even good answers are not believed.
            silent = [spec for spec in lost if spec.id not in readings]
            raise BusError(f"{checks.name((silent or lost)[0])} does not answer")
        return problem

    def _problem(self, spec: ServoSpec, reading: Reading) -> str:
        if reading.alert:
            try:
                # One bit in one packet: have the servo's own word for it.
                self._errors[spec.id] = self._bus.read(spec.id, "hardware_error")
            except Unplugged:
                raise
            except BusError:
                pass  # It says so again in the next cycle.
        if self._errors[spec.id]:
            return checks.error_problem(spec, self._errors[spec.id])
        problem = checks.health_problem(spec, reading, spec.table.temperature_limit)
        self._unwell[spec.id] = self._unwell[spec.id] + 1 if problem else 0
        return problem if self._unwell[spec.id] >= UNWELL_CYCLES else ""

    def sample(self) -> Sample:
        """What was last believed of every joint."""
        readings = [self._readings[servo] for servo in self.arm.ids]
        now = self._clock()

        def column(name: str) -> Vector:
            return np.array([getattr(reading, name) for reading in readings])

        return Sample(
            position=self.positions(),
            velocity=self.velocities(),
            current=self._signs * column("current"),
            load=self._signs * column("load"),
            voltage=column("voltage"),
            temperature=column("temperature"),
            error=np.array([self._errors[servo] for servo in self.arm.ids], np.uint8),
            age=now - np.array([self._seen[servo] for servo in self.arm.ids]),
        )

    # -- where it goes

    def send(self, goal: Sequence[float] | Vector) -> None:
        """Sends every servo to its joint's angle, (joints,) rad."""
        goals = zip(self.arm.ids, goal, strict=True)
        self._bus.write_positions(
            {servo: self.maps[servo].position(float(angle)) for servo, angle in goals}
        )

    def follow(self, watchdog: float) -> None:
        """Torque on, where the joints stand.

        Args:
            watchdog: s of silence, after which the servos stop by themselves.
        """
        self._stay()
        for spec in self.arm.servos:
            if spec.id in self._weakened:
                self._bus.set_effort_limit(spec.id, spec.effort)
        self._weakened.clear()
        self._bus.set_torque(self.arm.ids, True)
        for servo in self.arm.ids:
            self._bus.set_watchdog(servo, watchdog)

    def let_go(self, helping: Sequence[bool], watchdog: float) -> None:
        """Torque off, but for servos that help the hand along; those get no current yet.

        Args:
            helping: (joints,) whether a joint's servo does.
            watchdog: s, as in ``follow``.
        """
        helped = [servo for servo, helps in zip(self.arm.ids, helping, strict=True) if helps]
        self._bus.set_torque([servo for servo in self.arm.ids if servo not in helped], False)
        self._stay(helped)
        self._weakened.update(helped)
        for servo in helped:
            self._bus.set_effort_limit(servo, 0.0)
        self._bus.set_torque(helped, True)
        for servo in helped:
            self._bus.set_watchdog(servo, watchdog)

    def assist(self, currents: Vector, helping: Sequence[bool]) -> None:
        """Pushes limp joints with currents (joints,) A, positive towards larger angles.

        Their goals are ahead, and there is only that current to get there. That needs no
        change of mode, which would wear the EEPROM at each takeover.
        """
        limits, goals = {}, {}
        amperes = self._signs * currents
        for servo, current, helps in zip(self.arm.ids, amperes, helping, strict=True):
            if helps:
                limits[servo] = abs(float(current))
                ahead = float(np.sign(current)) * ASSIST_AHEAD
                goals[servo] = self._readings[servo].position + ahead
        # Where the direction changes the current is about none, whichever comes first.
        self._bus.write_currents(limits)
        self._bus.write_positions(goals)

    def _stay(self, servos: Sequence[int] | None = None) -> None:
        """Sets goals to where the servos stand: one may keep an old goal from long ago."""
        readings: Mapping[int, Reading] = self._readings
        chosen = self.arm.ids if servos is None else servos
        for _ in range(2):  # Nobody answers a sync write, and one may be lost.
            self._bus.write_positions({servo: readings[servo].position for servo in chosen})

    def next_is_on(self) -> bool:
        """Whether the next servo in turn has its torque on, as far as it answers.

        A servo that was without power for a moment answers again, and holds nothing.
        """
        self._audited = (self._audited + 1) % len(self.arm.ids)
        try:
            return bool(self._bus.read(self.arm.ids[self._audited], "torque_enable"))
        except Unplugged:
            raise
        except BusError:
            return True  # Whether it is gone is seen by its readings.

    def torque_off(self) -> None:
        """Cuts the torque.

        Raises:
            BusError: a servo did not confirm it.
        """
        self._bus.set_torque(self.arm.ids, False)
