"""The driver on an emulated arm, with time that only waiting moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs import BOTH, PERIOD, ArmRig

from hilserl_core.errors import UserError
from hilserl_drivers.driver import DriverSettings, Role, State
from hilserl_drivers.emulator.faults import FaultRates, Faults

ARMS = pytest.mark.parametrize("name", BOTH)


def command_of(rig: ArmRig, offset: float = 0.2) -> list[float]:
    return (rig.emulated.angles() + offset).tolist()


@ARMS
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


@ARMS
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


@ARMS
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


@ARMS
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


@ARMS
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


def test_a_stop_while_unplugged_takes_effect_once_it_is_back():
    rig = ArmRig()
    rig.start()
    rig.unplug()
    rig.driver.request_stop("stopped by a person")
    rig.run(0.5)
    rig.plug_in()
    rig.run(0.5, command_of(rig))
    assert rig.torques() == [False] * 6
    assert rig.driver.state == State.STOPPED


@ARMS
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


@ARMS
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


def test_the_way_home_goes_on_after_a_pulled_plug_and_ends_without_the_arm():
    rig = ArmRig()
    rig.start()
    homing = rig.driver.home()
    rig.run(0.3)
    rig.unplug()
    rig.run(0.5)
    assert not homing.done
    rig.plug_in()
    rig.run(6.0)
    assert (homing.done, homing.problem) == (True, "")
    homing = rig.driver.home()
    rig.unplug()
    rig.run(26.0)
    assert homing.done
    assert homing.problem.startswith("lost the arm")


def test_a_stop_while_unplugged_does_not_cut_the_torque_of_a_later_start():
    rig = ArmRig()
    rig.start()
    rig.unplug()
    rig.run(0.2)
    rig.driver.deactivate()
    rig.plug_in()
    rig.run(0.3)
    assert rig.torques() == [False] * 6
    rig.driver.activate()
    rig.run(0.3)
    assert rig.torques() == [True] * 6


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


@ARMS
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


@ARMS
def test_unplugging_holds_and_plugging_in_goes_on_from_there(name):
    rig = ArmRig(name)
    rig.start()
    target = command_of(rig, 0.3)
    rig.run(0.3, target)
    rig.unplug()
    rig.run(0.6, target)
    assert not rig.driver.connected
    assert "it goes on by itself" in rig.driver.problem
    stopped = rig.emulated.angles()
    rig.run(1.0, target)
    assert rig.emulated.angles() == pytest.approx(stopped, abs=0.002)
    rig.plug_in()
    rig.run(0.2, target)
    assert rig.driver.connected
    assert rig.driver.problem == ""
    rig.run(2.0, target)
    goal = np.clip(target, rig.driver.setpoint.low, rig.driver.setpoint.high)
    assert rig.emulated.angles() == pytest.approx(goal, abs=0.02)


@ARMS
def test_a_power_cut_is_survived_without_a_jump(name):
    rig = ArmRig(name)
    rig.start()
    target = command_of(rig, 0.2)
    rig.run(1.0, target)
    servos = [(servo, servo.baud) for servo in rig.emulated.servos]
    # Without power nobody answers, and the arm sinks.
    for servo, _ in servos:
        servo.set("baud_rate", 1 if name.startswith("koch") else 4)
        servo.set("torque_enable", 0)
    rig.run(0.5, target)
    rig.emulated.place(rig.emulated.angles() - 0.4)
    rig.emulated.power_cycle()
    before = rig.emulated.angles()
    fastest = 0.0
    for _ in range(60):
        rig.run(PERIOD, target)
        fastest = max(fastest, *(abs(joint.velocity) for joint in rig.emulated.joints))
    assert rig.driver.connected
    assert rig.torques() == [True] * 6
    assert fastest < 1.2 * rig.settings.rejoin_velocity
    assert (rig.emulated.angles() > before).any()


@ARMS
def test_a_servo_that_lost_its_torque_for_a_moment_gets_it_back(name):
    rig = ArmRig(name)
    rig.start()
    target = command_of(rig, 0.1)
    rig.run(0.5, target)
    rig.emulated.servos[2].restart()
    rig.run(0.8, target)
    assert rig.torques() == [True] * 6
    assert rig.driver.state == State.ACTIVE


def test_another_arm_on_the_same_port_gets_no_torque():
    rig = ArmRig(seed=0)
    rig.start()
    rig.unplug()
    rig.run(0.2)
    other = ArmRig(seed=1)
    rig.emulated.servos[:] = []
    rig.emulated.bus = other.emulated.bus
    other.emulated.bus._clock = rig.clock
    rig.plug_in()
    rig.run(0.3)
    assert rig.driver.state == State.STOPPED
    assert "is the calibration of another koch_follower" in rig.driver.problem
    assert other.torques() == [False] * 6


def test_a_stall_longer_than_the_watchdog_is_recovered_from():
    rig = ArmRig("koch_follower")
    rig.start()
    target = command_of(rig, 0.3)
    rig.run(0.2, target)
    rig.clock.sleep(0.9)
    rig.emulated.bus.advance()
    assert {servo.get("bus_watchdog") for servo in rig.emulated.servos} == {-1}
    rig.run(2.0, target)
    goal = np.clip(target, rig.driver.setpoint.low, rig.driver.setpoint.high)
    assert rig.emulated.angles() == pytest.approx(goal, abs=0.02)


def test_when_the_driver_dies_the_servos_stop_by_themselves():
    rig = ArmRig("koch_follower")
    rig.start()
    for servo in rig.emulated.servos:
        servo.set("goal_position", servo.get("present_position") + 2000)
    rig.clock.sleep(0.5)
    rig.emulated.bus.advance()
    rig.clock.sleep(0.1)
    rig.emulated.bus.advance()
    where = rig.emulated.angles()
    rig.clock.sleep(1.0)
    rig.emulated.bus.advance()
    assert rig.emulated.angles() == pytest.approx(where, abs=0.01)


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


def test_an_arm_that_is_not_connected_is_not_activated():
    rig = ArmRig()
    with pytest.raises(UserError, match="not connected"):
        rig.driver.activate()


RATES = st.sampled_from([0.01, 0.03])


@ARMS
@given(rate=RATES, seed=st.integers(0, 1000))
@settings(max_examples=4)
def test_whatever_the_wire_does_nothing_escapes_and_no_value_is_wrong(name, rate, seed):
    faults = Faults(seed=seed)
    rig = ArmRig(name, faults=faults)
    rig.start()
    faults.rates = FaultRates.all(rate)
    low, high = rig.driver.setpoint.low, rig.driver.setpoint.high
    target = rig.emulated.angles()
    for step in range(10):
        target = np.clip(target + 0.05 * (-1) ** (step // 3), low, high)
        rig.driver.command(target)
        for _ in range(10):
            began = rig.clock()
            sample = rig.driver.cycle()
            if sample is not None:
                wrong = np.abs(sample.position - rig.emulated.angles())
                assert (wrong <= 0.05 + 8.0 * (sample.age + 0.02)).all()
            assert (rig.driver.setpoint.value >= low - 0.3).all()
            assert (rig.driver.setpoint.value <= high + 0.3).all()
            rig.clock.sleep(max(0.0, PERIOD - (rig.clock() - began)))
    faults.rates = FaultRates()
    rig.run(0.2, target.tolist())
    assert rig.driver.connected
    sample = rig.driver.cycle()
    assert sample is not None
    assert sample.position == pytest.approx(rig.emulated.angles(), abs=0.02)
