"""Inverse kinematics and the action mapping: limits, no jump, arrival."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilserl_core.spec import SpecError
from hilserl_description import koch
from hilserl_description.action_mapping import ActionMapping, ActionReader
from hilserl_description.kinematics import ForwardKinematics, InverseKinematics

FORWARD, INVERSE = ForwardKinematics(), InverseKinematics()
fraction = st.floats(0, 1)
anywhere = st.tuples(*[st.floats(-1, 1)] * 3)
joints = st.tuples(*[fraction] * 6).map(lambda f: koch.LOW + np.array(f) * (koch.HIGH - koch.LOW))


@settings(max_examples=150, deadline=None)
@given(joints, anywhere)
def test_a_command_is_within_the_limits_and_one_step_of_the_last(last, target):
    command = INVERSE.solve(last, target)
    assert np.isfinite(command).all()
    assert (command >= koch.LOW - 1e-9).all()
    assert (command <= koch.HIGH + 1e-9).all()
    assert (np.abs(command - last) <= koch.MAX_JOINT_STEP + 1e-9).all()
    assert command[koch.GRIPPER] == pytest.approx(last[koch.GRIPPER], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(fraction, fraction, st.floats(0.013, 0.1))
def test_the_tool_arrives_anywhere_over_the_patch(x, y, z):
    low, high = np.array(koch.PATCH_LOW), np.array(koch.PATCH_HIGH)
    target = np.append(low + np.array([x, y]) * (high - low), z)
    command = koch.HOME
    for _ in range(25):
        command = INVERSE.solve(command, target)
    assert FORWARD.position(command) == pytest.approx(target, abs=5e-4)
    # At the end of its reach the tool leans outwards.
    assert (FORWARD(command)[1] @ [-1, 0, 0])[2] < -0.6


def test_the_same_question_has_the_same_answer():
    target = (0.03, 0.2, 0.05)
    first = INVERSE.solve(koch.HOME, target)
    INVERSE.solve(koch.LOW, (1, 1, 1))
    assert (INVERSE.solve(koch.HOME, target) == first).all()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["ee_delta", "joint_delta"]), st.integers(0, 2**32 - 1))
def test_random_actions_never_jump_and_stay_in_the_workspace(kind, seed):
    rng = np.random.default_rng(seed)
    spec = koch.action_spec(kind)
    mapping = ActionMapping(spec)
    last = mapping.last
    bias = rng.uniform(-1, 1, spec.dim)
    for _ in range(60):
        command = mapping.command(bias + rng.uniform(-1, 1, spec.dim))
        assert (np.abs(command - last) <= koch.MAX_JOINT_STEP + 1e-9).all()
        assert (command >= koch.LOW).all()
        assert (command <= koch.HIGH).all()
        position = FORWARD.position(command)
        assert (position >= koch.WORKSPACE_LOW - 0.011).all()
        assert (position <= koch.WORKSPACE_HIGH + 0.011).all()
        last = command


def test_targets_add_up_from_the_last_target():
    mapping = ActionMapping(koch.action_spec())
    start = mapping.target
    for _ in range(4):
        mapping.command([0.5, -0.25, -0.5, 0])
    moved = (mapping.target - start) / koch.action_spec().scale[0]
    assert moved == pytest.approx([2, -1, -2], abs=1e-6)
    assert FORWARD.position(mapping.last) == pytest.approx(mapping.target, abs=1.5e-3)


def test_a_zero_action_repeats_the_command():
    mapping = ActionMapping(koch.action_spec())
    mapping.command([1, 1, -1, 0])
    last = mapping.last
    assert (mapping.command(np.zeros(4)) == last).all()


def test_an_unreachable_target_does_not_wind_up():
    mapping = ActionMapping(koch.action_spec())
    for _ in range(100):
        mapping.command([0, 1, 1, 0])
    reached = FORWARD.position(mapping.last)
    assert np.linalg.norm(mapping.target - reached) < 0.0101
    for _ in range(3):
        mapping.command([0, -1, -1, 0])
    assert FORWARD.position(mapping.last)[1] < reached[1] - 0.02


def test_the_gripper_is_a_choice_that_lasts():
    mapping = ActionMapping(koch.action_spec())
    assert mapping.command([0, 0, 0, -1])[koch.GRIPPER] == koch.GRIPPER_CLOSED
    assert mapping.command([0, 0, 0, 0.2])[koch.GRIPPER] == koch.GRIPPER_CLOSED
    assert mapping.command([0, 0, 0, 0.9])[koch.GRIPPER] == koch.GRIPPER_OPENED


@pytest.mark.parametrize("values", [[0, 0, 0], [0, 0, 0, float("nan")]])
def test_a_wrong_action_is_refused_and_changes_nothing(values):
    mapping = ActionMapping(koch.action_spec())
    last = mapping.last
    with pytest.raises(SpecError):
        mapping.command(values)
    assert (mapping.last == last).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(anywhere, st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=12))
def test_the_commands_of_actions_read_back_as_those_actions(actions):
    spec = koch.action_spec()
    mapping, reader = ActionMapping(spec), ActionReader(spec)
    last = reader.settled(mapping.last)
    opened = True
    for arm, gripper in actions:
        before = mapping.target
        command = reader.settled(mapping.command([*arm, gripper]))
        values, clipped = reader.action(last, command)
        # What was executed, where the arm's reach or its box ended the motion early.
        executed = (FORWARD.position(command) - FORWARD.position(last)) / spec.scale[:3]
        assert values[:3] == pytest.approx(np.clip(executed, -1, 1), abs=1e-6)
        ends = (before, FORWARD.position(last)), (mapping.target, FORWARD.position(command))
        exact = all(np.linalg.norm(target - at) < 1e-3 for target, at in ends)
        if exact and np.allclose(mapping.target - before, np.array(arm) * spec.scale[:3]):
            assert values[:3] == pytest.approx(arm, abs=0.15)
            assert not clipped or np.abs(executed).max() > 1.05
        wanted = {-1.0: False, 1.0: True}.get(gripper, opened)
        assert values[3] == (0.0 if wanted == opened else gripper)
        last, opened = command, wanted


def test_a_gripper_that_rests_in_the_middle_chooses_once():
    reader = ActionReader(koch.action_spec())
    middle = (koch.GRIPPER_OPENED + koch.GRIPPER_CLOSED) / 2
    chosen = []
    for angle in (koch.GRIPPER_OPENED, middle - 0.05, middle + 0.05, middle + 0.3, middle - 0.05):
        command = np.append(koch.HOME[:5], angle)
        chosen.append(reader.settled(command)[koch.GRIPPER])
    assert chosen == [koch.GRIPPER_OPENED] * 3 + [koch.GRIPPER_CLOSED] * 2


def test_motion_beyond_an_action_is_clipped_and_told():
    reader = ActionReader(koch.action_spec("joint_delta"))
    values, clipped = reader.action(koch.HOME, koch.HOME + np.array([0.3, 0, 0, 0, 0, 0]))
    assert clipped
    assert values.tolist() == [1.0, 0, 0, 0, 0, 0]
