"""The driver of an arm: each cycle reads every servo, judges, and sends the next setpoint.

It knows neither ROS nor threads: one thread owns it. Others hand it commands and stops,
which take effect in the next cycle.
"""

from __future__ import annotations

import enum
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_drivers.arms import Arm
from hilserl_drivers.assistance import Assistance, AssistanceSettings
from hilserl_drivers.bus import Bus
from hilserl_drivers.calibration import Calibration
from hilserl_drivers.homing import Homing
from hilserl_drivers.joints import Joints, Sample
from hilserl_drivers.setpoint import CommandError, Setpoint
from hilserl_drivers.transactions import BusError

Vector = NDArray[np.float64]

RETRY_PERIOD = 0.05
"""s between attempts to find an arm that is gone."""


AUDIT_PERIOD = 0.1
"""s between looks at whether a servo has its torque on."""


class State(enum.Enum):
    """Of the driver."""

    CLOSED = "closed"
    READY = "ready, without torque"
    ACTIVE = "active"
    STOPPED = "stopped"


class Role(enum.Enum):
    """What an active arm does."""

    FOLLOW = "follow"
    """It goes where it is commanded."""
    LEAD = "lead"
    """It is limp, for a person to move."""


@dataclass(frozen=True)
class DriverSettings(AssistanceSettings):
    """How the driver moves the arm."""

    command_period: float = parameter(
        0.1, "s over which a command is interpolated; 0: as fast as allowed", low=0.0, high=1.0
    )
    hold_after: float = parameter(0.5, "s without a command until the arm holds", low=0.05, high=5)
    rejoin_velocity: float = parameter(
        0.5, "rad/s at which it catches up with a command far away", low=0.05, high=4.0
    )
    home_velocity: float = parameter(0.8, "rad/s on the way home", low=0.05, high=4.0)
    bus_watchdog: float = parameter(
        0.3, "s of silence on the bus until the servos stop by themselves; 0: off", low=0, high=2.5
    )


class Driver:
    """An arm on a bus.

    Args:
        bus: closed.
        arm: which arm it is.
        calibration: of that arm.
        settings: how it moves.
        clock: s, as ``time.monotonic``.
    """

    def __init__(
        self,
        bus: Bus,
        arm: Arm,
        calibration: Calibration,
        settings: DriverSettings,
        clock: Callable[[], float],
    ) -> None:
        self.arm, self.bus = arm, bus
        self.joints = Joints(bus, arm, calibration, clock)
        self.state = State.CLOSED
        self.role = Role.FOLLOW
        self.problem = ""
        """What keeps the arm from working, for a person; empty while nothing does."""
        self.connected = False
        self.refused_commands = 0
        self.reconnections = 0
        self.starts = 0
        """How often the setpoint was set anew to where the arm stands."""
        maps = self.joints.maps.values()
        self.setpoint = Setpoint(
            [joint.low for joint in maps],
            [joint.high for joint in maps],
            [spec.velocity_limit for spec in arm.servos],
            settings.command_period,
            settings.hold_after,
            settings.rejoin_velocity,
        )
        self.assistance = Assistance(arm, settings)
        self._settings, self._clock = settings, clock
        self._homing: Homing | None = None
        self._holding = False
        self._torque_to_cut = False
        self._cycled_at = self._retry_at = self._audit_at = -math.inf
        self._lock = threading.Lock()
        self._command: Vector | None = None
        self._stop_reason = ""

    # -- from any thread

    def command(self, target: ArrayLike) -> None:
        """Hands over a command (joints,) rad; the newest before a cycle counts."""
        with self._lock:
            self._command = np.array(target, float)

    def request_stop(self, reason: str) -> None:
        """Has the next cycle cut the torque."""
        with self._lock:
            self._stop_reason = reason

    # -- the life of the arm

    def configure(self) -> None:
        """Opens the bus and checks that all is well; switches no torque on.

        Raises:
            UserError: something is not; the message says what and how to go on.
        """
        try:
            self.bus.open()
            self.joints.find()
        except BusError as error:
            self.bus.close()
            raise _broken(error) from None
        except UserError:
            self.bus.close()
            raise
        self.state, self.connected, self.problem = State.READY, True, ""
        self._cycled_at = self._clock()

    def activate(self) -> None:
        """Switches the torque on where the arm stands; ends a stop, if its cause is gone.

        Raises:
            UserError: the arm is not well, or not there; the torque is off.
        """
        if not self.connected:
            raise UserError(self.problem or "the arm is not connected: configure the driver first")
        try:
            if self.state == State.STOPPED:
                self.joints.clear_errors()
                self.joints.restore()
            self._start()
        except (UserError, BusError) as error:
            reason = error if isinstance(error, UserError) else _broken(error)
            if self.state == State.READY:
                self._cut()
            else:
                self.stop(str(reason))
            raise reason from None
        self.state, self.problem = State.ACTIVE, ""
        self._holding = self._torque_to_cut = False

    def hold(self) -> None:
        """Stays where it is, whatever is commanded, until ``activate``."""
        self._end_homing("the driver was deactivated")
        self._holding = True
        self.setpoint.start(self.setpoint.value)

    def deactivate(self) -> None:
        """Switches the torque off; the arm sinks."""
        if self.state == State.CLOSED:
            return
        if self.state == State.ACTIVE:
            self.state = State.READY
        self._end_homing("the driver was deactivated")
        self._cut()

    def stop(self, reason: str) -> None:
        """Cuts the torque until ``activate``."""
        self.state, self.problem = State.STOPPED, reason
        self._end_homing(reason)
        self._cut()

    def set_role(self, role: Role) -> None:
        """Lets go of the arm for a person to move, or has it follow again from where it is.

        A role that it has already changes nothing: who lost sight of the arm asks again, and
        the arm must not give way to a hand on it, or fall behind, because of the question.

        Raises:
            UserError: as ``activate``.
        """
        if role == self.role:
            return
        self.role = role
        if self.state == State.ACTIVE:
            self.activate()

    def home(self) -> Homing:
        """Begins to move home; commands are ignored until it is there.

        Raises:
            UserError: the arm has no home, or cannot move.
        """
        if not self.arm.home:
            raise UserError(f"a {self.arm.name} has no home: it follows another arm")
        if self.state != State.ACTIVE or self.role != Role.FOLLOW:
            raise UserError(f"the arm cannot go home: {self.problem or 'its torque is off'}")
        self._end_homing("another reset was asked for")
        target = np.clip(self.arm.home, self.setpoint.low, self.setpoint.high)
        self._homing = Homing(self.arm.joints, target, self._clock())
        return self._homing

    def _end_homing(self, why: str) -> None:
        if self._homing is not None:
            self._homing.fail(why)
            self._homing = None

    def close(self) -> None:
        """Cuts the torque and closes the port."""
        if self.state != State.CLOSED and self.bus.is_open:
            self._cut()
        self.bus.close()
        self.state, self.connected = State.CLOSED, False

    # -- the cycle

    def cycle(self) -> Sample | None:
        """Reads, judges, and sends the next setpoint; None where nothing was measured.

        No failure of the bus escapes it.
        """
        now = self._clock()
        seconds, self._cycled_at = now - self._cycled_at, now
        command, reason = self._take()
        if self.state == State.CLOSED:
            return None
        if reason:
            self.stop(reason)
        if command is not None:
            self._accept(command, now)
        if self._homing is not None and self._homing.overdue(now):
            self._end_homing(self.problem or "the way home took too long")
        try:
            if not self.connected:
                self._reconnect(now)
                return None
            if self._torque_to_cut:
                self._cut()
            if self._overslept(seconds) or self._has_let_go(now):
                self.joints.restore()
                self._start()
                seconds = 0.0  # The setpoint has just been set to where the arm stands.
            problem = self.joints.read()
            if problem and self.state != State.STOPPED:
                self.stop(problem)
            sample = self.joints.sample()
            if self.state == State.ACTIVE:
                self._drive(now, seconds)
            return sample
        except BusError as error:
            self._lose(str(error))
        except UserError as error:
            self.stop(str(error))
        return None

    def _take(self) -> tuple[Vector | None, str]:
        """The mailboxes' content."""
        with self._lock:
            command, self._command = self._command, None
            reason, self._stop_reason = self._stop_reason, ""
        return command, reason

    def _accept(self, command: Vector, now: float) -> None:
        try:
            if self._homing is None and not self._holding:
                self.setpoint.command(command, now)
        except CommandError:
            self.refused_commands += 1

    def _overslept(self, seconds: float) -> bool:
        """Whether the servos' watchdog may have stopped them meanwhile."""
        limit = self._settings.bus_watchdog
        return self.state == State.ACTIVE and 0 < limit < 1.2 * seconds

    def _has_let_go(self, now: float) -> bool:
        """Whether a servo lost its torque behind the driver's back; one is asked at a time."""
        if self.state != State.ACTIVE or self.role != Role.FOLLOW or now < self._audit_at:
            return False
        self._audit_at = now + AUDIT_PERIOD
        return not self.joints.next_is_on()

    def _drive(self, now: float, seconds: float) -> None:
        """Sends the next goals."""
        if self.role == Role.LEAD:
            self._assist()
            return
        if self._homing is not None:
            self.setpoint.command(self._homing.target, now, self._settings.home_velocity)
        self.joints.send(self.setpoint.advance(now, seconds))
        if self._homing is not None:
            self._homing.update(self.setpoint.arrived, self.joints.positions(), now)
            if self._homing.done:
                self._homing = None

    def _assist(self) -> None:
        """Has the servos of a limp arm help the hand, by what was just measured."""
        if self.assistance.active:
            joints, helps = self.joints, self.assistance.helps
            joints.assist(self.assistance.currents(joints.positions(), joints.velocities()), helps)

    # -- losing the arm, and finding it again

    def _lose(self, why: str) -> None:
        """The arm is gone: it is looked for until it is back."""
        self.connected = False
        self._retry_at = self._clock()
        if self.state != State.STOPPED:
            self.problem = f"lost the arm ({why}): check plugs and power; it goes on by itself"

    def _reconnect(self, now: float) -> None:
        """Looks whether the arm is back, and goes on from where it now stands.

        Raises:
            BusError: it is not back.
            UserError: another arm is there.
        """
        if now < self._retry_at:
            return
        self._retry_at = now + RETRY_PERIOD
        try:
            self.bus.open()
        except UserError:
            return  # The port is not back.
        try:
            self.joints.restore()
            if self.state == State.ACTIVE:
                self._start()
        except BusError:
            return
        self.connected = True
        self.reconnections += 1
        if self.state == State.STOPPED:
            self._cut()
        else:
            self.problem = ""

    # -- torque

    def _start(self) -> None:
        """Torque as the role has it, from where the arm stands."""
        self.setpoint.start(self.joints.locate())
        self.starts += 1
        if self.role == Role.LEAD:
            helps = self.assistance.helps if self.assistance.active else [False] * len(self.arm.ids)
            self.joints.let_go(helps, self._settings.bus_watchdog)
        else:
            self.joints.follow(self._settings.bus_watchdog)
        self._cycled_at = self._clock()

    def _cut(self) -> None:
        """Takes the torque off, at once or as soon as the bus works again."""
        try:
            self.joints.torque_off()
            self._torque_to_cut = False
        except BusError:
            self._torque_to_cut = True


def _broken(error: BusError) -> UserError:
    return UserError(f"the bus does not work ({error}): check plugs, cables and power")
