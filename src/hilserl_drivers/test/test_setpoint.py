import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_drivers.setpoint import MAX_CYCLE, CommandError, Setpoint

LOW, HIGH, VELOCITY = np.array([-1.0, -2.0]), np.array([1.5, 0.5]), np.array([2.0, 4.0])


def make(period: float = 0.1) -> Setpoint:
    setpoint = Setpoint(LOW, HIGH, VELOCITY, period, hold_after=0.5, rejoin_velocity=0.5)
    setpoint.start([0.0, 0.0])
    return setpoint


def test_a_command_is_reached_when_the_next_one_is_due():
    setpoint = make()
    setpoint.command([0.0, 0.0], 0.0)
    setpoint.advance(0.0, 0.01)
    setpoint.command([0.1, -0.2], 0.0)
    path = [setpoint.advance(0.01 * n, 0.01) for n in range(1, 11)]
    assert path[4] == pytest.approx([0.05, -0.1])
    assert path[9] == pytest.approx([0.1, -0.2])
    assert setpoint.arrived


def test_it_catches_up_slowly_and_then_follows_at_full_speed():
    setpoint = make()
    setpoint.command([1.0, 0.0], 0.0)
    assert setpoint.advance(0.01, 0.01)[0] == pytest.approx(0.005)
    for n in range(250):
        if n % 10 == 0:
            setpoint.command([1.0, 0.0], 0.01 * n)
        setpoint.advance(0.01 * n, 0.01)
    assert setpoint.arrived
    setpoint.command([0.5, 0.0], 3.0)
    assert setpoint.advance(3.01, 0.01)[0] == pytest.approx(0.98)


def test_behind_commands_that_never_rest_each_joint_catches_up_for_itself():
    setpoint = make(period=0.02)
    setpoint.start([-0.5, 0.0])
    late = []
    for n in range(600):
        now = 0.01 * n
        # Faster than it catches up with, and never both at rest at once.
        wanted = 0.4 * np.sin(4.0 * now + np.array([0.0, 1.5]))
        setpoint.command(wanted, now)
        late.append(np.abs(setpoint.advance(now, 0.01) - wanted))
    assert max(late[0]) > 0.3
    assert np.max(late[-200:]) < 0.03


def test_silence_holds_and_a_start_forgets_the_command():
    setpoint = make()
    setpoint.command([0.4, 0.0], 0.0)
    setpoint.advance(0.4, 0.01)
    held = setpoint.value.copy()
    assert setpoint.advance(0.6, 0.01) == pytest.approx(held)
    assert setpoint.holds(0.6)
    setpoint.start([0.2, 0.2])
    assert setpoint.holds(0.0)
    assert setpoint.advance(0.7, 0.01) == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("command", [[0.0], [0.0, np.nan], [0.0, np.inf], [[0.0, 0.0]]])
def test_what_cannot_be_executed_is_refused(command):
    setpoint = make()
    with pytest.raises(CommandError):
        setpoint.command(command, 0.0)
    assert setpoint.holds(0.0)


COMMANDS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))),
        st.floats(0.0, 1.0),
    ),
    max_size=60,
)


@given(COMMANDS, st.sampled_from([0.0, 0.1]), st.tuples(st.floats(-1, 1.5), st.floats(-2, 0.5)))
def test_it_never_leaves_its_limits_nor_goes_too_fast(commands, period, start):
    setpoint = make(period)
    setpoint.start(start)
    now, before = 0.0, np.array(start)
    for command, seconds in commands:
        now += seconds
        if command is not None:
            setpoint.command(command, now)
        value = setpoint.advance(now, seconds)
        assert (value >= LOW - 1e-12).all()
        assert (value <= HIGH + 1e-12).all()
        assert (np.abs(value - before) <= VELOCITY * min(seconds, MAX_CYCLE) + 1e-12).all()
        before = value
