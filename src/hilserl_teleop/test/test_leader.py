"""The leader arm: no motion at takeover, then the follower gets where the leader goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import GRIPPER, MAX_JOINT_STEP, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.models import KOCH, SO101
from hilserl_teleop.leader import (
    CLOSE,
    OPEN,
    STAY,
    Leader,
    LeaderMapping,
    PushDetector,
    PushSettings,
)

SPACES = ("ee_delta", "joint_delta")
FORWARD = ForwardKinematics()
NO_CURRENT = np.full(6, np.nan)
poses = st.lists(st.floats(-0.4, 0.4), min_size=6, max_size=6).map(
    lambda offsets: np.clip(KOCH.home + offsets, KOCH.low, KOCH.high)
)


def mappings(space: str) -> tuple[LeaderMapping, ActionMapping]:
    spec = action_spec(space)
    return LeaderMapping(spec), ActionMapping(spec)


@pytest.mark.parametrize("space", SPACES)
@given(leader=poses, command=poses)
@settings(max_examples=50)
def test_a_leader_that_stands_still_moves_nothing(space, leader, command):
    mapping, _ = mappings(space)
    mapping.begin(leader, command)
    assert mapping.action(leader, command) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("space", SPACES)
@given(leader=poses, moved=poses, command=poses)
@settings(max_examples=50)
def test_actions_are_actions_whatever_the_leader_does(space, leader, moved, command):
    mapping, _ = mappings(space)
    mapping.begin(leader, command)
    values = mapping.action(moved, command)
    assert values.shape == (action_spec(space).dim,)
    assert (np.abs(values) <= 1 + 1e-6).all()
    assert values[-1] in (CLOSE, STAY, OPEN)


@pytest.mark.parametrize("space", SPACES)
@given(offsets=st.lists(st.floats(-0.15, 0.15), min_size=5, max_size=5))
@settings(max_examples=25)
def test_the_follower_gets_where_the_leader_goes_step_by_step(space, offsets):
    mapping, follower = mappings(space)
    start = np.array([0.1, -0.4, -1.0, -1.6, 0.0, KOCH.gripper_opened])
    leader = start + 0.05  # The two arms need not stand alike.
    follower.reset(start)
    mapping.begin(leader, start)
    moved = leader.copy()
    moved[:5] += offsets
    inside = (KOCH.workspace_low + 0.02, KOCH.workspace_high - 0.02)
    way = FORWARD.position(moved) - FORWARD.position(leader)
    goal = FORWARD.position(start) + way
    if space == "joint_delta":
        goal = FORWARD.position(start + moved - leader)
    if not ((goal > inside[0]) & (goal < inside[1])).all():
        return
    command = start
    for _ in range(30):
        last, command = command, follower.command(mapping.action(moved, command))
        assert (np.abs(command - last) <= MAX_JOINT_STEP + 1e-9).all()
    assert FORWARD.position(command) == pytest.approx(goal, abs=0.004)


def test_the_gripper_moves_when_the_person_moves_theirs_and_once():
    mapping, _ = mappings("ee_delta")
    leader, command = KOCH.home.copy(), KOCH.home.copy()
    mapping.begin(leader, command)
    assert mapping.action(leader, command)[-1] == STAY
    leader[GRIPPER] = KOCH.gripper_closed
    assert mapping.action(leader, command)[-1] == CLOSE
    command[GRIPPER] = KOCH.gripper_closed
    assert mapping.action(leader, command)[-1] == STAY
    leader[GRIPPER] = -0.5  # Near the middle it does not flutter.
    assert mapping.action(leader, command)[-1] == STAY
    leader[GRIPPER] = KOCH.gripper_opened
    assert mapping.action(leader, command)[-1] == OPEN


def test_a_gripper_that_holds_something_at_takeover_goes_on_holding_it():
    mapping, _ = mappings("ee_delta")
    held = KOCH.home.copy()
    held[GRIPPER] = -0.4  # As the object between the jaws has it.
    command = KOCH.home.copy()
    command[GRIPPER] = KOCH.gripper_closed
    mapping.begin(held, command)
    assert mapping.action(held, command)[-1] == STAY


def test_an_so101s_gripper_opens_the_other_way():
    mapping = LeaderMapping(action_spec(), SO101)
    leader, command = SO101.home.copy(), SO101.home.copy()
    mapping.begin(leader, command)
    assert mapping.action(leader, command) == pytest.approx(0.0, abs=1e-6)
    leader[GRIPPER] = SO101.gripper_closed
    assert mapping.action(leader, command)[-1] == CLOSE
    command[GRIPPER] = SO101.gripper_closed
    leader[GRIPPER] = SO101.gripper_opened
    assert mapping.action(leader, command)[-1] == OPEN


class Times:
    """A detector, fed at 100 Hz."""

    def __init__(self, **settings: float) -> None:
        self.detector = PushDetector(PushSettings(**settings))
        self.now = 0.0

    def feed(self, seconds: float, error: float, current: float = 0.3, joint: int = 1) -> int:
        pushes = 0
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            errors, currents = np.zeros(6), np.zeros(6)
            errors[joint], currents[joint] = error, current
            pushes += self.detector.update(errors, currents, self.now)
        return pushes


def test_a_push_counts_once_and_only_after_the_arm_followed():
    times = Times()
    assert times.feed(2.0, 0.5) == 0, "it never followed"
    assert times.feed(1.0, 0.02) == 0
    assert times.feed(0.1, 0.5) == 0, "a knock is no push"
    assert times.feed(0.2, 0.02) == 0
    assert times.feed(3.0, 0.5) == 1
    assert times.feed(3.0, 0.2) == 0, "held where it was pushed to"
    assert times.feed(1.0, 0.02) == 0
    assert times.feed(1.0, -0.5, -0.3) == 1


def test_a_stall_costs_nobody_their_push_and_makes_none():
    times = Times()
    times.feed(1.0, 0.02)
    times.feed(0.05, 0.5)
    times.now += 0.4
    assert times.feed(0.4, 0.5) == 0, "it may only have fallen behind"
    assert times.feed(0.2, 0.5) == 1

    times.feed(1.0, 0.02)
    times.now += 0.4
    assert times.feed(0.3, 0.5) == 0
    assert times.feed(0.05, 0.02) == 0, "it had, and follows again"
    assert times.feed(0.2, 0.5) == 1, "as soon as ever"

    times.feed(1.0, 0.02)
    times.now += 2.0
    assert times.feed(3.0, 0.5) == 0, "after that long nothing is known of it"
    assert times.feed(0.6, 0.02) == 0
    assert times.feed(0.2, 0.5) == 1


def test_lagging_without_resistance_is_no_push():
    times = Times()
    times.feed(1.0, 0.02)
    assert times.feed(2.0, 0.5, current=0.02) == 0
    assert times.feed(1.0, 0.5, current=np.nan) == 1, "a servo that measures none"


def test_a_squeeze_takes_over():
    times = Times()
    times.feed(1.0, 0.0)
    assert times.feed(1.0, 0.3, joint=GRIPPER) == 0
    assert times.feed(1.0, 0.4, joint=GRIPPER) == 1


def led(now: float) -> Leader:
    """A leader arm that leads."""
    leader = Leader(action_spec(), PushSettings())
    leader.follower(KOCH.home, now)
    leader.leader(KOCH.home, now)
    leader.command(KOCH.home)
    leader.arbitration(drives=True)
    leader.limp = True
    return leader


def test_it_follows_while_it_does_not_drive_and_only_the_living():
    leader = Leader(action_spec(), PushSettings())
    leader.leader(KOCH.home, 0.0)
    assert leader.target(0.0) is None, "its driver has not said yet whether it follows"
    leader.limp = False
    assert leader.target(0.0) is None
    leader.follower(KOCH.home + 0.1, 0.0)
    assert leader.target(0.1) == pytest.approx(KOCH.home + 0.1)
    assert leader.target(0.5) is None, "the follower is silent"
    leader.follower(KOCH.home, 0.6)
    leader.arbitration(drives=True)
    assert leader.leads
    assert leader.target(0.6) is None


def test_it_says_nothing_when_its_arm_is_gone_and_starts_afresh_when_it_is_back():
    leader = led(0.0)
    assert leader.action(0.0) == pytest.approx(0.0)
    moved = KOCH.home + np.array([0.1, 0, 0, 0, 0, 0])
    leader.leader(moved, 0.1)
    assert np.abs(leader.action(0.1)).max() > 0.1
    assert leader.action(0.5) is None
    leader.leader(moved, 0.6)
    assert leader.limp is None
    assert leader.action(0.6) == pytest.approx(0.0)
    leader.limp = True
    assert leader.action(0.6) == pytest.approx(0.0), "where it is now is where it starts"


def test_it_is_at_rest_until_it_is_limp():
    leader = led(0.0)
    leader.limp = False
    leader.leader(KOCH.home + 0.2, 0.1)
    assert leader.action(0.1) == pytest.approx(0.0)
