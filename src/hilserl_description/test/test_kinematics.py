"""Inverse kinematics and the action mapping: limits, no jump, arrival."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilserl_core.spec import SpecError
from hilserl_description.action_mapping import ActionMapping, ActionReader
from hilserl_description.arm_model import GRIPPER, MAX_JOINT_STEP, action_spec
from hilserl_description.kinematics import ForwardKinematics, InverseKinematics

fraction = st.floats(0, 1)
anywhere = st.tuples(*[st.floats(-1, 1)] * 3)
fractions = st.tuples(*[fraction] * 6).map(np.array)
choice = st.sampled_from([-1.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def forward(arm):
    return ForwardKinematics(arm)


@pytest.fixture(scope="module")
def inverse(arm):
    return InverseKinematics(arm)


@settings(max_examples=150, deadline=None)
@given(last=fractions, target=anywhere)
def test_a_command_is_within_the_limits_and_one_step_of_the_last(arm, inverse, last, target):
    last = arm.low + last * (arm.high - arm.low)
    command = inverse.solve(last, target)
    assert np.isfinite(command).all()
    assert (command >= arm.low - 1e-9).all()
    assert (command <= arm.high + 1e-9).all()
    assert (np.abs(command - last) <= MAX_JOINT_STEP + 1e-9).all()
    assert command[GRIPPER] == pytest.approx(last[GRIPPER], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(x=fraction, y=fraction, z=st.floats(0.013, 0.1))
def test_the_tool_arrives_anywhere_over_the_patch(arm, forward, inverse, x, y, z):
    low, high = np.array(arm.patch_low), np.array(arm.patch_high)
    target = np.append(low + np.array([x, y]) * (high - low), z)
    command = arm.home
    for _ in range(25):
        command = inverse.solve(command, target)
    assert forward.position(command) == pytest.approx(target, abs=5e-4)
    # At the end of its reach the tool leans outwards.
    assert (forward(command)[1] @ arm.hand.forward)[2] < -0.6


def test_the_same_question_has_the_same_answer(arm, inverse):
    target = (0.03, 0.2, 0.05)
    first = inverse.solve(arm.home, target)
    inverse.solve(arm.low, (1, 1, 1))
    assert (inverse.solve(arm.home, target) == first).all()


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(["ee_delta", "joint_delta"]), seed=st.integers(0, 2**32 - 1))
def test_random_actions_never_jump_and_stay_in_the_workspace(arm, forward, kind, seed):
    rng = np.random.default_rng(seed)
    spec = action_spec(kind)
    mapping = ActionMapping(spec, arm)
    last = mapping.last
    bias = rng.uniform(-1, 1, spec.dim)
    for _ in range(60):
        command = mapping.command(bias + rng.uniform(-1, 1, spec.dim))
        assert (np.abs(command - last) <= MAX_JOINT_STEP + 1e-9).all()
        assert (command >= arm.low).all()
        assert (command <= arm.high).all()
        position = forward.position(command)
        assert (position >= arm.workspace_low - 0.011).all()
        assert (position <= arm.workspace_high + 0.011).all()
        last = command


def test_targets_add_up_from_the_last_target(arm, forward):
    mapping = ActionMapping(action_spec(), arm)
    start = mapping.target
    for _ in range(4):
        mapping.command([0.5, -0.25, -0.5, 0])
    moved = (mapping.target - start) / action_spec().scale[0]
    assert moved == pytest.approx([2, -1, -2], abs=1e-6)
    assert forward.position(mapping.last) == pytest.approx(mapping.target, abs=1.5e-3)


def test_a_zero_action_repeats_the_command(arm):
    mapping = ActionMapping(action_spec(), arm)
    mapping.command([1, 1, -1, 0])
    last = mapping.last
    assert (mapping.command(np.zeros(4)) == last).all()


def test_an_unreachable_target_does_not_wind_up(arm, forward):
    mapping = ActionMapping(action_spec(), arm)
    for _ in range(100):
        mapping.command([0, 1, 1, 0])
    reached = forward.position(mapping.last)
    assert np.linalg.norm(mapping.target - reached) < 0.0101
    for _ in range(3):
        mapping.command([0, -1, -1, 0])
    assert forward.position(mapping.last)[1] < reached[1] - 0.02


def test_the_gripper_is_a_choice_that_lasts(arm):
    mapping = ActionMapping(action_spec(), arm)
    assert mapping.command([0, 0, 0, -1])[GRIPPER] == arm.gripper_closed
    assert mapping.command([0, 0, 0, 0.2])[GRIPPER] == arm.gripper_closed
    assert mapping.command([0, 0, 0, 0.9])[GRIPPER] == arm.gripper_opened


@pytest.mark.parametrize("values", [[0, 0, 0], [0, 0, 0, float("nan")]])
def test_a_wrong_action_is_refused_and_changes_nothing(arm, values):
    mapping = ActionMapping(action_spec(), arm)
    last = mapping.last
    with pytest.raises(SpecError):
        mapping.command(values)
    assert (mapping.last == last).all()


@settings(max_examples=60, deadline=None)
@given(
    actions=st.lists(
        st.tuples(anywhere, st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=12
    )
)
def test_the_commands_of_actions_read_back_as_those_actions(arm, forward, actions):
    spec = action_spec()
    mapping, reader = ActionMapping(spec, arm), ActionReader(spec, arm)
    last = reader.settled(mapping.last)
    opened = True
    for motion, gripper in actions:
        before = mapping.target
        command = reader.settled(mapping.command([*motion, gripper]))
        values, clipped = reader.action(last, command)
        # What was executed, where the arm's reach or its box ended the motion early.
        executed = (forward.position(command) - forward.position(last)) / spec.scale[:3]
        assert values[:3] == pytest.approx(np.clip(executed, -1, 1), abs=1e-6)
        ends = (before, forward.position(last)), (mapping.target, forward.position(command))
        exact = all(np.linalg.norm(target - at) < 1e-3 for target, at in ends)
        if exact and np.allclose(mapping.target - before, np.array(motion) * spec.scale[:3]):
            assert values[:3] == pytest.approx(motion, abs=0.15)
            assert not clipped or np.abs(executed).max() > 1.05
        wanted = {-1.0: False, 1.0: True}.get(gripper, opened)
        assert values[3] == (0.0 if wanted == opened else gripper)
        last, opened = command, wanted


def test_a_gripper_that_rests_in_the_middle_chooses_once(arm):
    reader = ActionReader(action_spec(), arm)
    middle = (arm.gripper_opened + arm.gripper_closed) / 2
    chosen = [reader.settled(arm.home)[GRIPPER]]
    for closer in (-0.05, 0.05, 0.3, -0.05):
        command = np.append(arm.home[:5], middle + arm.closing * closer)
        chosen.append(reader.settled(command)[GRIPPER])
    assert chosen == [arm.gripper_opened] * 3 + [arm.gripper_closed] * 2


def test_motion_beyond_an_action_is_clipped_and_told(arm):
    reader = ActionReader(action_spec("joint_delta"), arm)
    values, clipped = reader.action(arm.home, arm.home + np.array([0.3, 0, 0, 0, 0, 0]))
    assert clipped
    assert values.tolist() == [1.0, 0, 0, 0, 0, 0]
