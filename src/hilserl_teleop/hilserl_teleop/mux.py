"""When a tick runs, and what it sends to the robot; free of ROS, with an injected clock.

In lockstep a tick runs when the policy's action and those of the lockstep devices are in,
and an event stamped s acts from the first tick with a stamp > s: the order of arrival
cannot matter. In real time the policy's action is answered at once; while the policy is
silent the mux ticks by itself, so that a person can drive with every other node dead.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.spec import ActionSpec
from hilserl_core.step import Event, Source
from hilserl_description.action_mapping import CommandMapping
from hilserl_teleop.arbitration import SECOND, Arbitration, Decision, Device, State

# A self-made tick this shortly before a policy's action, in periods, counts as its answer.
SAME_TICK = 0.5


@dataclass(frozen=True)
class Output:
    """What leaves the mux.

    Attributes:
        decision: what was executed.
        command: (joints,) rad, or None while the arm's pose is unknown.
        stamp: ns, of the tick that this answers; None for a motion between two ticks, which
            the next tick will answer with, and for a tick that the mux made itself.
        policy_version: of the action that the tick brought.
    """

    decision: Decision
    command: NDArray[np.float64] | None
    stamp: int | None = None
    policy_version: int = 0


@dataclass(frozen=True)
class _Proposal:
    stamp: int
    values: ArrayLike
    version: int


class Mux:
    """Pairs what arrives into ticks and turns decisions into commands.

    Attributes:
        waits_for: devices whose action each lockstep tick waits for.

    Args:
        spec: the run's action space.
        mapping: turns actions into joint commands.
        devices: those that may take over.
        joints: the robot's joints, in the order of a command.
        lockstep: whether the simulator waits for each command.
        period: s between two ticks.
        tolerance: rad by which leader and follower may differ at takeover.
        clock: ns, steady; wall-clock time also in lockstep.
    """

    def __init__(
        self,
        spec: ActionSpec,
        mapping: CommandMapping,
        devices: Sequence[Device],
        *,
        joints: Sequence[str],
        lockstep: bool,
        period: float,
        tolerance: float,
        clock: Callable[[], int],
    ) -> None:
        self._lockstep = lockstep
        self._clock = clock
        self._period = round(period * SECOND)
        self._mapping = mapping
        self._joints = tuple(joints)
        self._tick_time = 0
        # In lockstep time is counted in ticks, so that countdowns repeat from run to run.
        self.arbitration = Arbitration(
            spec,
            devices,
            period=self._period,
            tolerance=tolerance,
            clock=(lambda: self._tick_time) if lockstep else clock,
        )
        self.waits_for = [d.name for d in devices if d.lockstep] if lockstep else []
        self._events: list[tuple[int, int, str, Event]] = []
        self._sequence = itertools.count()
        self._proposal: _Proposal | None = None
        self._device_actions: dict[str, tuple[int, ArrayLike]] = {}
        self._newest = -1
        self._resetting = False
        self._follower: Mapping[str, float] = {}
        self._command: NDArray[np.float64] | None = None
        self._ticked_at = clock()
        self._executed: tuple[Decision, int] | None = None
        self._unanswered = False
        self._silent = False

    # -- what arrives

    def policy_action(self, stamp: int, values: ArrayLike, version: int = 0) -> Output | None:
        """The policy's action for the observation of ``stamp`` (ns)."""
        if stamp <= self._newest or self._resetting:
            self.arbitration.counts["stale from policy"] += 1
            return None
        self._proposal = _Proposal(stamp, values, version)
        return self._tick()

    def device_action(self, name: str, stamp: int, values: ArrayLike) -> Output | None:
        """A device's action for the observation of ``stamp`` (ns)."""
        if name in self.waits_for:
            self._device_actions[name] = (stamp, values)
            return self._tick()
        first = self.arbitration.drive(name, values)
        if not first or self._lockstep or self._resetting or self._unanswered:
            return None
        output = self._execute(self.arbitration.decide(None))
        self._unanswered = output.decision.source == Source.HUMAN
        return output

    def event(self, name: str, event: Event, stamp: int = 0) -> None:
        """What the operator at a device decided, having seen the frame of ``stamp`` (ns)."""
        # A stop acts at once: a person's safety comes before a run that can be repeated.
        if name in self.waits_for and event != Event.STOP:
            heapq.heappush(self._events, (stamp, next(self._sequence), name, event))
        else:
            self._apply(name, event)

    def follower(self, joints: Mapping[str, float]) -> None:
        """The arm's joint positions, rad by name."""
        self._follower = joints
        self.arbitration.follower(joints)

    def _apply(self, name: str, event: Event) -> None:
        if event == Event.TAKEOVER:
            self.arbitration.takeover(name)
        elif event == Event.RELEASE:
            self.arbitration.release(name)
        elif event == Event.STOP:
            self.arbitration.stop(name)

    # -- resets

    def begin_reset(self) -> None:
        """The robot is about to be brought elsewhere: nothing is commanded until it is there."""
        self._resetting = True
        self._proposal = None

    def end_reset(self, stamp: int, command: ArrayLike) -> None:
        """The robot stands at ``command`` (rad) from the frame of ``stamp`` (ns) on."""
        # The clock goes back where the robot was started anew: what was seen before is void.
        self._events = [event for event in self._events if event[0] <= stamp]
        heapq.heapify(self._events)
        self._newest = stamp - 1
        self._tick_time = stamp
        self._command = np.array(command, np.float64)
        self._mapping.reset(self._command)
        self._executed, self._unanswered, self._silent = None, False, False
        self.follower(dict(zip(self._joints, self._command.tolist(), strict=True)))
        if self._lockstep:
            # Whether the leader's pose of before or after arrives first must not matter.
            self.arbitration.forget_poses()
        self.arbitration.reset()
        self.abort_reset()

    def abort_reset(self) -> None:
        """The reset failed: go on from where the arm was."""
        self._resetting = False
        self._ticked_at = self._clock()

    # -- ticks

    def poll(self) -> Output | None:
        """Runs what only time makes due; to be called several times a period."""
        if self._lockstep:
            return self._tick()
        now = self._clock()
        wait = self._period if self._silent else 2 * self._period
        if self._resetting or now - self._ticked_at < wait:
            return None
        self._silent = True
        # Adding keeps the rate however late a poll comes; a longer gap is not made up for.
        self._ticked_at = max(self._ticked_at + wait, now - self._period // 2)
        if self._unanswered:
            self._unanswered = False
            return None
        return self._execute(self.arbitration.decide(None))

    def _tick(self) -> Output | None:
        """Answers the policy's action if everything that its tick waits for is in."""
        proposal = self._proposal
        if proposal is None or self._resetting:
            return None
        if self._lockstep and not self._lockstep_ready(proposal.stamp):
            return None
        answered = self._already_answered()
        self._proposal = None
        self._newest = proposal.stamp
        self._unanswered, self._silent = False, False
        self._ticked_at = self._clock()
        self.arbitration.counts["ticks"] += 1
        if answered is not None:
            return Output(answered, self._command, proposal.stamp, proposal.version)
        output = self._execute(self.arbitration.decide(proposal.values))
        return Output(output.decision, output.command, proposal.stamp, proposal.version)

    def _already_answered(self) -> Decision | None:
        """The human action of this tick, where it was executed before the tick came."""
        if self._executed is None or self._lockstep:
            return None
        decision, at = self._executed
        fresh = self._clock() - at < SAME_TICK * self._period
        if self._unanswered or (self._silent and decision.source == Source.HUMAN and fresh):
            return decision
        return None

    def _lockstep_ready(self, stamp: int) -> bool:
        """Whether the tick can run; if so events and device actions have been taken in."""
        actions = [self._device_actions.get(name) for name in self.waits_for]
        if any(action is None or action[0] != stamp for action in actions):
            return False
        driver = self.arbitration.driver
        by_hand = driver is not None and not driver.lockstep
        paced = by_hand or self.arbitration.state == State.STOPPED
        if paced and self._clock() - self._ticked_at < self._period:
            return False
        self._tick_time = stamp
        while self._events and self._events[0][0] < stamp:
            _, _, name, event = heapq.heappop(self._events)
            self._apply(name, event)
        for name in self.waits_for:
            self.arbitration.drive(name, self._device_actions.pop(name)[1])
        return True

    def _execute(self, decision: Decision) -> Output:
        """Turns a decision into the next command."""
        if self._command is None:
            self._start_from_follower()
        if self._command is None:
            return Output(self.arbitration.hold("waits for the arm's joint states"), None)
        if not decision.holding:
            command = np.asarray(self._mapping.command(decision.values), np.float64)
            if np.isfinite(command).all():
                self._command = command
            else:
                self.arbitration.counts["commands not finite"] += 1
                self._mapping.reset(self._command)
                decision = self.arbitration.hold("the action leads to no finite command")
        self._executed = (decision, self._clock())
        return Output(decision, self._command.copy())

    def _start_from_follower(self) -> None:
        """Before the first reset, targets start from where the arm is measured to be."""
        position = np.array([self._follower.get(joint, np.nan) for joint in self._joints])
        if np.isfinite(position).all():
            self._command = position
            self._mapping.reset(position)
