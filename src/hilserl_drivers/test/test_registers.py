"""Addresses, signs and units, against the vendors' figures written out here once more."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_drivers.models import MODELS, model_by_number, model_name
from hilserl_drivers.registers import Family, Mode, radians_to_ticks, ticks_to_radians

X_SERIES = {
    "baud_rate": (8, 1),
    "drive_mode": (10, 1),
    "operating_mode": (11, 1),
    "homing_offset": (20, 4),
    "velocity_limit": (44, 4),
    "max_position": (48, 4),
    "min_position": (52, 4),
    "torque_enable": (64, 1),
    "hardware_error": (70, 1),
    "position_d_gain": (80, 2),
    "position_i_gain": (82, 2),
    "position_p_gain": (84, 2),
    "bus_watchdog": (98, 1),
    "goal_pwm": (100, 2),
    "goal_velocity": (104, 4),
    "profile_acceleration": (108, 4),
    "profile_velocity": (112, 4),
    "goal_position": (116, 4),
    "present_velocity": (128, 4),
    "present_position": (132, 4),
    "present_voltage": (144, 2),
    "present_temperature": (146, 1),
}
XL330 = {"current_limit": (38, 2), "goal_current": (102, 2), "present_current": (126, 2)}
STS3215 = {
    "return_delay": (7, 1),
    "min_position": (9, 2),
    "max_position": (11, 2),
    "phase": (18, 1),
    "position_p_gain": (21, 1),
    "position_d_gain": (22, 1),
    "position_i_gain": (23, 1),
    "protection_current": (28, 2),
    "homing_offset": (31, 2),
    "operating_mode": (33, 1),
    "torque_enable": (40, 1),
    "profile_acceleration": (41, 1),
    "goal_position": (42, 2),
    "goal_time": (44, 2),
    "profile_velocity": (46, 2),
    "torque_limit": (48, 2),
    "lock": (55, 1),
    "present_position": (56, 2),
    "present_velocity": (58, 2),
    "present_load": (60, 2),
    "present_voltage": (62, 1),
    "present_temperature": (63, 1),
    "moving": (66, 1),
    "present_current": (69, 2),
}
EXPECTED = {
    "XL430-W250": {**X_SERIES, "present_load": (126, 2)},
    "XL330-M288": {**X_SERIES, **XL330},
    "XL330-M077": {**X_SERIES, **XL330},
    "STS3215": STS3215,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_registers_lie_where_the_manual_says(name):
    registers = MODELS[name].registers
    found = {key: (registers[key].address, registers[key].size) for key in EXPECTED[name]}
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", MODELS)
def test_no_two_registers_overlap(name):
    entries = sorted(MODELS[name].registers.values(), key=lambda register: register.address)
    for before, after in itertools.pairwise(entries):
        assert before.end <= after.address


def test_what_an_xl430_does_not_have():
    xl430 = MODELS["XL430-W250"]
    assert xl430.current_unit is None
    assert not {"present_current", "goal_current", "current_limit"} & set(xl430.registers)
    assert set(xl430.modes.values()) == {1, 3, 4, 16}
    assert set(MODELS["XL330-M288"].modes.values()) == {0, 1, 3, 4, 5, 16}
    assert MODELS["STS3215"].modes[Mode.POSITION] == 0


def test_model_numbers():
    numbers = {name: model.number for name, model in MODELS.items()}
    assert numbers == {"XL430-W250": 1060, "XL330-M288": 1200, "XL330-M077": 1190, "STS3215": 777}
    assert model_by_number(Family.FEETECH, 1060) is None
    assert model_name(Family.DYNAMIXEL, 1200) == "XL330-M288"
    assert model_name(Family.DYNAMIXEL, 4711) == "model 4711"


@pytest.mark.parametrize(
    ("model", "register", "value", "data"),
    [
        # Two's complement.
        ("XL330-M288", "present_position", -1, "ffffffff"),
        ("XL330-M288", "goal_position", 1_048_575, "ffff0f00"),
        ("XL330-M288", "homing_offset", -1024, "00fcffff"),
        ("XL330-M288", "present_current", -100, "9cff"),
        ("XL330-M288", "bus_watchdog", -1, "ff"),
        # Magnitude and sign bit: 15 for positions, velocities, currents; 10 for loads; 11 for
        # offsets.
        ("STS3215", "present_position", -1, "0180"),
        ("STS3215", "present_velocity", -300, "2c81"),
        ("STS3215", "present_current", -7, "0780"),
        ("STS3215", "present_load", -100, "6404"),
        ("STS3215", "homing_offset", -100, "6408"),
        ("STS3215", "homing_offset", 2047, "ff07"),
        ("STS3215", "goal_position", 4095, "ff0f"),
    ],
)
def test_numbers_with_a_sign(model, register, value, data):
    entry = MODELS[model].registers[register]
    assert entry.encode(value).hex() == data
    assert entry.decode(bytes.fromhex(data)) == value


ALL = [(model.name, name) for model in MODELS.values() for name in model.registers]


@given(st.sampled_from(ALL), st.data())
def test_every_number_comes_back(which, data):
    entry = MODELS[which[0]].registers[which[1]]
    low, high = entry.range()
    value = data.draw(st.integers(low, high))
    encoded = entry.encode(value)
    assert len(encoded) == entry.size
    assert entry.decode(encoded) == value


@given(st.sampled_from(ALL), st.data())
def test_what_does_not_fit_is_refused(which, data):
    entry = MODELS[which[0]].registers[which[1]]
    low, high = entry.range()
    beyond = st.integers(high + 1, high + 10_000) | st.integers(low - 10_000, low - 1)
    with pytest.raises(ValueError, match="does not fit"):
        entry.encode(data.draw(beyond))


def test_units():
    assert ticks_to_radians(2048) == 0.0
    assert ticks_to_radians(2048 + 1024) == pytest.approx(math.pi / 2)
    assert ticks_to_radians(2048 - 4096) == pytest.approx(-2 * math.pi)
    rpm = 2 * math.pi / 60
    for name in ("XL430-W250", "XL330-M288", "XL330-M077"):
        assert MODELS[name].velocity_unit == pytest.approx(0.229 * rpm)
    assert MODELS["STS3215"].velocity_unit == pytest.approx(0.01465 * rpm, rel=1e-3)
    assert MODELS["XL330-M288"].current_unit == 0.001
    assert MODELS["STS3215"].current_unit == 0.0065
    # 214.577 rev/min^2 a count, and 100 steps/s^2.
    assert MODELS["XL330-M288"].acceleration_unit == pytest.approx(214.577 * 2 * math.pi / 3600)
    assert MODELS["STS3215"].acceleration_unit == pytest.approx(100 * 2 * math.pi / 4096)


@given(st.floats(-800, 800))
def test_positions_come_back_to_half_a_tick(radians):
    back = ticks_to_radians(radians_to_ticks(radians))
    assert abs(back - radians) <= math.pi / 4096 + 1e-9
