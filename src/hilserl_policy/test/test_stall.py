"""An episode that does not get on says what it lacks."""

from __future__ import annotations

import pytest

from hilserl_policy.stall import Stall


@pytest.fixture
def stall() -> Stall:
    result = Stall(5.0)
    result.begin(100.0)
    return result


def test_an_episode_that_gets_on_has_no_reason(stall: Stall) -> None:
    for now in range(101, 120):
        stall.ticked(now)
        stall.judged(now + 0.01)
        assert stall.reason(now + 0.9, []) == ""


def test_a_silent_judge_is_named_while_the_arm_moves_and_while_it_waits(stall: Stall) -> None:
    stall.ticked(101.0)
    stall.judged(101.1)
    for tick in range(1020, 1060):
        stall.ticked(tick / 10)
    assert stall.reason(106.0, []) == ""
    assert "topic reward" in stall.reason(106.2, ["joint_states"])


def test_silent_measurements_are_named(stall: Stall) -> None:
    stall.ticked(101.0)
    stall.judged(101.0)
    assert stall.reason(106.1, ["joint_states"]).endswith("nothing new on joint_states")
