import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_drivers.bus import Reading
from hilserl_drivers.models import MODELS
from hilserl_drivers.plausibility import CONFIRMATIONS, JUMP, Plausibility

MODEL = MODELS["XL330-M288"]
STILL = Reading(0.0, 0.0, 0.0, math.nan, 5.0, 30.0, False)


def settled() -> Plausibility:
    judge = Plausibility(MODEL)
    assert judge.accept(STILL, 0.0)
    return judge


def test_a_jump_is_not_believed_but_a_joint_that_stays_there_is():
    judge = settled()
    there = replace(STILL, position=0.6)
    for n in range(1, CONFIRMATIONS):
        assert not judge.accept(there, 0.01 * n)
    assert judge.accept(there, 0.01 * CONFIRMATIONS)
    assert judge.rejected == CONFIRMATIONS - 1


def test_single_jumps_never_add_up():
    judge = settled()
    for n in range(1, 50):
        wrong = replace(STILL, position=0.6 if n % 2 else 0.0)
        assert judge.accept(wrong, 0.01 * n) == (n % 2 == 0)


def test_motion_explains_a_change():
    judge = settled()
    fast = replace(STILL, position=0.1, velocity=8.0)
    assert judge.accept(fast, 0.01)
    assert not judge.accept(replace(STILL, position=0.3, velocity=0.5), 0.02)


def test_nothing_moves_against_its_velocity():
    judge = settled()
    assert judge.accept(replace(STILL, velocity=8.0), 0.01)
    assert not judge.accept(replace(STILL, position=-0.1, velocity=8.0), 0.02)


def test_a_doubtful_reading_is_never_believed():
    judge = settled()
    for n in range(1, 2 * CONFIRMATIONS):
        assert not judge.accept(replace(STILL, doubtful=True), 0.01 * n)


@pytest.mark.parametrize(
    "change",
    [
        {"velocity": 60.0},
        {"current": -4.0},
        {"voltage": 80.0},
        {"temperature": 200.0},
        {"load": 2.0},
    ],
)
def test_what_no_servo_measures_is_never_believed(change):
    judge = settled()
    for n in range(10):
        assert not judge.accept(replace(STILL, **change), 0.01 * n)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_what_is_believed_never_jumps_unless_confirmed(positions):
    judge = settled()
    believed, unconfirmed = 0.0, 0
    for n, position in enumerate(positions, 1):
        if judge.accept(replace(STILL, position=position), 0.01 * n):
            assert abs(position - believed) <= JUMP + 1e-9 or unconfirmed >= CONFIRMATIONS - 1
            believed, unconfirmed = position, 0
        else:
            unconfirmed += 1
