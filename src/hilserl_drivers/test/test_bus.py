"""Both families through the vendors' SDKs: the same names, units and rules."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rigs import ServoRig

from hilserl_drivers.bus import half_turn_offset
from hilserl_drivers.emulator.faults import FaultRates
from hilserl_drivers.emulator.servo import EmulatedServo
from hilserl_drivers.models import MODELS
from hilserl_drivers.registers import Family, Mode
from hilserl_drivers.transactions import BusError, Refused

MIXED = ["XL430-W250", "XL330-M288", "XL330-M077"]
FEETECH = ["STS3215"] * 3
FAMILIES = pytest.mark.parametrize("models", [MIXED, FEETECH], ids=["dynamixel", "feetech"])


@FAMILIES
def test_scan_finds_who_is_there(models):
    rig = ServoRig(models)
    found = rig.bus.scan(range(8))
    assert found == {n: MODELS[name].number for n, name in enumerate(models, 1)}


@FAMILIES
def test_positions_go_there_and_back(models):
    rig = ServoRig(models)
    goals = {1: 0.5, 2: -1.25, 3: 3.0}
    rig.bus.set_torque(goals, True)
    rig.bus.write_positions(goals)
    rig.clock.sleep(2.0)
    readings = rig.bus.read_states([1, 2, 3])
    for servo, goal in goals.items():
        assert readings[servo].position == pytest.approx(goal, abs=0.002)
        assert readings[servo].velocity == pytest.approx(0.0, abs=0.03)
        assert readings[servo].temperature == 30.0
        assert not readings[servo].alert


@FAMILIES
def test_signs_of_what_is_measured(models):
    rig = ServoRig(models)
    rig.bus.write_positions({1: 0.0, 2: 0.0, 3: 0.0})
    rig.bus.set_torque([1, 2, 3], True)
    for joint in rig.emulated.plant.joints:
        joint.load = -0.4  # A: what hangs on it pulls it up; the servo pulls down.
    rig.bus.write_positions({1: -1.0, 2: -1.0, 3: -1.0})
    rig.clock.sleep(0.05)
    for reading in rig.bus.read_states([1, 2, 3]).values():
        assert reading.velocity < -1.0
    rig.clock.sleep(1.0)
    readings = rig.bus.read_states([1, 2, 3])
    for servo, reading in readings.items():
        model = rig.bus.models[servo]
        if model.current_unit is None:
            assert math.isnan(reading.current)
            assert reading.load == pytest.approx(-0.4 / model.stall_current, abs=0.01)
        else:
            assert reading.current == pytest.approx(-0.4, abs=0.01)


def test_an_xl330_reports_no_load_and_an_xl430_no_current():
    readings = ServoRig(MIXED).bus.read_states([1, 2])
    assert math.isnan(readings[1].current)
    assert not math.isnan(readings[1].load)
    assert math.isnan(readings[2].load)
    assert not math.isnan(readings[2].current)


def test_homing_offsets_are_added_by_one_family_and_subtracted_by_the_other():
    dynamixel, feetech = ServoRig(MIXED), ServoRig(FEETECH)
    for rig, sign in ((dynamixel, 1), (feetech, -1)):
        before = rig.bus.read(2, "present_position")
        rig.bus.write_lasting(2, "homing_offset", 500)
        rig.clock.sleep(0.01)
        assert rig.bus.read(2, "present_position") == before + sign * 500


@pytest.mark.parametrize("name", ["XL330-M288", "STS3215"])
@given(ticks=st.integers(0, 4095), old=st.integers(-2047, 2047), target=st.integers(0, 4095))
@example(ticks=1, old=2047, target=0)
@settings(max_examples=30)
def test_an_offset_that_makes_a_servo_read_what_is_wanted(name, ticks, old, target):
    model = MODELS[name]
    offset = half_turn_offset(model, ticks, old, target)
    low, high = model.registers["homing_offset"].range()
    assert low <= offset <= high
    encoder = ticks - model.offset_sign * old
    if (target - encoder) % 4096 == 2048 and high < 2048:
        offset += 1  # The register cannot hold half a turn: as near as can be.
    assert (encoder + model.offset_sign * offset - target) % 4096 == 0


def test_positions_go_on_beyond_a_turn():
    rig = ServoRig(MIXED)
    rig.bus.set_mode(2, Mode.EXTENDED_POSITION)
    rig.bus.set_torque([2], True)
    rig.bus.write_positions({2: -9.0})
    rig.clock.sleep(5.0)
    assert rig.bus.read_states([2])[2].position == pytest.approx(-9.0, abs=0.002)


@FAMILIES
def test_eeprom_is_written_without_torque_only(models):
    rig = ServoRig(models)
    rig.bus.set_torque([1], True)
    with pytest.raises(Refused):
        rig.bus.write_lasting(1, "homing_offset", 77)
    rig.bus.set_torque([1], False)
    rig.bus.write_lasting(1, "homing_offset", 77)
    rig.servos[0].restart()
    assert rig.bus.read(1, "homing_offset") == 77
    assert rig.bus.read(1, "torque_enable") == 0


def test_a_feetech_forgets_what_is_written_while_locked():
    rig = ServoRig(FEETECH)
    rig.bus.write(1, "homing_offset", 77)
    assert rig.bus.read(1, "homing_offset") == 77
    rig.servos[0].restart()
    assert rig.bus.read(1, "homing_offset") == 0


def test_modes_that_a_model_lacks_are_refused_by_name():
    rig = ServoRig(MIXED)
    with pytest.raises(Refused, match="XL430-W250, which has no current_position mode"):
        rig.bus.set_mode(1, Mode.CURRENT_POSITION)
    rig.bus.set_mode(2, Mode.CURRENT_POSITION)
    assert rig.servos[1].mode == Mode.CURRENT_POSITION


@FAMILIES
def test_effort_limits_hold(models):
    rig = ServoRig(models)
    if models is MIXED:
        rig.bus.set_mode(2, Mode.CURRENT_POSITION)
    rig.bus.set_effort_limit(2, 0.2)
    rig.bus.set_torque([2], True)
    joint = rig.emulated.plant.joints[1]
    joint.low = joint.high = 0.0
    rig.bus.write_positions({2: 1.0})
    rig.clock.sleep(0.5)
    reading = rig.bus.read_states([2])[2]
    limit = 0.2 * (1.75 if models is MIXED else MODELS["STS3215"].stall_current)
    assert reading.current == pytest.approx(limit, rel=0.05)


@FAMILIES
def test_profiles_limit_the_velocity(models):
    rig = ServoRig(models)
    rig.bus.set_profile(2, 1.0, 0.0)
    rig.bus.set_torque([2], True)
    rig.bus.write_positions({2: 1.5})
    rig.clock.sleep(0.5)
    assert rig.bus.read_states([2])[2].velocity == pytest.approx(1.0, abs=0.05)


@FAMILIES
def test_one_lost_answer_does_not_take_the_others(models):
    rig = ServoRig(models)
    rig.servos[1].set("id", 9)
    rig.bus.attach(9, rig.servos[1].model)
    assert set(rig.bus.read_states([1, 2, 3])) == {1, 3}
    assert set(rig.bus.read_states([1, 9, 3])) == {1, 9, 3}
    assert rig.bus.counts.lost == 1


@FAMILIES
def test_an_answer_next_to_a_missing_one_may_be_the_missing_ones(models):
    rig = ServoRig(models)
    rig.servos[0].set("id", 9)
    doubtful = {servo: state.doubtful for servo, state in rig.bus.read_states([1, 2, 3]).items()}
    assert doubtful == {2: True, 3: False}
    with pytest.raises(BusError, match="servo 1 does not answer"):
        rig.bus.read_all([1, 2, 3])


@FAMILIES
def test_an_answer_out_of_its_turn_does_not_count(models):
    rig = ServoRig(models)
    in_time = rig.faults.answer

    def second_last(codec, servo, *rest):
        delay = 0.001 * (servo == 2)
        return [(delay, part) for _, part in in_time(codec, servo, *rest)]

    rig.faults.answer = second_last
    assert set(rig.bus.read_states([1, 2, 3])) == {1}
    rig.faults.answer = in_time
    assert set(rig.bus.read_states([1, 2, 3])) == {1, 2, 3}


@FAMILIES
@pytest.mark.parametrize("asked", ["several", "one"])
def test_servos_that_wait_for_the_rest_of_a_damaged_request_are_woken(models, asked):
    rig = ServoRig(models)
    family = rig.bus.family
    long = [0xFF, 0xFF, 0xFD, 0, 1, 250, 0] if family == Family.DYNAMIXEL else [0xFF, 0xFF, 1, 250]
    rig.emulated.receive(bytes(long), rig.bus.baud)
    if asked == "one":
        assert rig.bus.read(1, "present_temperature") == 30
    else:
        assert rig.bus.read_states([1, 2, 3]) == {}
        assert set(rig.bus.read_states([1, 2, 3])) == {1, 2, 3}


@FAMILIES
def test_an_answer_that_comes_late_is_not_the_next_ones(models):
    rig = ServoRig(models, FaultRates(late=1.0))
    for _ in range(20):
        rig.bus.read_states([1, 2, 3])
        rig.faults.rates = FaultRates()
        # Answers to the state request, of another length, arrive while this one waits.
        assert rig.bus.read(2, "present_temperature") == 30
        rig.faults.rates = FaultRates(late=1.0)


@FAMILIES
def test_late_answers_of_the_same_length_are_told_apart(models):
    rig = ServoRig(models)
    servo = rig.servos[0]
    values = {"position_p_gain": 11, "position_i_gain": 22, "position_d_gain": 33}
    for name, value in values.items():
        servo.set(name, value)
    right = 0
    for n in range(150):
        name = list(values)[n % 3]
        # Some answers to one question come while the next is asked.
        rig.faults.rates = FaultRates(late=0.3)
        try:
            assert rig.bus.read(1, name) == values[name]
            right += 1
        except BusError:
            pass  # It may give up, but not be wrong.
    assert right > 100


@FAMILIES
def test_two_servos_of_one_id_are_not_believed(models):
    rig = ServoRig(models)
    rig.servos[2].set("id", 2)
    rig.emulated.plant.joints[2].position = 0.7
    rig.clock.sleep(0.01)
    for _ in range(10):
        assert 2 not in rig.bus.read_states([1, 2])


@FAMILIES
def test_a_servo_that_is_gone_is_named(models):
    rig = ServoRig(models)
    rig.bus.attach(8, rig.servos[0].model)
    with pytest.raises(BusError, match="servo 8 does not answer a request for its homing_offset"):
        rig.bus.read(8, "homing_offset")
    with pytest.raises(BusError, match="servo 8"):
        rig.bus.set_torque([8, 1], True)
    assert rig.bus.read(1, "torque_enable") == 1


def test_a_restart_clears_a_dynamixels_error():
    rig = ServoRig(MIXED)
    servo = rig.servos[1]
    rig.bus.set_torque([2], True)
    servo.temperature = 90.0
    rig.clock.sleep(0.1)
    assert rig.bus.read_states([2])[2].alert
    assert rig.bus.models[2].error_text(rig.bus.read(2, "hardware_error")) == "overheated"
    with pytest.raises(Refused):
        rig.bus.write(2, "torque_enable", 1)
    servo.temperature = 30.0
    rig.bus.reboot(2)
    assert rig.bus.read(2, "hardware_error") == 0


def test_every_emulated_model_answers_with_its_number():
    for model in MODELS.values():
        assert EmulatedServo(model, 5).get("model_number") == model.number
