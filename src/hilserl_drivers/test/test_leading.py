"""The driver of a leader arm: limp in a person's hand, with the help that it then gives."""

import numpy as np
import pytest
from rigs import ArmRig, command_of

from hilserl_core.errors import UserError
from hilserl_drivers.driver import DriverSettings, Role, State


def test_a_change_of_role_that_fails_leaves_no_torque():
    rig = ArmRig("koch_leader")
    rig.start()
    rig.emulated.joints[1].high = 3.0
    rig.emulated.place([0.0, 2.5, 0.0, 0.0, 0.0, 0.0])
    with pytest.raises(UserError, match=r"shoulder_lift reads 2\.50 rad"):
        rig.driver.set_role(Role.LEAD)
    rig.run(0.5)
    assert rig.driver.state == State.STOPPED
    assert rig.torques() == [False] * 6


@pytest.mark.parametrize("name", ["koch_leader", "so101_leader"])
def test_a_leader_is_limp_while_it_leads_and_follows_from_where_it_is(name):
    rig = ArmRig(name)
    rig.start()
    rig.run(0.5, command_of(rig, 0.1))
    rig.driver.set_role(Role.LEAD)
    assert rig.torques() == [False] * 6
    moved = [0.5 * (spec.low + spec.high) + 0.2 for spec in rig.arm.servos]
    for _ in range(30):
        rig.run(0.05)
        rig.emulated.place(0.8 * rig.emulated.angles() + 0.2 * np.array(moved))
    rig.run(0.1)
    sample = rig.driver.cycle()
    assert sample is not None
    assert sample.position == pytest.approx(rig.emulated.angles(), abs=0.01)
    rig.driver.set_role(Role.FOLLOW)
    assert rig.torques() == [True] * 6
    before = rig.emulated.angles()
    rig.run(0.5)
    assert rig.emulated.angles() == pytest.approx(before, abs=0.01)
    with pytest.raises(UserError, match="no home"):
        rig.driver.home()


def test_friction_compensation_pushes_the_way_the_hand_moves():
    rig = ArmRig("koch_leader", DriverSettings(friction_current=0.05))
    rig.start()
    rig.driver.set_role(Role.LEAD)
    joint = rig.emulated.joints[2]
    rig.run(0.3)
    assert joint.velocity == pytest.approx(0.0, abs=0.02)
    for direction in (1.0, -1.0):
        joint.load = -direction * 0.3  # A hand that pushes harder than friction.
        rig.run(0.2)
        sample = rig.driver.cycle()
        assert sample is not None
        assert direction * sample.current[2] == pytest.approx(0.05, abs=0.002)
        joint.load = 0.0
        rig.run(0.3)
    assert (np.abs(sample.current) <= 0.051).all()
