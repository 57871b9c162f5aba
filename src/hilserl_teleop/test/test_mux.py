import numpy as np
import pytest
from teleop_fakes import LIMIT, PERIOD, FakeClock, make_mux

from hilserl_core.step import Event, Source
from hilserl_teleop.arbitration import SECOND, Device, State

P = (0.5, 0.0, 0.0)
H = (-1.0, 0.0, 0.0)
HOME = np.array([0.1, 0.2, 0.0])
T0 = 5000 * SECOND


def first_joint(angle):
    return np.array([angle, 0.0, 0.0])


@pytest.fixture
def clock():
    return FakeClock()


def started(clock, *devices, lockstep=False):
    mux = make_mux(clock, *devices, lockstep=lockstep)
    mux.begin_reset()
    mux.end_reset(T0, HOME)
    return mux


def test_real_time_answers_the_policy_at_once(clock):
    mux = started(clock, Device("mouse", 0.0))
    output = mux.policy_action(T0, P, version=7)
    assert (output.stamp, output.policy_version) == (T0, 7)
    np.testing.assert_allclose(output.command, HOME + first_joint(0.5 * LIMIT))


def test_stale_stamps_are_ignored_also_across_a_reset(clock):
    mux = started(clock)
    assert mux.policy_action(T0 - 1, P) is None
    assert mux.policy_action(T0, P) is not None
    assert mux.policy_action(T0, P) is None
    mux.begin_reset()
    assert mux.policy_action(T0 + PERIOD, P) is None
    mux.end_reset(T0 + 5 * PERIOD, HOME)
    assert mux.policy_action(T0 + 2 * PERIOD, P) is None
    assert mux.policy_action(T0 + 5 * PERIOD, P) is not None
    assert mux.arbitration.counts["stale from policy"] == 4


def test_a_restarted_robots_clock_may_go_back(clock):
    mux = started(clock)
    mux.policy_action(T0, P)
    mux.begin_reset()
    mux.end_reset(T0 - 100 * SECOND, HOME)
    assert mux.policy_action(T0 - 100 * SECOND, P) is not None


def test_the_first_human_motion_is_executed_on_arrival_and_only_once(clock):
    mux = started(clock, Device("mouse", 0.0))
    mux.policy_action(T0, P)
    mux.event("mouse", Event.TAKEOVER)
    clock.sleep(0.01)
    first = mux.device_action("mouse", 0, H)
    assert first.stamp is None
    assert first.decision.source == Source.HUMAN
    np.testing.assert_allclose(first.command, HOME + first_joint(-0.5 * LIMIT))
    clock.sleep(0.09)
    answer = mux.policy_action(T0 + PERIOD, P)
    assert answer.decision is first.decision
    assert answer.stamp == T0 + PERIOD
    np.testing.assert_allclose(answer.command, first.command)
    clock.sleep(0.1)
    assert mux.device_action("mouse", 0, H) is None
    after = mux.policy_action(T0 + 2 * PERIOD, P)
    np.testing.assert_allclose(after.command, HOME + first_joint(-1.5 * LIMIT))


def test_a_person_drives_with_every_other_node_dead(clock):
    mux = make_mux(clock, Device("mouse", 0.0))
    mux.follower({"b": 0.2, "a": 0.1, "gripper": 0.0})
    clock.sleep(10)
    mux.event("mouse", Event.TAKEOVER)
    first = mux.device_action("mouse", 0, H)
    np.testing.assert_allclose(first.command, HOME + first_joint(-LIMIT))
    moved = []
    for _ in range(100):
        clock.sleep(0.01)
        mux.device_action("mouse", 0, H)
        output = mux.poll()
        if output is not None:
            assert output.decision.source == Source.HUMAN
            moved.append(output.command)
    assert len(moved) in (9, 10)  # One tick a period.
    steps = np.abs(np.diff(np.stack([first.command, *moved]), axis=0)).max(axis=1)
    np.testing.assert_allclose(steps, LIMIT)


def test_a_policy_that_comes_back_does_not_apply_a_motion_twice(clock):
    mux = started(clock, Device("mouse", 0.0))
    mux.event("mouse", Event.TAKEOVER)
    mux.device_action("mouse", 0, H)
    last = None
    for _ in range(60):
        clock.sleep(0.01)
        mux.device_action("mouse", 0, H)
        output = mux.poll()
        last = output or last
    while mux.poll() is None:
        clock.sleep(0.01)
        mux.device_action("mouse", 0, H)
    before = mux.policy_action(T0, P)
    np.testing.assert_allclose(before.command[0], last.command[0] - LIMIT)
    assert before.decision.source == Source.HUMAN


def test_a_silent_policy_repeats_the_last_command(clock):
    mux = started(clock)
    command = mux.policy_action(T0, P).command
    clock.sleep(0.19)
    assert mux.poll() is None
    clock.sleep(0.02)
    output = mux.poll()
    assert output.decision.holding
    assert output.decision.reason == "the policy is silent"
    np.testing.assert_array_equal(output.command, command)


def test_nothing_is_commanded_during_a_reset(clock):
    mux = started(clock, Device("mouse", 0.0))
    mux.event("mouse", Event.TAKEOVER)
    mux.begin_reset()
    for _ in range(50):
        clock.sleep(0.05)
        assert mux.poll() is None
        assert mux.device_action("mouse", 0, H) is None
    mux.abort_reset()
    clock.sleep(0.2)
    np.testing.assert_array_equal(mux.policy_action(T0, P).command[1:], HOME[1:])


def test_without_joint_states_there_is_no_command(clock):
    mux = make_mux(clock)
    output = mux.policy_action(T0, P)
    assert output.command is None
    assert output.decision.holding
    assert "joint states" in output.decision.reason


def test_a_mapping_gone_wrong_holds(clock):
    mux = started(clock)
    mux._mapping.command = lambda values: np.full(3, np.nan)
    output = mux.policy_action(T0, P)
    assert output.decision.holding
    assert output.decision.source == Source.POLICY
    np.testing.assert_array_equal(output.command, HOME)


def test_lockstep_waits_for_policy_and_device_of_the_same_frame(clock):
    mux = started(clock, Device("leader", 0.0, lockstep=True), lockstep=True)
    assert mux.policy_action(T0, P) is None
    assert mux.device_action("leader", T0 - PERIOD, H) is None
    assert mux.device_action("leader", T0, H).stamp == T0
    assert mux.device_action("leader", T0 + PERIOD, H) is None
    assert mux.policy_action(T0 + PERIOD, P).stamp == T0 + PERIOD


def test_lockstep_events_act_from_the_first_later_tick(clock):
    mux = started(clock, Device("leader", 0.0, lockstep=True), lockstep=True)

    def tick(i):
        mux.device_action("leader", T0 + i * PERIOD, H)
        return mux.policy_action(T0 + i * PERIOD, P).decision.source

    mux.event("leader", Event.TAKEOVER, T0)
    assert tick(0) == Source.POLICY
    assert tick(1) == Source.HUMAN
    mux.event("leader", Event.RELEASE, T0 + PERIOD)
    assert tick(2) == Source.POLICY


def test_lockstep_countdown_is_counted_in_ticks(clock):
    mux = started(clock, Device("leader", 0.3, lockstep=True), lockstep=True)
    mux.event("leader", Event.TAKEOVER, T0)
    sources = []
    for i in range(6):
        mux.device_action("leader", T0 + i * PERIOD, H)
        sources.append(int(mux.policy_action(T0 + i * PERIOD, P).decision.source))
    assert sources == [0, 0, 0, 0, 1, 1]


def test_a_person_paces_a_lockstep_simulation(clock):
    mux = started(clock, Device("keyboard", 0.0), lockstep=True)
    assert mux.policy_action(T0, P) is not None
    mux.event("keyboard", Event.TAKEOVER, 10 * T0)  # Its stamp is of another clock.
    assert mux.policy_action(T0 + PERIOD, P) is None
    mux.device_action("keyboard", 0, H)
    clock.sleep(0.09)
    assert mux.poll() is None
    clock.sleep(0.02)
    assert mux.poll().decision.source == Source.HUMAN
    mux.event("keyboard", Event.RELEASE)
    assert mux.policy_action(T0 + 2 * PERIOD, P).decision.source == Source.POLICY


def test_a_stop_from_a_lockstep_device_acts_at_once(clock):
    mux = started(clock, Device("leader", 0.0, lockstep=True), lockstep=True)
    mux.event("leader", Event.STOP, T0)
    assert mux.arbitration.state == State.STOPPED


def test_end_of_reset_starts_targets_from_the_robots_answer(clock):
    mux = started(clock)
    mux.policy_action(T0, P)
    mux.begin_reset()
    mux.end_reset(T0 + SECOND, HOME * 3)
    np.testing.assert_allclose(
        mux.policy_action(T0 + SECOND, P).command, 3 * HOME + first_joint(0.05)
    )
