"""The driver of a leader arm: limp in a person's hand, with the help that it then gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs import ArmRig, command_of

from hilserl_core.errors import UserError
from hilserl_description.gravity import GravityTorque
from hilserl_description.koch import KOCH
from hilserl_drivers.arms import ARMS
from hilserl_drivers.assistance import Assistance, AssistanceSettings
from hilserl_drivers.driver import DriverSettings, Role, State

LEADER = ARMS["koch_leader"]
GRAVITY = GravityTorque(KOCH)


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


def test_asked_for_the_role_that_it_has_it_does_not_give_way_to_a_hand():
    rig = ArmRig("koch_leader")
    rig.start()
    wanted = command_of(rig, 0.1)
    rig.run(0.5, wanted)
    rig.emulated.joints[1].load = -1.0
    rig.run(0.3, wanted)
    setpoint = rig.driver.setpoint.value.copy()
    assert abs(rig.emulated.angles()[1] - wanted[1]) > 0.25
    rig.driver.set_role(Role.FOLLOW)
    rig.run(0.01)
    assert rig.driver.setpoint.value == pytest.approx(setpoint)


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


anywhere = st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6)
shares = st.floats(0.0, 1.0)


@given(pose=anywhere, velocity=anywhere, gravity=shares, friction=st.floats(0.0, 0.3))
@settings(max_examples=100)
def test_help_never_takes_more_than_its_limit(pose, velocity, gravity, friction):
    wanted = AssistanceSettings(friction, gravity, assistance_limit=0.2)
    currents = Assistance(LEADER, wanted, GRAVITY).currents(pose, velocity)
    assert (np.abs(currents) <= 0.2).all()
    assert not Assistance(LEADER, AssistanceSettings()).currents(pose, velocity).any()


@given(pose=anywhere, share=shares)
@settings(max_examples=50)
def test_within_its_limit_it_carries_the_share_of_the_weight_asked_for(pose, share):
    def heavy(position):  # As an arm of a hundredth of the weight, far from the limit.
        return 0.01 * GRAVITY(position)

    helped = Assistance(LEADER, AssistanceSettings(gravity_compensation=share), heavy)
    torque = helped.currents(pose, np.zeros(6)) * 0.215 / 1.47  # N m an A of an XL330-M077.
    assert torque == pytest.approx(share * heavy(pose), abs=1e-9)


def test_a_velocity_that_is_no_number_pushes_nothing():
    helped = Assistance(LEADER, AssistanceSettings(friction_current=0.1))
    assert not helped.currents(np.zeros(6), np.full(6, np.nan)).any()


LIGHT = 0.2
"""Of an arm's weight: a leader's small servos could carry no more of it in every pose."""

GEARS = 0.1
"""A s/rad of the gears' friction, which emulated shafts are without under a servo's torque."""


def weigh_down(rig: ArmRig, share: float) -> None:
    """Has a share of the arm's weight, and friction, pull at the joints as they now are."""
    weight = share * GRAVITY(rig.emulated.angles()) * 1.47 / 0.215
    for joint, current in zip(rig.emulated.joints, weight, strict=True):
        joint.load = float(current) + GEARS * joint.velocity


def sagging(compensation: float, limit: float = 0.6) -> tuple[float, ArmRig]:
    """rad that a limp leader sinks in 0.5 s, with so much of its weight compensated."""
    wanted = DriverSettings(gravity_compensation=compensation, assistance_limit=limit)
    rig = ArmRig("koch_leader", wanted)
    rig.driver.assistance = Assistance(LEADER, wanted, lambda q: LIGHT * GRAVITY(q))
    rig.emulated.place([0.3, -0.6, -0.4, -0.3, 0.1, -0.5])
    rig.start()
    rig.driver.set_role(Role.LEAD)
    before = rig.emulated.angles()
    for _ in range(50):
        weigh_down(rig, LIGHT)
        rig.run(0.01)
    return float(np.abs(rig.emulated.angles() - before).max()), rig


def test_a_leader_that_carries_its_weight_stays_where_the_hand_left_it():
    assert sagging(0.0)[0] > 0.5
    sunk, rig = sagging(1.0)
    assert sunk < 0.02
    assert rig.torques() == [True] * 6
    half, _ = sagging(0.5)
    assert half > 0.1


def test_no_more_than_the_limit_is_taken_and_following_has_its_full_strength_again():
    sunk, rig = sagging(1.0, limit=0.02)
    assert sunk > 0.3
    sample = rig.driver.cycle()
    assert sample is not None
    assert np.abs(sample.current).max() <= 0.021
    rig.driver.set_role(Role.FOLLOW)
    effort = round(0.3 * 1750)
    assert [servo.get("goal_current") for servo in rig.emulated.servos] == [effort] * 6
    rig.run(0.5)
    before = rig.emulated.angles()
    rig.run(0.5)
    assert rig.emulated.angles() == pytest.approx(before, abs=0.01), "it holds by itself"


def test_when_the_driver_dies_help_ends_by_the_servos_own_watchdog():
    _, rig = sagging(1.0)

    def wait(seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            weigh_down(rig, 0.0)  # Somebody takes the weight: what helped is now a push.
            rig.clock.sleep(0.01)
            rig.emulated.bus.advance()

    wait(0.5)
    assert {servo.get("bus_watchdog") for servo in rig.emulated.servos} == {-1}
    where = rig.emulated.angles()
    wait(1.0)
    assert rig.emulated.angles() == pytest.approx(where, abs=0.01)


def test_a_stop_ends_help():
    _, rig = sagging(1.0)
    rig.driver.request_stop("stopped by a person")
    rig.run(0.05)
    assert rig.torques() == [False] * 6


@pytest.mark.parametrize(
    ("name", "limp"),
    [
        (
            "so101_leader",
            "shoulder_pan, shoulder_lift, elbow_flex, wrist_flex, wrist_roll, gripper",
        ),
        ("koch_follower", "shoulder_pan, shoulder_lift, elbow_flex, wrist_flex, wrist_roll"),
    ],
)
def test_servos_that_regulate_no_current_stay_limp_and_it_says_so(name, limp):
    wanted = DriverSettings(gravity_compensation=1.0)
    rig = ArmRig(name, wanted)
    rig.start()
    rig.driver.set_role(Role.LEAD)
    rig.run(0.1)
    helped = name == "koch_follower"
    assert rig.torques() == [False] * 5 + [helped]
    assert f"do nothing at {limp}: " in rig.driver.assistance.unable
    assert rig.driver.assistance.helping == (["gripper"] if helped else [])
    assert Assistance(LEADER, wanted).unable == ""
