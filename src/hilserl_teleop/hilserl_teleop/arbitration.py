"""Who drives the arm: STOPPED beats HUMAN beats POLICY, whatever arrives in whatever order.

Three facts decide: whether somebody stopped the arm, which device has taken over, and
since when that device may drive. The state is computed from them, so there is no order
of events that leads to another answer. The clock is injected; nothing here knows ROS.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, SpecError
from hilserl_core.step import Source

SECOND = 1_000_000_000

# A driver that was silent this long no longer drives: another device may take over, as a
# person whose first device died has to be able to. The arm holds meanwhile.
LINK_LOST = 1 * SECOND

# How long a refusal stays readable in the reason.
NOTICE = 3 * SECOND


# How much of a countdown a device's pose must have agreed with the arm's, at most, s.
SETTLE = 0.3


class State(enum.IntEnum):
    """Who drives; the numbers are those of hilserl_msgs/Arbitration."""

    POLICY = 0
    HANDOVER = 1
    HUMAN = 2
    STOPPED = 3


@dataclass(frozen=True)
class Device:
    """One device with which a person can drive.

    Attributes:
        name: as in its topics, ``teleop/NAME/action``.
        countdown: s between its takeover and the first motion.
        lockstep: whether a tick waits for its action.
        yields: whether a device that does not may take over from it while it drives; one that
            yields never takes over from one that does not.
    """

    name: str
    countdown: float = 2.0
    lockstep: bool = False
    yields: bool = False


@dataclass(frozen=True)
class Decision:
    """What is executed on one tick.

    Attributes:
        values: (action_dim,) float32 in [-1, 1]; zeros while the arm holds.
        source: HUMAN only if a device's action is executed; a hold is POLICY.
        holding: whether the arm holds instead of moving as its driver wants.
        reason: why it holds, for a person to read.
    """

    values: NDArray[np.float32]
    source: Source
    holding: bool
    reason: str


@dataclass(frozen=True)
class Status:
    """Who drives, for a person to read; countdown in s."""

    state: State
    device: str
    countdown: float
    holding: bool
    reason: str


@dataclass
class _Received:
    """A device's newest action; values are None if it was rejected."""

    values: NDArray[np.float32] | None
    at: int


class Arbitration:
    """The state machine.

    Args:
        spec: the run's action space; actions that do not fit it are rejected.
        devices: those that may take over.
        period: ns between two ticks.
        tolerance: rad by which a device's joints may differ from the arm's at takeover.
        clock: ns; never goes back but at a reset.
    """

    def __init__(
        self,
        spec: ActionSpec,
        devices: Sequence[Device],
        *,
        period: int,
        tolerance: float,
        clock: Callable[[], int],
    ) -> None:
        self.devices = {device.name: device for device in devices}
        if len(self.devices) != len(devices):
            names = ", ".join(device.name for device in devices)
            raise UserError(f"parameter 'devices': {names}: name each device once")
        self.counts: Counter[str] = Counter()
        self._spec = spec
        self._period = period
        self._tolerance = tolerance
        self._clock = clock
        self._zeros = np.zeros(spec.dim, np.float32)
        self._stopped_by = ""
        self._driver: Device | None = None
        self._ready_at = 0
        self._agreed_since: int | None = None
        self._human_since: int | None = None
        self._awaits_first = False
        self._received: dict[str, _Received] = {}
        self._poses: dict[str, Mapping[str, float]] = {}
        self._follower: Mapping[str, float] = {}
        self._policy_hold = "waiting for the policy"
        self._notice = ("", 0)

    # -- who drives

    @property
    def driver(self) -> Device | None:
        """The device that drives or is about to, also while the arm is stopped."""
        return self._driver

    @property
    def state(self) -> State:
        """Who drives now."""
        self._advance()
        if self._stopped_by:
            return State.STOPPED
        if self._driver is None:
            return State.POLICY
        return State.HANDOVER if self._human_since is None else State.HUMAN

    def takeover(self, name: str) -> bool:
        """A device asks for the arm; returns whether it has it, or is about to."""
        device = self.devices[name]
        if self._driver is device:
            return True
        if self._driver is not None and not self._gives_way(self._driver, device):
            self.counts["takeover refused"] += 1
            if not device.yields:
                self._note(f"{name} is refused: {self._driver.name} has the arm, release it first")
            return False
        self._driver = device
        self._begin_handover()
        self._notice = ("", 0)
        return True

    def _gives_way(self, driver: Device, device: Device) -> bool:
        """Whether who drives is replaced by a device that asks.

        A person goes before a program that stands in for one, also when the person's link is
        lost: then the arm holds for whoever comes back.
        """
        return driver.yields if driver.yields != device.yields else self._lost(driver)

    def release(self, name: str) -> None:
        """A device gives the arm back to the policy; from another than the driver: nothing."""
        if self._driver is None or self._driver.name != name:
            return
        self._driver = None
        self._human_since = None
        self._policy_hold = "waiting for the policy"
        self._notice = ("", 0)

    def stop(self, who: str) -> None:
        """Anybody stops the arm: it holds until ``release_stop``."""
        self._stopped_by = self._stopped_by or who

    def release_stop(self) -> bool:
        """Ends the stop; a device that has the arm starts again with its handover.

        Returns:
            Whether the arm was stopped.
        """
        was_stopped = bool(self._stopped_by)
        self._stopped_by = ""
        self._policy_hold = "waiting for the policy"
        if was_stopped and self._driver is not None:
            self._begin_handover()
        return was_stopped

    def reset(self) -> None:
        """The robot was brought elsewhere: who has the arm keeps it, after a new handover."""
        self._received.clear()
        self._policy_hold = "waiting for the policy"
        self._notice = ("", 0)
        if self._driver is not None:
            self._begin_handover()

    def _begin_handover(self) -> None:
        assert self._driver is not None
        self._ready_at = self._clock() + round(self._driver.countdown * SECOND)
        self._agreed_since = None
        self._human_since = None

    def _advance(self) -> None:
        """Ends a handover whose countdown is over and whose poses have agreed for a while."""
        if self._driver is None or self._human_since is not None or self._stopped_by:
            return
        now = self._clock()
        if self._misalignment(self._driver.name):
            self._agreed_since = None
            return
        self._agreed_since = now if self._agreed_since is None else self._agreed_since
        if now >= self._ready_at and self._rests(now):
            self._human_since = now
            self._awaits_first = True

    def _rests(self, now: int) -> bool:
        """Whether a device has agreed with the arm for long enough.

        One that is still swinging to where the arm is would go on, once it is limp, and take the
        arm along.
        """
        assert self._driver is not None
        assert self._agreed_since is not None
        if self._driver.name not in self._poses:
            return True
        wait = round(min(SETTLE, self._driver.countdown) * SECOND)
        return now - self._agreed_since >= wait

    def _misalignment(self, name: str) -> str:
        """Says where a device that has joints of its own disagrees with the arm."""
        pose = self._poses.get(name)
        if pose is None:
            return ""
        # The gripper is left out: an operator's trigger rests open whatever the arm holds.
        differences = {
            joint: abs(position - self._follower[joint])
            for joint, position in pose.items()
            if joint in self._follower and joint != "gripper"
        }
        if not differences:
            return f"waits to learn how the arm and {name} stand"
        worst = max(differences, key=lambda joint: differences[joint])
        # Written so that a number that is not finite counts as a disagreement.
        if all(difference <= self._tolerance for difference in differences.values()):
            return ""
        return (
            f"{name} and the arm disagree at {worst} by {differences[worst]:.1f} rad "
            f"(over {self._tolerance:g}): bring {name} to the arm's pose"
        )

    # -- what the drivers want

    def drive(self, name: str, values: ArrayLike) -> bool:
        """Takes a device's action; returns whether it is the driver's first since handover."""
        self._advance()
        checked = self._check(name, values)
        self._received[name] = _Received(checked, self._clock())
        first = (
            checked is not None
            and self._awaits_first
            and self._driver is not None
            and self._driver.name == name
            and self.state == State.HUMAN
        )
        if first:
            self._awaits_first = False
        return first

    def pose(self, name: str, joints: Mapping[str, float]) -> None:
        """Takes a device's own joint positions, rad by name."""
        self._poses[name] = joints

    def forget_poses(self) -> None:
        """What devices said of their joints is of another time."""
        self._poses.clear()

    def follower(self, joints: Mapping[str, float]) -> None:
        """Takes the arm's joint positions, rad by name."""
        self._follower = joints

    def _check(self, who: str, values: ArrayLike) -> NDArray[np.float32] | None:
        """The values as the spec has them; None, and counted, where they do not fit."""
        try:
            return self._spec.check(values)
        except (SpecError, TypeError, ValueError):
            self.counts[f"rejected from {who}"] += 1
            return None

    def _silent(self, name: str) -> bool:
        received = self._received.get(name)
        return received is None or self._clock() - received.at > 2 * self._period

    def _lost(self, device: Device) -> bool:
        """Whether the driver's link has been silent for so long that it no longer drives."""
        received = self._received.get(device.name)
        last = max(self._ready_at, received.at if received else 0)
        return self._clock() - last > max(LINK_LOST, 2 * self._period)

    # -- what is executed

    def decide(self, proposal: ArrayLike | None) -> Decision:
        """What to execute now.

        Args:
            proposal: the policy's action for this tick; None where there is none.
        """
        checked = None if proposal is None else self._check("policy", proposal)
        if self.state == State.POLICY:
            if checked is not None:
                self._policy_hold = ""
                return Decision(checked, Source.POLICY, False, "")
            self._policy_hold = (
                "the policy is silent" if proposal is None else "the policy's action is rejected"
            )
        reason = self._hold_reason()
        if reason:
            return self.hold(reason)
        assert self._driver is not None
        values = self._received[self._driver.name].values
        assert values is not None
        self._awaits_first = False
        return Decision(values, Source.HUMAN, False, "")

    def hold(self, reason: str) -> Decision:
        """The decision to stand still."""
        self.counts["holds"] += 1
        return Decision(self._zeros, Source.POLICY, True, reason)

    def _hold_reason(self) -> str:
        """Why the arm holds now; empty where its driver's action can be executed."""
        state = self.state
        if state == State.STOPPED:
            return f"stopped by {self._stopped_by}: release the stop to go on"
        if state == State.POLICY:
            return self._policy_hold
        assert self._driver is not None
        name = self._driver.name
        if state == State.HANDOVER:
            if self._clock() < self._ready_at:
                return f"{name} takes over"
            return self._misalignment(name) or f"waits until {name} rests"
        received = self._received.get(name)
        if self._silent(name):
            return f"{name} is silent: the arm holds until it moves or releases"
        assert received is not None
        assert self._human_since is not None
        if received.at < self._human_since:
            return f"waits for the first motion of {name}"
        if received.values is None:
            return f"the action of {name} is rejected"
        return ""

    def status(self) -> Status:
        """Who drives and whether the arm holds, as of now."""
        state = self.state
        countdown = 0.0
        if state == State.HANDOVER:
            countdown = max(0.0, (self._ready_at - self._clock()) / SECOND)
        hold = self._hold_reason()
        notice, until = self._notice
        shown = [hold, notice if self._clock() < until else ""]
        return Status(
            state=state,
            device=self._driver.name if self._driver is not None else "",
            countdown=countdown,
            holding=bool(hold),
            reason="; ".join(part for part in shown if part),
        )

    def _note(self, text: str) -> None:
        self._notice = (text, self._clock() + NOTICE)
