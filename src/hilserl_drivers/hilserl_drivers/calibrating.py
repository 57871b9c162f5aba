"""Finding out what joint angle each servo's position is, from an arm moved by hand."""

from __future__ import annotations

from hilserl_core.errors import UserError
from hilserl_drivers import checks
from hilserl_drivers.arms import Arm, ServoSpec
from hilserl_drivers.bus import Bus, half_turn_offset
from hilserl_drivers.calibration import Calibration, JointMap, ServoCalibration
from hilserl_drivers.registers import (
    CENTRE,
    RADIANS_PER_TICK,
    TICKS_PER_TURN,
    radians_to_ticks,
)

ENOUGH = 0.6
"""Of the range of a joint's description: moved less, it has not been at both ends."""

SHORT = 0.6
"""rad, by which the range found may end before the description's; it may go further."""

CLEAR_MOTION = 0.15
"""rad, that a joint is moved to show its direction."""

_POSE_TICKS = 40
"""By which the arm may have moved while its pose was taken."""


class Calibrator:
    """Calibrates one arm, step by step.

    Args:
        bus: open.
        arm: which arm it is.
    """

    def __init__(self, bus: Bus, arm: Arm) -> None:
        self.ranges: dict[int, tuple[int, int]] = {}
        """Lowest and highest position of each servo so far, ticks; beyond a turn if need be."""
        self.signs = dict.fromkeys(arm.ids, 1)
        self._bus, self._arm = bus, arm
        self._offsets: dict[int, int] = {}
        self._now: dict[int, int] = {}

    def prepare(self) -> None:
        """Finds the servos and makes them limp.

        Raises:
            UserError: the arm is not there, or not whole.
            BusError: the bus stopped working.
        """
        checks.find_servos(self._bus, self._arm)
        self._bus.set_torque(self._arm.ids, False)
        for spec in self._arm.servos:
            self._bus.set_plain(spec.id)
            # In another mode a Dynamixel does not heed its homing offset.
            self._bus.set_mode(spec.id, spec.mode)

    def positions(self) -> dict[int, int]:
        """Where the servos are, ticks within a turn.

        Raises:
            BusError: one does not answer.
        """
        readings = self._bus.read_all(self._arm.ids)
        return {
            servo: radians_to_ticks(reading.position) % TICKS_PER_TURN
            for servo, reading in readings.items()
        }

    def take_pose(self) -> None:
        """Makes the pose in which the arm is held the middle of every encoder, for now.

        Raises:
            UserError: the arm moved meanwhile.
            BusError: a servo does not answer, or does not keep its offset.
        """
        before = self.positions()
        for spec in self._arm.servos:
            old = self._bus.read(spec.id, "homing_offset")
            offset = half_turn_offset(spec.table, before[spec.id], old, CENTRE)
            self._bus.write_calibration(spec.id, offset, 0, TICKS_PER_TURN - 1)
            self._offsets[spec.id] = offset
        after = self.positions()
        moved = [spec for spec in self._arm.servos if abs(after[spec.id] - CENTRE) > _POSE_TICKS]
        if moved:
            raise UserError(f"{moved[0].joint} moved while the pose was taken: hold it still")
        self._now = after
        self.ranges = {servo: (ticks, ticks) for servo, ticks in after.items()}

    def observe(self) -> dict[int, int]:
        """Looks where the arm is moved; returns where it is, ticks."""
        for servo, ticks in self.positions().items():
            # A hand is slow: the shorter way round is the one that the joint went.
            last = self._now[servo]
            self._now[servo] = last + (ticks - last + CENTRE) % TICKS_PER_TURN - CENTRE
            low, high = self.ranges[servo]
            self.ranges[servo] = (min(low, self._now[servo]), max(high, self._now[servo]))
        return dict(self._now)

    def range_problem(self) -> str:
        """Which joint was not moved through its range; empty where all were."""
        for spec in self._arm.servos:
            low, high = self.ranges[spec.id]
            found, whole = (high - low) * RADIANS_PER_TICK, spec.high - spec.low
            if found < ENOUGH * whole:
                return (
                    f"{spec.joint} was moved by {found:.2f} rad, about {whole:.2f} are expected: "
                    "move it to both ends"
                )
            if high - low >= TICKS_PER_TURN:
                return f"{spec.joint} was turned right round, which no joint does: begin again"
        return ""

    def take_direction(self, spec: ServoSpec, before: int, after: int) -> None:
        """Learns a joint's direction from a motion towards larger angles, ticks.

        Raises:
            UserError: it hardly moved.
        """
        moved = (after - before) * RADIANS_PER_TICK
        if abs(moved) < CLEAR_MOTION:
            raise UserError(f"{spec.joint} moved by {moved:.2f} rad only: move it further")
        self.signs[spec.id] = 1 if moved > 0 else -1

    def result(self) -> Calibration:
        """The calibration found.

        Raises:
            UserError: a joint's range does not fit its description.
        """
        entries = {spec.id: self._entry(spec) for spec in self._arm.servos}
        for spec in self._arm.servos:
            low, high = JointMap(spec, entries[spec.id]).reach
            if low > spec.low + SHORT or high < spec.high - SHORT:
                raise UserError(
                    f"{spec.joint} would reach from {low:.2f} to {high:.2f} rad, and not from "
                    f"{spec.low:.2f} to {spec.high:.2f}: the pose or the direction was not as "
                    "asked for; begin again"
                )
        return Calibration(self._arm.name, entries)

    def _entry(self, spec: ServoSpec) -> ServoCalibration:
        low, high = self.ranges[spec.id]
        sign = self.signs[spec.id]
        middle = round((low + high) / 2)
        zero = CENTRE
        if not self._arm.zero_in_pose:
            zero = middle - sign * round((spec.low + spec.high) / 2 / RADIANS_PER_TICK)
        # The middle of the range is as far from the ends of the encoder as can be.
        shift = CENTRE - middle
        return ServoCalibration(
            joint=spec.joint,
            model=spec.model,
            homing_offset=half_turn_offset(spec.table, middle, self._offsets[spec.id], CENTRE),
            range_min=low + shift,
            range_max=high + shift,
            zero=zero + shift,
            sign=sign,
        )

    def keep(self, calibration: Calibration) -> None:
        """Has the servos keep it.

        Raises:
            BusError: one does not.
        """
        for servo, entry in calibration.servos.items():
            self._bus.write_calibration(servo, *entry.registers)
