"""A leader arm: it follows the follower until a person takes it, and then leads; free of ROS.

While it follows, a person takes over by pushing it away from where it goes, or by squeezing
its gripper. While it leads it is limp, and the way that its tool (or its joints) has moved
since is the way that the follower's is to move: written in the run's own action space, with no
motion at the moment of takeover wherever the two arms stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.parameters import parameter
from hilserl_core.spec import ActionSpec
from hilserl_description.arm_model import GRIPPER, JOINT_NAMES, ArmModel
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.koch import KOCH

Vector = NDArray[np.float64]

CLOSE, STAY, OPEN = -1.0, 0.0, 1.0
CLOSES_BELOW, OPENS_ABOVE = 0.4, 0.6
"""Share of its way open, below and above which the leader's gripper closes and opens."""

STALE, BLACKOUT = 0.2, 1.0
"""s without a measurement, after which an arm is not there, and a push may begin, or the arm may
be left behind, unseen; and after which nothing is known of it any more."""


@dataclass(frozen=True)
class PushSettings:
    """When a push counts."""

    push_angle: float = parameter(
        0.25, "rad that a joint is away from where it follows, when pushed", low=0.02, high=2.0
    )
    push_current: float = parameter(
        0.1,
        "A with which its servo resists meanwhile; 0 asks for the angle alone",
        low=0.0,
        high=2.0,
    )
    squeeze_angle: float = parameter(
        0.35, "rad, the same as push_angle of the gripper", low=0.02, high=2.0
    )
    push_seconds: float = parameter(0.15, "s that a push lasts", low=0.0, high=2.0)
    rearm_seconds: float = parameter(
        0.5,
        "s of following within half of these limits, after which a push counts again; and "
        "that a push lasts after a stall",
        low=0.0,
        high=10.0,
    )


class PushDetector:
    """Tells when a person takes an arm that follows.

    It counts a push once. Before the next, the arm must have followed well for a while: so an
    arm that is still on its way, or held where it was released, does not take over again.

    A stall of the machine must not cost a person their push, so a short gap in the measurements
    leaves it armed; but an arm that fell behind meanwhile is not pushed either. After a gap a
    push therefore lasts ``rearm_seconds``, until the arm has been seen to follow.
    """

    def __init__(self, settings: PushSettings) -> None:
        self._settings = settings
        self._angle = np.full(len(JOINT_NAMES), settings.push_angle)
        self._angle[GRIPPER] = settings.squeeze_angle
        self._armed = self._blinked = False
        self._since: float | None = None
        self._seen = -np.inf

    def restart(self) -> None:
        """Waits until the arm follows well before a push counts."""
        self._armed, self._since = False, None

    def update(self, error: ArrayLike, current: ArrayLike, now: float) -> bool:
        """Whether a push has just become one.

        Args:
            error: (6,) rad, from where each joint is to be.
            current: (6,) A; nan where a servo measures none.
            now: s.
        """
        self._notice_gap(now)
        # nan compares as False: what is not known neither pushes nor follows well.
        away = np.abs(np.asarray(error, float))
        follows = bool((away < self._angle / 2).all())
        resists = ~(np.abs(np.asarray(current, float)) < self._settings.push_current)
        self._blinked = self._blinked and not follows
        sought = bool((resists & (away > self._angle)).any()) if self._armed else follows
        quick = self._armed and not self._blinked
        wait = self._settings.push_seconds if quick else self._settings.rearm_seconds
        if not sought:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < wait:
            return False
        pushed = self._armed
        self._armed, self._since = not self._armed, None
        return pushed

    def _notice_gap(self, now: float) -> None:
        gap, self._seen = now - self._seen, now
        if gap > BLACKOUT:
            self.restart()
        elif gap > STALE:
            self._blinked, self._since = True, None


class LeaderMapping:
    """Turns where a limp leader is into actions of the run's action space."""

    def __init__(self, spec: ActionSpec, arm: ArmModel = KOCH) -> None:
        self._spec, self._arm = spec, arm
        self._scale = np.array(spec.scale[: spec.arm_dim])
        self._forward = ForwardKinematics(arm)
        self._offset: Vector = np.zeros(spec.arm_dim)
        self._opens = self._gripped = False

    def begin(self, leader: ArrayLike, command: ArrayLike) -> None:
        """From here on the leader leads.

        Args:
            leader: (6,) rad, where it is.
            command: (6,) rad, the follower's last command.
        """
        leader = np.asarray(leader, float)
        self._offset = self._place(np.asarray(command, float)) - self._place(leader)
        self._opens = self._opened(leader) > (CLOSES_BELOW + OPENS_ABOVE) / 2
        self._gripped = False

    def action(self, leader: ArrayLike, command: ArrayLike) -> NDArray[np.float32]:
        """The action (dim,) in [-1, 1] of this tick, towards where the leader is.

        Args:
            leader: (6,) rad, where it is.
            command: (6,) rad, the follower's last command.
        """
        leader, command = np.asarray(leader, float), np.asarray(command, float)
        way = (self._place(leader) + self._offset - self._place(command)) / self._scale
        # One factor for all keeps the tool on a straight line.
        way /= max(1.0, float(np.abs(way).max()))
        return np.append(way, self._grip(leader, command)).astype(np.float32)

    def _place(self, joints: Vector) -> Vector:
        """Where the arm is, as the action space counts: rad, or m of the tool."""
        if self._spec.kind == "joint_delta":
            return joints[: self._spec.arm_dim]
        return self._forward.position(joints)

    def _grip(self, leader: Vector, command: Vector) -> float:
        """Closes or opens once the person has; what is commanded already is not repeated."""
        opened = self._opened(leader)
        opens = opened > (CLOSES_BELOW if self._opens else OPENS_ABOVE)
        self._gripped = self._gripped or opens != self._opens
        self._opens = opens
        wanted = self._arm.gripper_opened if self._opens else self._arm.gripper_closed
        if not self._gripped or abs(command[GRIPPER] - wanted) < 1e-6:
            return STAY
        return OPEN if self._opens else CLOSE

    def _opened(self, joints: Vector) -> float:
        """How far a gripper is open, as a share of its way."""
        return self._arm.opening(joints) / self._arm.widest


@dataclass
class _Arm:
    """What was last heard of an arm."""

    position: Vector | None = None
    at: float = -np.inf


class Leader:
    """What the leader arm does at every moment.

    Args:
        spec: the run's action space.
        settings: of the push that takes over.
        arm: of both, leader and follower.

    Attributes:
        leads: whether the leader arm is to be limp, for a person to move; else it follows.
        limp: whether its driver has said that it is limp; None where it has yet to say.
    """

    def __init__(self, spec: ActionSpec, settings: PushSettings, arm: ArmModel = KOCH) -> None:
        self.leads = False
        self.limp: bool | None = None
        self._rest = np.zeros(spec.dim, np.float32)
        self._arm = arm
        self._mapping = LeaderMapping(spec, arm)
        self._push = PushDetector(settings)
        self._leader, self._follower = _Arm(), _Arm()
        self._current: Vector = np.full(len(JOINT_NAMES), np.nan)
        self._command: Vector | None = None
        self._begun = False

    # -- what is heard

    def leader(self, position: ArrayLike, now: float) -> None:
        """Where the leader is, (6,) rad."""
        if not self.is_there(now):
            self.limp = None  # Its driver may have started anew.
        self._leader = _Arm(np.array(position, float), now)

    def leader_current(self, current: ArrayLike) -> None:
        """The currents of its servos, (6,) A."""
        self._current = np.array(current, float)

    def follower(self, position: ArrayLike, now: float) -> None:
        """Where the follower is, (6,) rad."""
        self._follower = _Arm(np.array(position, float), now)

    def command(self, command: ArrayLike) -> None:
        """What the follower was last told, (6,) rad."""
        self._command = np.array(command, float)

    def arbitration(self, drives: bool) -> None:
        """Whether this device drives, by the mux's word."""
        if drives != self.leads:
            self.leads = drives
            self._begun = False
            self._push.restart()

    # -- what follows from it

    def is_there(self, now: float) -> bool:
        """Whether the leader arm says where it is."""
        return now - self._leader.at <= STALE

    def target(self, now: float) -> Vector | None:
        """Where the leader is to go, (6,) rad; None while nobody shall move it."""
        follows = not self.leads and self.limp is False
        if not follows or self._follower.position is None:
            return None
        if now - self._follower.at > STALE:
            return None
        return np.clip(self._follower.position, self._arm.low, self._arm.high)

    def pushed(self, now: float) -> bool:
        """Whether a person has just taken it; to be asked at every measurement."""
        target = self.target(now)
        if target is None or not self.is_there(now):
            return False
        assert self._leader.position is not None
        return self._push.update(self._leader.position - target, self._current, now)

    def action(self, now: float) -> NDArray[np.float32] | None:
        """The action (dim,) of this tick; None while the leader arm says nothing."""
        if not self.is_there(now):
            self._begun = False
            return None
        assert self._leader.position is not None
        if not self.leads or not self.limp or self._command is None:
            return self._rest.copy()
        if not self._begun:
            self._mapping.begin(self._leader.position, self._command)
            self._begun = True
        return self._mapping.action(self._leader.position, self._command)
