"""The driver on an emulated arm, with time that only waiting moves."""

import numpy as np
import pytest
from rigs import FOLLOWERS, PERIOD, ArmRig, command_of

from hilserl_core.errors import UserError
from hilserl_drivers.driver import State


@FOLLOWERS
def test_configuring_switches_no_torque_on_and_activating_moves_nothing(name):
    rig = ArmRig(name)
    rig.driver.configure()
    assert rig.torques() == [False] * 6
    assert rig.driver.state == State.READY
    before = rig.emulated.angles()
    rig.driver.activate()
    assert rig.torques() == [True] * 6
    rig.run(1.0)
    assert rig.emulated.angles() == pytest.approx(before, abs=0.003)


def test_servos_in_another_mode_are_set_right_before_their_positions_are_believed():
    rig = ArmRig("koch_follower")
    rig.emulated.place([0.3, 0.2, 0.3, 0.2, 0.3, -0.4])
    for servo in rig.emulated.servos:
        servo.keep({"operating_mode": 3, "drive_mode": 1})
    rig.driver.configure()
    assert [servo.get("operating_mode") for servo in rig.emulated.servos] == [4, 4, 4, 4, 4, 5]
    assert rig.driver.joints.positions() == pytest.approx(rig.emulated.angles(), abs=0.01)


@FOLLOWERS
def test_it_follows_commands(name):
    rig = ArmRig(name)
    rig.start()
    target = command_of(rig, 0.2)
    target[5] = rig.emulated.angles()[5] - 0.1
    target = np.clip(target, rig.driver.setpoint.low, rig.driver.setpoint.high).tolist()
    rig.run(2.0, target)
    assert rig.emulated.angles() == pytest.approx(target, abs=0.01)
    sample = rig.driver.cycle()
    assert sample is not None
    assert sample.position == pytest.approx(target, abs=0.01)
    assert sample.age.max() == 0.0
    assert np.isnan(sample.current).tolist() == [
        spec.model == "XL430-W250" for spec in rig.arm.servos
    ]


@FOLLOWERS
def test_signs_are_the_joints_not_the_servos(name):
    for seed in range(2):
        rig = ArmRig(name, seed=seed)
        rig.start()
        for joint in rig.emulated.joints:
            joint.load = 0.2
        rig.run(1.0)
        sample = rig.driver.cycle()
        assert sample is not None
        measured = ~np.isnan(sample.current)
        assert sample.current[measured] == pytest.approx(0.2, abs=0.02)
        rig.run(0.05, command_of(rig, 0.3))
        sample = rig.driver.cycle()
        assert sample is not None
        assert (sample.velocity[:5] > 0.05).all()


@FOLLOWERS
def test_no_command_for_half_a_second_holds(name):
    rig = ArmRig(name)
    rig.start()
    target = command_of(rig, 0.02)
    rig.run(1.0, target)
    rig.driver.command(command_of(rig, 1.0))
    rig.run(0.5)
    rig.run(0.1)
    where = rig.driver.setpoint.value.copy()
    rig.run(1.0)
    assert rig.driver.setpoint.value == pytest.approx(where)
    assert rig.emulated.angles() == pytest.approx(where, abs=0.02)
    assert rig.torques() == [True] * 6


def test_bad_commands_are_counted_and_change_nothing():
    rig = ArmRig()
    rig.start()
    before = rig.emulated.angles()
    for bad in ([0.1], [np.nan] * 6, [np.inf] * 6, [0.0] * 7):
        rig.driver.command(bad)
        rig.run(0.05)
    assert rig.driver.refused_commands == 4
    assert rig.emulated.angles() == pytest.approx(before, abs=0.003)


@FOLLOWERS
def test_a_stop_cuts_the_torque_until_it_is_activated_again(name):
    rig = ArmRig(name)
    rig.start()
    rig.driver.request_stop("stopped by a person")
    rig.run(0.02)
    assert rig.torques() == [False] * 6
    assert (rig.driver.state, rig.driver.problem) == (State.STOPPED, "stopped by a person")
    rig.run(1.0, command_of(rig))
    assert rig.torques() == [False] * 6
    rig.driver.activate()
    assert rig.torques() == [True] * 6
    assert rig.driver.state == State.ACTIVE


@FOLLOWERS
def test_deactivating_and_closing_take_the_torque_off(name):
    rig = ArmRig(name)
    rig.start()
    rig.driver.deactivate()
    assert rig.torques() == [False] * 6
    assert rig.driver.cycle() is not None
    rig.driver.activate()
    rig.driver.close()
    assert rig.torques() == [False] * 6
    assert rig.driver.cycle() is None


@FOLLOWERS
def test_going_home_is_slow_and_ignores_commands(name):
    rig = ArmRig(name)
    rig.start()
    homing = rig.driver.home()
    fastest = 0.0
    for _ in range(500):
        before = rig.driver.setpoint.value.copy()
        rig.driver.command([0.0] * 6)
        rig.run(PERIOD)
        fastest = max(fastest, float(np.abs(rig.driver.setpoint.value - before).max()))
        if homing.done:
            break
    assert homing.done
    assert homing.problem == ""
    assert fastest == pytest.approx(rig.settings.home_velocity * PERIOD)
    assert rig.emulated.angles() == pytest.approx(homing.target, abs=0.03)


def test_something_in_the_way_of_home_is_said():
    rig = ArmRig()
    rig.start()
    elbow = rig.emulated.joints[2]
    elbow.low = -0.3
    homing = rig.driver.home()
    rig.run(10.0)
    assert homing.done
    # It strained against it until the servo gave up, or the way home was given up.
    assert "elbow_flex" in homing.problem


@FOLLOWERS
def test_a_hardware_error_is_latched_and_says_what_to_do(name):
    rig = ArmRig(name)
    rig.start()
    rig.emulated.servos[3].temperature = 85.0
    rig.run(0.1)
    assert rig.torques() == [False] * 6
    assert rig.driver.state == State.STOPPED
    assert "servo 4 (wrist_flex) has stopped itself (overheated)" in rig.driver.problem
    assert "release_stop" in rig.driver.problem
    with pytest.raises(UserError, match="overheated"):
        rig.driver.activate()
    assert rig.torques() == [False] * 6
    rig.emulated.servos[3].temperature = 40.0
    rig.driver.activate()
    rig.run(0.5)
    assert rig.driver.state == State.ACTIVE
    assert rig.torques() == [True] * 6


def test_the_driver_stops_before_the_voltage_is_gone():
    rig = ArmRig("koch_follower")
    rig.start()
    for servo in rig.emulated.servos[:2]:
        servo.voltage = 6.2  # Above the servo's own limit of 6.0 V, below what it needs.
    rig.run(0.2)
    assert rig.driver.state == State.STOPPED
    assert "servo 1 (shoulder_pan), a XL430-W250, has 6.2 V" in rig.driver.problem


def test_an_arm_that_is_not_connected_is_not_activated():
    rig = ArmRig()
    with pytest.raises(UserError, match="not connected"):
        rig.driver.activate()
