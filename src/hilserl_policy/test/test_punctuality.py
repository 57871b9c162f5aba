"""What counts as late, and what as missed."""

import pytest

from hilserl_policy.punctuality import Punctuality

PERIOD = 0.1


def tick(loop: Punctuality, now: float) -> None:
    """A tick of a grid that begins at 0, as a timer tells it."""
    loop.tick(now, PERIOD - now % PERIOD)


def test_lateness_is_the_distance_to_the_grid():
    loop = Punctuality(PERIOD)
    assert loop.values() == {}
    for number in range(100):
        tick(loop, 5.0 + number * PERIOD + (0.02 if number == 50 else 0.001))
    values = loop.values()
    assert values["ticks"] == 100
    assert values["ticks missed"] == 0
    assert values["tick lateness max (ms)"] == 20.0
    assert 1.0 <= values["tick lateness p99 (ms)"] < 2.0


def test_a_tick_that_runs_late_is_not_one_missed():
    loop = Punctuality(PERIOD)
    for now in (1.001, 1.161, 1.201, 1.301):  # the second is 61 ms late
        tick(loop, now)
    assert loop.missed == 0


def test_ticks_that_never_came_are_missed():
    loop = Punctuality(PERIOD)
    for now in (1.001, 1.351, 1.401):  # 1.1 and 1.2 did not come; 1.3 was late
        tick(loop, now)
    assert loop.missed == 2
    loop.nothing_new()
    assert (loop.missed, loop.blind) == (2, 1)
    assert loop.values()["ticks without new measurements"] == 1


def test_what_lies_between_two_episodes_is_not_missed():
    loop = Punctuality(PERIOD)
    tick(loop, 1.001)
    loop.pause()
    tick(loop, 3.001)
    assert loop.missed == 0


def test_a_new_phase_starts_anew():
    loop = Punctuality(PERIOD)
    tick(loop, 1.05)
    tick(loop, 1.45)
    loop.restart()
    tick(loop, 9.001)
    assert (loop.ticks, loop.missed) == (1, 0)
    assert loop.values()["tick lateness max (ms)"] == 1.0


def test_the_worst_is_taken_once():
    loop = Punctuality(PERIOD)
    assert loop.take_worst() is None
    for now in (1.001, 1.161, 1.201):
        tick(loop, now)
    assert loop.take_worst() == pytest.approx(0.061)
    tick(loop, 1.302)
    assert loop.take_worst() == pytest.approx(0.002)
    assert loop.take_worst() is None
