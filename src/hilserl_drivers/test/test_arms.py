import pytest

from hilserl_description.arm_model import GRIPPER, JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_drivers.arms import ARMS


@pytest.mark.parametrize("name", ARMS)
def test_arms_are_consistent(name):
    arm = ARMS[name]
    assert arm.name == name
    assert len(set(arm.ids)) == len(set(arm.joints)) == len(arm.servos) == 6
    for spec in arm.servos:
        assert spec.table.family == arm.family
        assert spec.mode in spec.table.modes
        assert spec.low < spec.high
        assert spec.velocity_limit < spec.table.no_load_speed
    for spec, angle in zip(arm.servos, arm.home, strict=False):
        assert spec.low <= angle <= spec.high
    assert len(arm.home) == (6 if name.endswith("follower") else 0)


def test_the_koch_is_the_descriptions():
    arm = ARMS["koch_follower"]
    assert arm.joints == JOINT_NAMES
    assert [spec.model for spec in arm.servos] == [joint.motor for joint in KOCH.joints]
    assert ARMS["koch_leader"].joints == JOINT_NAMES
    # Both the arm and the leader follow softly where something or somebody is held.
    assert arm.servos[GRIPPER].effort < 1.0
