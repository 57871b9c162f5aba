import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_description.arm_model import action_spec
from hilserl_teleop.keymap import COMMANDS, GRIPPER, JOG, Command, KeyboardState, help_text, split


def test_a_tap_moves_for_one_tick():
    keyboard = KeyboardState(0.5)
    assert keyboard.feed(b"w", 0.0) == []
    np.testing.assert_allclose(keyboard.values(0.05), [0, 0.5, 0, 0])
    assert not keyboard.values(0.15).any()


def test_a_held_key_moves_until_its_repeats_end():
    keyboard = KeyboardState(1.0)
    keyboard.feed(b"d", 0.0)
    moved = []
    for tick in range(1, 25):
        now = 0.1 * tick
        for repeat in np.arange(0.5, 1.5, 0.033):  # After the terminal's initial delay.
            if now - 0.1 < repeat <= now:
                keyboard.feed(b"d", float(repeat))
        moved.append(bool(keyboard.values(now).any()))
    assert moved[0]
    assert not any(moved[1:4])
    assert all(moved[5:15])
    assert not any(moved[18:])


def test_repeats_that_bunch_up_on_a_network_do_not_make_it_stutter():
    keyboard = KeyboardState()
    moved = []
    for tick in range(10):
        if tick % 2 == 0:
            keyboard.feed(b"aaaaa", 0.1 * tick)
        moved.append(keyboard.values(0.1 * tick + 0.05)[0])
    assert all(value < 0 for value in moved)


def test_the_gripper_and_the_speed():
    keyboard = KeyboardState(0.5)
    keyboard.feed(b"o++", 0.0)
    assert [float(keyboard.values(0.1 * i)[3]) for i in range(4)] == [1, 1, 0, 0]
    assert keyboard.speed == 1.0
    keyboard.feed(b"+", 0.0)
    assert keyboard.speed == 1.0
    keyboard.feed(b"-------", 0.0)
    assert keyboard.speed == 0.1


def test_clear_forgets_motion():
    keyboard = KeyboardState()
    keyboard.feed(b"wwo", 0.0)
    keyboard.clear()
    assert not keyboard.values(0.0).any()


@pytest.mark.parametrize("sequence", [b"\x1b[A", b"\x1bOA"])
def test_arrows_arrive_whole_or_in_pieces_and_never_stop_the_arm(sequence):
    for cut in range(len(sequence)):
        keyboard = KeyboardState()
        commands = keyboard.feed(sequence[:cut], 0.0) if cut else []
        commands += keyboard.feed(sequence[cut:], 0.0)
        assert commands == []
        assert keyboard.values(0.0)[1] > 0


def test_escape_alone_stops():
    keyboard = KeyboardState()
    assert keyboard.feed(b"\x1b", 0.0) == []
    assert keyboard.feed(b"", 0.02) == [Command.STOP]
    assert keyboard.feed(b"", 0.04) == []
    assert keyboard.feed(b"\x1b\x1b", 0.1) == [Command.STOP]


def test_commands_keep_their_order():
    assert KeyboardState().feed(b"twR\rq", 0.0) == [
        Command.TOGGLE,
        Command.RESET,
        Command.STOP,
        Command.QUIT,
    ]


@pytest.mark.parametrize("space", JOG)
def test_no_key_means_two_things_and_the_help_names_each(space):
    assert not set(COMMANDS) & (set(JOG[space]) | set(GRIPPER))
    for key in (*COMMANDS, *JOG[space], *GRIPPER):
        if key.isprintable() and key != " ":
            assert key in help_text(space)


@pytest.mark.parametrize("space", JOG)
def test_every_number_of_an_action_can_be_moved_both_ways(space):
    spec = action_spec(space)
    moved = {(axis, np.sign(direction)) for axis, direction in JOG[space].values()}
    assert moved == {(axis, sign) for axis in range(spec.arm_dim) for sign in (-1.0, 1.0)}
    assert KeyboardState(space=space).values(0.0).shape == (spec.dim,)


def test_where_a_keyboard_tells_a_key_moves_the_arm_until_it_is_let_go_of():
    down = {"w"}
    keyboard = KeyboardState(1.0, is_down=lambda key: key in down)
    keyboard.feed(b"w", 0.0)
    assert [float(keyboard.values(0.1 * i)[1]) for i in range(20)] == [1.0] * 20
    down.clear()
    assert not keyboard.values(2.0).any()
    down.add("w")
    assert not keyboard.values(2.1).any(), "pressed in another window"
    keyboard.feed(b"w", 2.2)
    assert keyboard.values(2.2).any()
    keyboard.clear()
    assert not keyboard.values(2.3).any()


@given(st.lists(st.binary(max_size=12), max_size=20))
def test_any_bytes_are_survived_and_actions_stay_in_range(chunks):
    keyboard = KeyboardState()
    for i, chunk in enumerate(chunks):
        keyboard.feed(chunk, 0.05 * i)
        values = keyboard.values(0.05 * i)
        assert values.shape == (4,)
        assert (np.abs(values) <= 1).all()


@given(st.binary(max_size=30))
def test_splitting_loses_nothing_but_what_is_not_whole_yet(data):
    keys, rest = split(data)
    assert sum(map(len, keys)) + len(rest) == len(data)
