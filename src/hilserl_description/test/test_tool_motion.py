"""A person's motions of the tool, driven through another action space."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import GRIPPER, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.koch import KOCH
from hilserl_description.tool_motion import ToolMotion

EE, JOINTS = action_spec("ee_delta"), action_spec("joint_delta")
FORWARD = ForwardKinematics(KOCH)
CENTRE = (KOCH.workspace_low + KOCH.workspace_high) / 2
HALF = (KOCH.workspace_high - KOCH.workspace_low) / 2
motions = st.tuples(*[st.floats(-1, 1, width=32)] * 3, st.sampled_from([-1.0, 0.0, 1.0]))


@given(motion=motions)
def test_a_motion_of_the_tool_is_itself_where_actions_are_such(motion):
    assert ToolMotion(EE, KOCH).values(motion, KOCH.home) == pytest.approx(motion)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_joints_make_the_tool_go_the_way_that_was_meant(seed):
    rng = np.random.default_rng(seed)
    person, mapping = ToolMotion(JOINTS, KOCH), ActionMapping(JOINTS, KOCH)
    direct = ActionMapping(EE, KOCH)
    for _ in range(20):
        motion = np.append(rng.uniform(-1, 1, 3), rng.choice([-1.0, 0.0, 1.0]))
        last = mapping.last
        values = person.values(motion, last)
        assert values.shape == (JOINTS.dim,)
        assert (np.abs(values) <= 1).all()
        reached = mapping.command(values)
        direct.reset(last)
        wanted = direct.command(motion)
        assert reached[GRIPPER] == wanted[GRIPPER]
        there = FORWARD.position(wanted)
        fits = (np.abs(wanted - last)[:5] <= np.array(JOINTS.scale[:5]) - 1e-6).all()
        # A step of the joints that would leave the workspace is not made, not even in part.
        inside = (np.abs(there - CENTRE) < HALF - 0.001).all()
        if fits and inside:
            assert FORWARD.position(reached) == pytest.approx(there, abs=1e-4)


def test_nothing_meant_moves_nothing():
    assert not ToolMotion(JOINTS, KOCH).values(np.zeros(4), KOCH.home).any()


def test_a_tool_on_the_floor_of_the_workspace_still_goes_along_it():
    person, mapping = ToolMotion(JOINTS, KOCH), ActionMapping(JOINTS, KOCH)
    down, left = np.array([0, 0, -1.0, 0]), np.array([-0.5, 0, 0, 0])
    for _ in range(20):
        mapping.command(person.values(down, mapping.last))
    floor = mapping.target
    assert floor[2] == pytest.approx(KOCH.workspace_low[2], abs=1.1e-3)
    for _ in range(4):
        mapping.command(person.values(left + down / 10, mapping.last))
    assert mapping.target[0] - floor[0] == pytest.approx(-4 * 0.0125, abs=0.005)
    assert mapping.target[2] > KOCH.workspace_low[2] - 1.1e-3
