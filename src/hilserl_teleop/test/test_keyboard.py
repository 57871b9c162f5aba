import pytest

from hilserl_core.errors import UserError
from hilserl_teleop.keyboard import Keyboard, code_name, find_keyboards
from hilserl_teleop.keymap import JOG


class FakeKeyboard:
    def __init__(self, *down: str) -> None:
        self.down, self.plugged, self.closed = set(down), True, False

    def active_keys(self, verbose: bool) -> list[tuple[object, int]]:
        if not self.plugged:
            raise OSError(19, "No such device")
        return [(name, 0) for name in self.down]

    def close(self) -> None:
        self.closed = True


def test_every_key_that_moves_the_arm_has_a_name_that_the_kernel_knows():
    ecodes = pytest.importorskip("evdev").ecodes
    for keys in JOG.values():
        for key in keys:
            assert hasattr(ecodes, code_name(key)), key


def test_keys_of_all_keyboards_count_and_those_of_a_gone_one_are_up():
    one, two = FakeKeyboard("KEY_W"), FakeKeyboard("KEY_UP", "KEY_A")
    keyboard = Keyboard([one, two])
    keyboard.update()
    assert [keyboard.is_down(key) for key in ("w", "a", "\x1b[A", "d")] == [True, True, True, False]
    two.plugged = False
    keyboard.update()
    assert [keyboard.is_down(key) for key in ("w", "a")] == [True, False]
    keyboard.close()
    assert one.closed


def test_a_remote_terminal_has_no_keyboard_here(monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    assert find_keyboards("auto") == []
    assert find_keyboards("none") == []


def test_a_named_keyboard_that_is_not_there_is_said():
    pytest.importorskip("evdev")
    with pytest.raises(UserError, match="/dev/input/none"):
        find_keyboards("/dev/input/none")
