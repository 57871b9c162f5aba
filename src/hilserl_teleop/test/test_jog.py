"""What axes and buttons mean: deadband, mapping, taking over by motion, and devices that die."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_core.step import Event
from hilserl_description import koch
from hilserl_teleop.jog import LAYOUTS, Jog, JogSettings

REST = [0.0] * 6


def spacemouse(**settings: object) -> Jog:
    return Jog("spacemouse", koch.action_spec(), JogSettings(**settings))


@pytest.mark.parametrize(
    ("axes", "moved"),
    [
        ([1, 0, 0, 0, 0, 0], [0, 1, 0]),  # Pushed away: forwards.
        ([0, 1, 0, 0, 0, 0], [-1, 0, 0]),  # To the left.
        ([0, 0, 1, 0, 0, 0], [0, 0, 1]),  # Lifted.
        ([0, 0, 0, 1, 1, 1], [0, 0, 0]),
    ],
)
def test_the_cap_moves_the_tool_as_seen_from_behind_the_arm(axes, moved):
    jog = spacemouse()
    jog.axes(axes, 0.0)
    assert jog.action(0.0) == pytest.approx([*moved, 0])


@given(st.lists(st.floats(), min_size=0, max_size=9), st.sampled_from(list(LAYOUTS)))
def test_whatever_comes_is_an_action_of_the_space(axes, kind):
    for space in ("ee_delta", "joint_delta"):
        spec = koch.action_spec(space)
        jog = Jog(kind, spec, JogSettings())
        jog.axes(axes, 0.0)
        values = jog.action(0.0)
        assert values.shape == (spec.dim,)
        assert (np.abs(values) <= 1).all()


@given(st.floats(-1, 1))
def test_nothing_moves_within_the_deadband_and_no_step_is_at_its_edge(value):
    jog = spacemouse(deadband=0.2, speed=0.5)
    jog.axes([0, 0, value, 0, 0, 0], 0.0)
    z = jog.action(0.0)[2]
    expected = 0.5 * np.sign(value) * max(0.0, (abs(value) - 0.2) / 0.8)
    assert z == pytest.approx(expected, abs=1e-6)


def test_motion_takes_over_and_rest_gives_the_arm_back():
    jog = spacemouse()
    jog.axes(REST, 0.0)
    assert jog.event(0.0, driving=False) is None
    jog.axes([0.5, 0, 0, 0, 0, 0], 1.0)
    assert jog.event(1.0, driving=False) == Event.TAKEOVER
    assert jog.event(1.0, driving=True) is None
    jog.axes(REST, 1.2)
    assert jog.event(1.5, driving=True) is None, "a pause is no release"
    jog.axes(REST, 1.7)
    assert jog.event(1.7, driving=True) == Event.RELEASE
    assert jog.event(1.7, driving=False) is None


def test_a_device_that_dies_while_it_is_held_says_nothing_and_releases_nothing():
    jog = spacemouse()
    jog.axes([0.5, 0, 0, 0, 0, 0], 1.0)
    assert jog.action(1.4) is not None
    assert jog.action(2.0) is None
    assert jog.event(5.0, driving=True) is None
    jog.axes(REST, 6.0)
    assert jog.action(6.0) == pytest.approx(0.0)


def test_one_at_rest_may_be_silent():
    jog = spacemouse()
    jog.axes(REST, 0.0)
    assert jog.action(100.0) == pytest.approx(0.0)


def test_buttons_count_when_they_go_down():
    jog = spacemouse()
    assert jog.buttons([1, 0], 0.0, driving=True) == []
    assert jog.action(0.0)[3] == -1.0
    jog.buttons([1, 0], 1.0, driving=True)
    assert jog.action(1.0)[3] == 0.0, "held, it is the same press"
    jog.buttons([0, 1], 2.0, driving=True)
    assert jog.action(2.0)[3] == 1.0


def test_a_gamepads_buttons_take_over_judge_and_stop():
    jog = Jog("gamepad", koch.action_spec(), JogSettings(success=9))
    jog.axes([0, 1, 0, 0, 0, 0], 0.0)
    assert jog.event(0.0, driving=False) is None, "a stick that is touched takes nothing over"
    pressed = lambda number: [int(i == number) for i in range(11)]  # noqa: E731
    assert jog.buttons(pressed(7), 0.0, driving=False) == [Event.TAKEOVER]
    jog.buttons(pressed(-1), 0.1, driving=True)
    assert jog.buttons(pressed(7), 0.2, driving=True) == [Event.RELEASE]
    assert jog.buttons(pressed(9), 0.3, driving=True) == [Event.SUCCESS]
    assert jog.buttons(pressed(8), 0.4, driving=True) == [Event.STOP]
    assert jog.event(100.0, driving=True) is None


@pytest.mark.parametrize(
    ("axes", "message"),
    [(("+0", "+1"), "2 axes for ee_delta"), (("+0", "x", "+2"), "'x' is no axis")],
)
def test_axes_that_do_not_fit_are_named(axes, message):
    with pytest.raises(UserError, match=message):
        spacemouse(axes=axes)
