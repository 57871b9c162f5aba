"""Arbitration under random interleavings: what must hold whatever arrives in whatever order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from teleop_fakes import LIMIT, PERIOD, FakeClock, make_mux

from hilserl_core.step import Event, Source
from hilserl_teleop.arbitration import SECOND, Device, State

DEVICES = (Device("leader", 0.5), Device("mouse", 0.0))
names = st.sampled_from([device.name for device in DEVICES])
numbers = st.floats(-2, 2, width=32)
good = st.tuples(numbers, numbers, numbers)
bad = st.one_of(
    st.tuples(numbers, st.sampled_from([np.nan, np.inf, -np.inf]), numbers),
    st.lists(numbers, max_size=2),
    st.lists(numbers, min_size=4, max_size=6),
)
START = 5000 * SECOND


class RealTime(RuleBasedStateMachine):
    """Random messages, silences, stops and resets against a model of who may drive."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.mux = make_mux(self.clock, *DEVICES)
        self.mux.end_reset(START, np.zeros(3))
        self.stamp = START
        self.last = np.zeros(3)
        self.driver, self.since, self.stopped, self.resetting = None, 0, False, False
        self.actions = {}
        self.rejected = 0

    def check(self, output, proposal=None):
        """What must be true of every output."""
        if output is None:
            return
        decision, moved = output.decision, output.command - self.last
        answer = output.stamp is not None and not moved.any()  # Of a motion made before.
        assert not self.resetting
        assert (np.abs(moved) <= LIMIT + 1e-9).all(), "the follower jumped"
        self.last = output.command
        if decision.holding:
            assert not moved.any()
            assert decision.reason
            assert decision.source == Source.POLICY
            assert not decision.values.any()
            return
        if answer:
            return
        assert not self.stopped, "moved although stopped"
        if decision.source == Source.HUMAN:
            values, at = self.actions[self.driver]
            assert values is not None, "executed an action that does not fit"
            assert at >= self.since, "executed an action from before the countdown's end"
            assert self.clock() - at <= 2 * PERIOD, "executed the action of a silent device"
            np.testing.assert_allclose(decision.values, np.clip(values, -1, 1), rtol=1e-6)
        else:
            assert self.driver is None, "the policy drove while a person had the arm"
            np.testing.assert_allclose(decision.values, np.clip(proposal, -1, 1), rtol=1e-6)

    def begin_handover(self):
        countdown = next(d.countdown for d in DEVICES if d.name == self.driver)
        self.since = self.clock() + round(countdown * SECOND)

    @rule(values=st.one_of(good, bad))
    def policy(self, values):
        self.stamp += PERIOD
        fits = len(values) == 3 and np.isfinite(values).all()
        before = self.mux.arbitration.counts["rejected from policy"]
        output = self.mux.policy_action(self.stamp, values)
        assert (output is None) == self.resetting
        assert output is None or output.stamp == self.stamp
        assert fits or not before > self.mux.arbitration.counts["rejected from policy"]
        self.check(output, values)

    @rule(age=st.integers(0, 5), values=good)
    def stale_policy(self, age, values):
        if age == 0 and self.mux._newest < self.stamp:
            return
        assert self.mux.policy_action(self.mux._newest - age * PERIOD, values) is None

    @rule(name=names, values=good)
    def drive(self, name, values):
        self.actions[name] = (values, self.clock())
        self.check(self.mux.device_action(name, 0, values))

    @rule(name=names, values=bad)
    def drive_badly(self, name, values):
        self.actions[name] = (None, self.clock())
        self.rejected += 1
        assert self.mux.device_action(name, 0, values) is None

    @rule(name=names)
    def takeover(self, name):
        if self.driver not in (None, name):
            at = max(self.since, self.actions.get(self.driver, (None, 0))[1])
            if self.clock() - at > SECOND:  # Its link is lost.
                self.driver = None
        if self.driver is None:
            self.driver = name
            self.begin_handover()
        self.mux.event(name, Event.TAKEOVER)

    @rule(name=names)
    def release(self, name):
        if self.driver == name:
            self.driver = None
        self.mux.event(name, Event.RELEASE)

    @rule(name=names)
    def stop(self, name):
        self.stopped = True
        self.mux.event(name, Event.STOP)

    @rule()
    def release_stop(self):
        assert self.mux.arbitration.release_stop() == self.stopped
        if self.stopped and self.driver:
            self.begin_handover()
        self.stopped = False

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.09, 0.1, 0.11, 0.3, 2.0]))
    def wait(self, seconds):
        self.clock.sleep(seconds)
        self.check(self.mux.poll())

    @rule(name=names, values=good, ticks=st.integers(1, 4))
    def run_well(self, name, values, ticks):
        """A stretch in which policy and device both are alive."""
        for _ in range(ticks):
            self.clock.sleep(0.1)
            self.drive(name, values)
            self.policy(values)

    @precondition(lambda self: not self.resetting)
    @rule()
    def begin_reset(self):
        self.resetting = True
        self.mux.begin_reset()

    @precondition(lambda self: self.resetting)
    @rule(command=st.tuples(numbers, numbers, numbers), works=st.booleans())
    def end_reset(self, command, works):
        self.resetting = False
        if not works:
            self.mux.abort_reset()
            return
        self.stamp += SECOND
        self.mux.end_reset(self.stamp + 1, command)
        self.last = np.array(command, float)
        self.actions.clear()
        if self.driver:
            self.begin_handover()

    @invariant()
    def state_is_as_modelled(self):
        status = self.mux.arbitration.status()
        if self.stopped:
            expected = State.STOPPED
        elif self.driver is None:
            expected = State.POLICY
        else:
            expected = State.HANDOVER if self.clock() < self.since else State.HUMAN
        assert status.state == expected
        assert status.device == (self.driver or "")
        assert not status.holding or status.reason
        counts = self.mux.arbitration.counts
        assert sum(counts[f"rejected from {d.name}"] for d in DEVICES) == self.rejected


TestRealTime = RealTime.TestCase
TestRealTime.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

HANDOVERS = 500  # In each of 20 examples.


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_ten_thousand_handovers_at_random_moments_never_jump(seed):
    """Takeovers and releases anywhere between two ticks, while policy and person both move."""
    rng = np.random.default_rng(seed)
    world = RealTime()  # Judges every output by its model.

    def go_on(ticks):
        for _ in range(ticks):
            late = float(rng.uniform(0.0, 0.1))
            world.wait(late)
            for device in DEVICES:
                if rng.random() < 0.9:
                    world.drive(device.name, tuple(rng.uniform(-2, 2, 3)))
            world.wait(0.1 - late)
            if rng.random() < 0.9:
                world.policy(tuple(rng.uniform(-2, 2, 3)))

    led = 0
    for _ in range(HANDOVERS):
        name = DEVICES[rng.integers(len(DEVICES))].name
        go_on(rng.integers(0, 4))
        world.takeover(name)
        go_on(rng.integers(0, 9))  # Half a second of countdown are five.
        led += world.mux.arbitration.status().state == State.HUMAN
        world.release(name)
        world.state_is_as_modelled()
    assert led > HANDOVERS / 3


FRAMES = 8
POLICY, DEVICE, EVENTS, EVENTS_AFTER_THE_TICK = range(4)
events = st.lists(st.sampled_from([Event.TAKEOVER, Event.RELEASE, Event.SUCCESS]), max_size=2)


def outputs_of(script, orders):
    """Runs a lockstep script, each frame's messages arriving in its order."""
    mux = make_mux(FakeClock(), Device("leader", 0.2, lockstep=True), lockstep=True)
    mux.end_reset(START, np.zeros(3))
    result = []
    late = []
    for i, ((proposal, action, happened), order) in enumerate(zip(script, orders, strict=True)):
        stamp = START + i * PERIOD
        for event, seen in late:  # One publisher: its messages keep their order.
            mux.event("leader", event, seen)
        late = []
        ticked = 0
        for message in order:
            output = None
            if message == POLICY:
                output = mux.policy_action(stamp, proposal)
            elif message == DEVICE:
                output = mux.device_action("leader", stamp, action)
            elif message == EVENTS:
                for event in happened:
                    mux.event("leader", event, stamp)
            else:
                late = [(event, stamp) for event in happened]
            if output is not None:
                ticked += 1
                decision = output.decision
                result.append((output.stamp, int(decision.source), *output.command))
        assert ticked == 1
    return result


@given(
    script=st.lists(st.tuples(good, good, events), min_size=FRAMES, max_size=FRAMES),
    orders=st.lists(
        st.one_of(
            st.permutations([POLICY, DEVICE, EVENTS]),
            st.permutations([POLICY, DEVICE, EVENTS_AFTER_THE_TICK]),
        ),
        min_size=FRAMES,
        max_size=FRAMES,
    ),
)
@settings(max_examples=150, deadline=None)
def test_in_lockstep_the_order_of_arrival_changes_nothing(script, orders):
    assert outputs_of(script, orders) == outputs_of(script, [(POLICY, DEVICE, EVENTS)] * FRAMES)
