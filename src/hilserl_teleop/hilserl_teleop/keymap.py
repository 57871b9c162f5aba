"""What the keys of a terminal mean, free of terminals and of ROS.

A terminal tells of presses and of their repeats, never of a key's release: a tap moves
the arm for one tick, and a key that repeats moves it until the repeats end.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hilserl_teleop import jog
from hilserl_teleop.jog import ARM_AXES, Jog

IsDown = Callable[[str], bool]
"""Whether a key, as a terminal names it, is down."""

# Repeats come at 10 to 40 Hz and bunch up on their way over a network.
REPEAT_GAP = 0.15
HOLD = 0.2
# The mux takes the newest action at its own ticks; of two in a row it takes one for sure.
GRIPPER_TICKS = 2

MOVES = {
    "ee_delta": "w/s forward/back  a/d left/right  i/k up/down (or arrows, page keys)",
    "joint_delta": (
        "a/d shoulder pan  w/s shoulder lift  i/k elbow  u/j wrist  h/m wrist roll (or arrows, "
        "page keys)"
    ),
}
_HELP = (
    "space/t take over or release   r release   l leader arm takes over or releases   {moves}   "
    "o/c gripper open/close   +/- speed   "
    "y success  n failure  x discard  R reset   Enter/Esc STOP  g end of stop   q quit"
)


def help_text(space: str = "ee_delta") -> str:
    """What every key does, in an action space."""
    return _HELP.format(moves=MOVES[space])


class Command(enum.Enum):
    """What a key asks for beyond motion."""

    TOGGLE = "toggle"
    LEADER = "leader arm"
    RELEASE = "release"
    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"
    RESET = "reset"
    STOP = "stop"
    RELEASE_STOP = "release stop"
    QUIT = "quit"
    INTERRUPT = "interrupt"


COMMANDS = {
    " ": Command.TOGGLE,
    "t": Command.TOGGLE,
    "r": Command.RELEASE,
    "l": Command.LEADER,
    "y": Command.SUCCESS,
    "n": Command.FAILURE,
    "x": Command.DISCARD,
    "R": Command.RESET,
    "\r": Command.STOP,
    "\n": Command.STOP,
    "\x1b": Command.STOP,
    "g": Command.RELEASE_STOP,
    "q": Command.QUIT,
    "\x03": Command.INTERRUPT,
}

_TOOL = {
    "d": (0, 1.0),
    "a": (0, -1.0),
    "w": (1, 1.0),
    "s": (1, -1.0),
    "i": (2, 1.0),
    "k": (2, -1.0),
    "\x1b[C": (0, 1.0),
    "\x1b[D": (0, -1.0),
    "\x1b[A": (1, 1.0),
    "\x1b[B": (1, -1.0),
    "\x1b[5~": (2, 1.0),
    "\x1b[6~": (2, -1.0),
}

# The same key moves the arm about the same way, as far as one joint can.
_JOINTS = {
    "d": (0, 1.0),
    "a": (0, -1.0),
    "w": (1, -1.0),
    "s": (1, 1.0),
    "i": (2, -1.0),
    "k": (2, 1.0),
    "u": (3, 1.0),
    "j": (3, -1.0),
    "h": (4, 1.0),
    "m": (4, -1.0),
    "\x1b[C": (0, 1.0),
    "\x1b[D": (0, -1.0),
    "\x1b[A": (1, -1.0),
    "\x1b[B": (1, 1.0),
    "\x1b[5~": (2, -1.0),
    "\x1b[6~": (2, 1.0),
}
JOG = {"ee_delta": _TOOL, "joint_delta": _JOINTS}
"""What moves which number of an action which way, in each action space."""

GRIPPER = {"o": 1.0, "c": -1.0}


# What a browser calls the keys that a terminal sends as sequences. Its Enter is left out: it
# presses what has the focus.
BROWSER_NAMES = {
    "\x1b": "Escape",
    "\x1b[A": "ArrowUp",
    "\x1b[B": "ArrowDown",
    "\x1b[C": "ArrowRight",
    "\x1b[D": "ArrowLeft",
    "\x1b[5~": "PageUp",
    "\x1b[6~": "PageDown",
}


def browser_keys() -> dict[str, dict[str, object]]:
    """The same keys by a browser's names: ``jog`` (axis, amount), ``gripper``, ``speed`` (steps)
    and ``commands``, for the hand's motion, without those that only a terminal needs.
    """

    def named(table: dict[str, object]) -> dict[str, object]:
        names = {key: BROWSER_NAMES.get(key, key) for key in table}
        return {names[key]: value for key, value in table.items() if names[key].isprintable()}

    terminal = (Command.LEADER, Command.QUIT, Command.INTERRUPT)
    return {
        "jog": named({key: list(value) for key, value in JOG["ee_delta"].items()}),
        "gripper": named(dict(GRIPPER)),
        "speed": {"+": 1, "=": 1, "-": -1, "_": -1},
        "commands": named({k: c.value for k, c in COMMANDS.items() if c not in terminal}),
    }


def split(data: bytes) -> tuple[list[str], bytes]:
    """Splits what a terminal sent into keys.

    Returns:
        The keys, escape sequences whole, and the beginning of a sequence that has not
        arrived whole.
    """
    keys, i = [], 0
    while i < len(data):
        if data[i : i + 1] != b"\x1b":
            keys.append(chr(data[i]))
            i += 1
            continue
        if data[i + 1 : i + 2] not in (b"[", b"O"):
            if i + 1 == len(data):
                return keys, data[i:]
            keys.append("\x1b")
            i += 1
            continue
        end = i + 2
        while end < len(data) and not 0x40 <= data[end] <= 0x7E:
            end += 1
        if end >= len(data):
            return keys, data[i:]
        # Some terminals send arrows as ESC O A where others send ESC [ A.
        keys.append("\x1b[" + data[i + 2 : end + 1].decode("latin-1"))
        i = end + 1
    return keys, b""


class KeyboardState:
    """Turns presses into commands and into the action of each tick.

    Args:
        speed: share of the fastest motion that a jog key asks for.
        space: the run's action space.
        is_down: whether a key is down, where a keyboard tells; else None. A key that a terminal
            told of then moves the arm until it is let go of.
    """

    def __init__(
        self, speed: float = 0.5, space: str = "ee_delta", is_down: IsDown | None = None
    ) -> None:
        self._jog = Jog(speed, space)
        self._keys, self._is_down = JOG[space], is_down
        self._rest = b""
        self._pressed = [-np.inf] * ARM_AXES[space]
        self._direction = [0.0] * ARM_AXES[space]
        self._held = [""] * ARM_AXES[space]

    @property
    def speed(self) -> float:
        """Share of the fastest motion."""
        return self._jog.speed

    def feed(self, data: bytes, now: float) -> list[Command]:
        """Takes what the terminal sent; to be called with b"" too, when nothing came.

        Args:
            data: bytes as read.
            now: s, of a steady clock.

        Returns:
            What was asked for beyond motion, in order.
        """
        rest, self._rest = self._rest, b""
        if not data:
            # An escape that nothing follows is the key itself.
            return [Command.STOP] if rest == b"\x1b" else []
        keys, self._rest = split(rest + data)
        commands = []
        for key in keys:
            if key in COMMANDS:
                commands.append(COMMANDS[key])
            else:
                self._move(key, now)
        return commands

    def _move(self, key: str, now: float) -> None:
        if key in self._keys:
            axis, direction = self._keys[key]
            self._held[axis] = key
            repeats = now - self._pressed[axis] < REPEAT_GAP and direction == self._direction[axis]
            self._pressed[axis], self._direction[axis] = now, direction
            self._jog.ask(axis, direction, now + HOLD if repeats else now)
        elif key in GRIPPER:
            self._jog.ask(jog.GRIPPER, GRIPPER[key], ticks=GRIPPER_TICKS)
        elif key in "+=":
            self._jog.faster()
        elif key in "-_":
            self._jog.slower()

    def values(self, now: float) -> NDArray[np.float32]:
        """The action of this tick: (dim,) in [-1, 1], the gripper's last; each tap counts once."""
        for axis in range(len(self._held)):
            if self._is_held(axis):
                self._jog.keep(axis, now)
        return self._jog.values(now)

    def _is_held(self, axis: int) -> bool:
        """Whether the key that last moved an axis is still down, where a keyboard tells."""
        if not self._held[axis] or self._is_down is None:
            return False
        if not self._is_down(self._held[axis]):
            self._held[axis] = ""
        return bool(self._held[axis])

    def clear(self) -> None:
        """Forgets motions asked for: they were not meant for whoever drives next."""
        self._jog.clear()
        self._held = [""] * len(self._held)
