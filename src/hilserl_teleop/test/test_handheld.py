"""What axes and buttons mean: deadband, mapping, taking over by motion, and devices that die."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_core.step import Event
from hilserl_description.arm_model import action_spec
from hilserl_teleop.handheld import LAYOUTS, Handheld, HandheldSettings

REST = [0.0] * 6


def spacemouse(**settings: object) -> Handheld:
    return Handheld("spacemouse", action_spec(), HandheldSettings(**settings))


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
    device = spacemouse()
    device.axes(axes, 0.0)
    assert device.action(0.0) == pytest.approx([*moved, 0])


@given(st.lists(st.floats(), min_size=0, max_size=9), st.sampled_from(list(LAYOUTS)))
def test_whatever_comes_is_an_action_of_the_space(axes, kind):
    for space in ("ee_delta", "joint_delta"):
        spec = action_spec(space)
        device = Handheld(kind, spec, HandheldSettings())
        device.axes(axes, 0.0)
        values = device.action(0.0)
        assert values.shape == (spec.dim,)
        assert (np.abs(values) <= 1).all()


@given(st.floats(-1, 1))
def test_nothing_moves_within_the_deadband_and_no_step_is_at_its_edge(value):
    device = spacemouse(deadband=0.2, speed=0.5)
    device.axes([0, 0, value, 0, 0, 0], 0.0)
    z = device.action(0.0)[2]
    expected = 0.5 * np.sign(value) * max(0.0, (abs(value) - 0.2) / 0.8)
    assert z == pytest.approx(expected, abs=1e-6)


def test_motion_takes_over_and_rest_gives_the_arm_back():
    device = spacemouse()
    device.axes(REST, 0.0)
    assert device.event(0.0, driving=False) is None
    device.axes([0.5, 0, 0, 0, 0, 0], 1.0)
    assert device.event(1.0, driving=False) == Event.TAKEOVER
    assert device.event(1.0, driving=True) is None
    device.axes(REST, 1.2)
    assert device.event(1.5, driving=True) is None, "a pause is no release"
    device.axes(REST, 1.7)
    assert device.event(1.7, driving=True) == Event.RELEASE
    assert device.event(1.7, driving=False) is None


@pytest.mark.parametrize("release_after", [0.05, 0.6])
def test_what_was_let_go_takes_over_no_second_time(release_after):
    device = spacemouse(release_after=release_after)
    device.axes([1, 0, 0, 0, 0, 0], 0.0)
    assert device.event(0.0, driving=False) == Event.TAKEOVER
    device.axes(REST, 0.01)
    driving, said = True, []
    for tick in range(2, 200):
        event = device.event(tick * 0.01, driving)
        if event is not None:
            driving = event == Event.TAKEOVER
            said.append(event)
    assert said == [Event.RELEASE]


def test_a_device_that_dies_while_it_is_held_says_nothing_and_releases_nothing():
    device = spacemouse()
    device.axes([0.5, 0, 0, 0, 0, 0], 1.0)
    assert device.action(1.4) is not None
    assert device.action(2.0) is None
    assert device.event(5.0, driving=True) is None
    device.axes(REST, 6.0)
    assert device.action(6.0) == pytest.approx(0.0)


def test_one_at_rest_may_be_silent():
    device = spacemouse()
    device.axes(REST, 0.0)
    assert device.action(100.0) == pytest.approx(0.0)


def test_buttons_count_when_they_go_down():
    device = spacemouse()
    assert device.buttons([1, 0], 0.0, driving=True) == []
    assert device.action(0.0)[3] == -1.0
    device.buttons([1, 0], 1.0, driving=True)
    assert device.action(1.0)[3] == 0.0, "held, it is the same press"
    device.buttons([0, 1], 2.0, driving=True)
    assert device.action(2.0)[3] == 1.0


def test_a_gamepads_buttons_take_over_judge_and_stop():
    device = Handheld("gamepad", action_spec(), HandheldSettings(success=9))
    device.axes([0, 1, 0, 0, 0, 0], 0.0)
    assert device.event(0.0, driving=False) is None, "a stick that is touched takes nothing over"
    pressed = lambda number: [int(i == number) for i in range(11)]  # noqa: E731
    assert device.buttons(pressed(7), 0.0, driving=False) == [Event.TAKEOVER]
    device.buttons(pressed(-1), 0.1, driving=True)
    assert device.buttons(pressed(7), 0.2, driving=True) == [Event.RELEASE]
    assert device.buttons(pressed(9), 0.3, driving=True) == [Event.SUCCESS]
    assert device.buttons(pressed(8), 0.4, driving=True) == [Event.STOP]
    assert device.event(100.0, driving=True) is None


@pytest.mark.parametrize(
    ("axes", "message"),
    [(("+0", "+1"), "2 axes for ee_delta"), (("+0", "x", "+2"), "'x' is no axis")],
)
def test_axes_that_do_not_fit_are_named(axes, message):
    with pytest.raises(UserError, match=message):
        spacemouse(axes=axes)
