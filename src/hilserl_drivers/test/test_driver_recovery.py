"""The driver when the arm is gone, not itself, or badly understood: plugs, power, the wire."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs import FOLLOWERS, PERIOD, ArmRig, command_of

from hilserl_drivers.driver import State
from hilserl_drivers.emulator.faults import FaultRates, Faults


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


@FOLLOWERS
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


@FOLLOWERS
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


@FOLLOWERS
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


RATES = st.sampled_from([0.01, 0.03])


@FOLLOWERS
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
