import numpy as np
import pytest
from teleop_fakes import FakeClock, make_arbitration

from hilserl_core.errors import UserError
from hilserl_core.step import Source
from hilserl_teleop.arbitration import SETTLE, Device, State

POLICY_ACTION = (0.5, -0.5, 0.0)
HUMAN_ACTION = (-1.0, 1.0, 1.0)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def arbitration(clock):
    return make_arbitration(clock, Device("leader", 2.0), Device("mouse", 0.0))


def is_hold(decision):
    return decision.holding and decision.source == Source.POLICY and not decision.values.any()


def test_the_policy_drives_until_somebody_takes_over(arbitration):
    decision = arbitration.decide(POLICY_ACTION)
    assert decision.source == Source.POLICY
    assert not decision.holding
    np.testing.assert_allclose(decision.values, POLICY_ACTION)


def test_takeover_holds_through_the_countdown_then_waits_for_the_first_motion(arbitration, clock):
    assert arbitration.takeover("leader")
    arbitration.drive("leader", HUMAN_ACTION)
    assert is_hold(arbitration.decide(POLICY_ACTION))
    assert arbitration.status().countdown == pytest.approx(2.0)
    clock.sleep(1.99)
    assert arbitration.state == State.HANDOVER
    arbitration.drive("leader", HUMAN_ACTION)
    clock.sleep(0.01)
    assert arbitration.state == State.HUMAN
    # What the device said during the countdown was not meant for the arm.
    assert is_hold(arbitration.decide(POLICY_ACTION))
    assert arbitration.drive("leader", HUMAN_ACTION)
    assert not arbitration.drive("leader", HUMAN_ACTION)
    decision = arbitration.decide(POLICY_ACTION)
    assert decision.source == Source.HUMAN
    np.testing.assert_allclose(decision.values, HUMAN_ACTION)


def test_a_silent_driver_holds_and_never_falls_back_to_the_policy(arbitration, clock):
    arbitration.takeover("mouse")
    arbitration.drive("mouse", HUMAN_ACTION)
    clock.sleep(0.2)
    assert arbitration.decide(POLICY_ACTION).source == Source.HUMAN
    clock.sleep(0.01)
    for _ in range(100):
        assert is_hold(arbitration.decide(POLICY_ACTION))
        clock.sleep(0.1)
    assert arbitration.state == State.HUMAN
    assert "mouse is silent" in arbitration.status().reason
    arbitration.drive("mouse", HUMAN_ACTION)
    assert arbitration.decide(POLICY_ACTION).source == Source.HUMAN


def test_a_second_device_is_refused_while_one_drives(arbitration, clock):
    arbitration.takeover("mouse")
    arbitration.drive("mouse", HUMAN_ACTION)
    assert not arbitration.takeover("leader")
    assert arbitration.status().device == "mouse"
    assert "leader is refused: mouse has the arm" in arbitration.status().reason
    assert not arbitration.status().holding
    clock.sleep(5)
    assert "refused" not in arbitration.status().reason


def test_a_device_may_take_over_from_one_whose_link_is_lost(arbitration, clock):
    arbitration.takeover("mouse")
    arbitration.drive("mouse", HUMAN_ACTION)
    clock.sleep(0.9)
    assert not arbitration.takeover("leader")
    clock.sleep(0.2)
    assert arbitration.takeover("leader")
    assert arbitration.state == State.HANDOVER


def test_stop_wins_over_everybody_and_keeps_the_driver(arbitration, clock):
    arbitration.takeover("leader")
    clock.sleep(3)
    arbitration.drive("leader", HUMAN_ACTION)
    arbitration.stop("mouse")
    assert is_hold(arbitration.decide(POLICY_ACTION))
    assert "stopped by mouse" in arbitration.status().reason
    assert arbitration.release_stop()
    assert arbitration.state == State.HANDOVER  # The person gets ready once more.
    assert arbitration.status().countdown == pytest.approx(2.0)
    assert not arbitration.release_stop()


def test_release_while_stopped_gives_the_arm_to_the_policy_afterwards(arbitration):
    arbitration.takeover("mouse")
    arbitration.stop("service")
    arbitration.release("mouse")
    assert arbitration.state == State.STOPPED
    arbitration.release_stop()
    assert arbitration.decide(POLICY_ACTION).source == Source.POLICY
    assert not arbitration.status().holding


def test_only_the_driver_can_release(arbitration):
    arbitration.takeover("mouse")
    arbitration.release("leader")
    assert arbitration.state == State.HUMAN


def test_handover_waits_until_leader_and_follower_agree(arbitration, clock):
    arbitration.pose("leader", {"a": 1.0, "b": 0.0, "gripper": 0.0})
    arbitration.takeover("leader")
    clock.sleep(3)
    assert arbitration.state == State.HANDOVER
    assert "waits to learn" in arbitration.status().reason
    arbitration.follower({"a": 0.2, "b": 0.0, "gripper": 1.0})
    assert "disagree at a by 0.8 rad" in arbitration.status().reason
    assert is_hold(arbitration.decide(POLICY_ACTION))
    arbitration.pose("leader", {"a": float("nan"), "b": 0.0})
    assert arbitration.state == State.HANDOVER
    arbitration.pose("leader", {"a": 0.4, "b": 0.0, "gripper": 0.0})
    assert arbitration.state == State.HANDOVER
    assert "waits until leader rests" in arbitration.status().reason
    assert is_hold(arbitration.decide(POLICY_ACTION))
    clock.sleep(SETTLE)
    assert arbitration.state == State.HUMAN


def test_a_leader_that_swings_past_the_arm_does_not_take_it_along(arbitration, clock):
    arbitration.follower({"a": 0.0})
    arbitration.takeover("leader")
    for swing in (0.3, -0.8, 0.3, 0.8):
        arbitration.pose("leader", {"a": swing})
        assert arbitration.state == State.HANDOVER
        clock.sleep(2)
    arbitration.pose("leader", {"a": 0.0})
    assert arbitration.state == State.HANDOVER
    clock.sleep(SETTLE)
    assert arbitration.state == State.HUMAN


def test_actions_that_do_not_fit_are_counted_and_hold(arbitration):
    for bad in ((np.nan, 0, 0), (np.inf, 0, 0), (0, 0), (), "abc", (0, 0, 0, 0)):
        assert is_hold(arbitration.decide(bad))
    assert arbitration.counts["rejected from policy"] == 6
    assert "rejected" in arbitration.status().reason
    arbitration.takeover("mouse")
    arbitration.drive("mouse", HUMAN_ACTION)
    assert not arbitration.drive("mouse", (np.nan, 0, 0))
    assert is_hold(arbitration.decide(POLICY_ACTION))
    assert arbitration.counts["rejected from mouse"] == 1


def test_a_reset_keeps_the_driver_but_asks_for_a_new_handover(arbitration, clock):
    arbitration.takeover("leader")
    clock.sleep(2)
    arbitration.drive("leader", HUMAN_ACTION)
    assert arbitration.state == State.HUMAN
    arbitration.reset()
    assert arbitration.state == State.HANDOVER
    assert arbitration.status().device == "leader"


def test_a_device_named_twice_is_a_mistake(clock):
    with pytest.raises(UserError, match="name each device once"):
        make_arbitration(clock, Device("leader"), Device("leader"))


def test_a_person_goes_before_a_device_that_yields_and_never_after_it(clock):
    scripted, person = Device("scripted", 0.0, yields=True), Device("person", 0.0)
    arbitration = make_arbitration(clock, scripted, person)
    assert arbitration.takeover("scripted")
    arbitration.drive("scripted", HUMAN_ACTION)
    assert arbitration.state == State.HUMAN
    assert arbitration.takeover("person")
    assert not arbitration.takeover("scripted")
    assert arbitration.status().device == "person"
    clock.sleep(60.0)  # The person's link is lost: the arm holds for whoever comes back.
    assert not arbitration.takeover("scripted")
    assert is_hold(arbitration.decide(POLICY_ACTION))
    arbitration.release("person")
    assert arbitration.takeover("scripted")
