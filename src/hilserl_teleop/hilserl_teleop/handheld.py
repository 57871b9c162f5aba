"""What axes and buttons mean, of a SpaceMouse and of a gamepad alike; free of ROS.

An axis is a number in [-1, 1] that says where a person holds it now, and 0 when nobody
does. What is held moves the arm; a device may take over by motion alone, and give the arm
back when it has been left alone for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_core.spec import ActionSpec
from hilserl_core.step import Event

OPEN, CLOSE = 1.0, -1.0
GRIPPER_SECONDS = 0.2
"""s that a press of a gripper's button lasts: the mux takes the newest action at its ticks."""

NONE = -1
"""Number of a button that is not there."""


@dataclass(frozen=True)
class Layout:
    """How a kind of device is held, as ROS numbers its axes and buttons.

    Attributes:
        axes: for each action space, the axis of each number of an action but the gripper's,
            with the sign in front.
        buttons: the parameters of ``HandheldSettings`` of that kind, where they differ.
    """

    axes: dict[str, tuple[str, ...]]
    buttons: dict[str, int]
    takes_over: bool
    release_after: float


# spacenav: linear x forwards, y left, z up, then the rotations about them. The base frame of
# the arm has x to the right and y forwards.
SPACEMOUSE = Layout(
    axes={
        "ee_delta": ("-1", "+0", "+2"),
        # Turn the cap to pan, push it to lift, lift it to bend, tilt it for the wrist.
        "joint_delta": ("-5", "-0", "-2", "+4", "+3"),
    },
    buttons={"close": 0, "open": 1},
    takes_over=True,
    release_after=0.6,
)
# joy: a stick to the left or forwards is +1; triggers are axes 2 and 5.
GAMEPAD = Layout(
    axes={
        "ee_delta": ("-0", "+1", "+4"),
        "joint_delta": ("-0", "-1", "-4", "+7", "-3"),
    },
    buttons={
        "close": 5,
        "open": 4,
        "takeover": 7,
        "release": 1,
        "success": 3,
        "failure": 2,
        "discard": 6,
        "stop": 8,
    },
    takes_over=False,
    release_after=0.0,
)
LAYOUTS = {"spacemouse": SPACEMOUSE, "gamepad": GAMEPAD}


@dataclass(frozen=True)
class HandheldSettings:
    """How a device is read."""

    axes: tuple[str, ...] = parameter(
        (),
        "axis of each number of an action but the gripper's, as in +0 or -5; empty: as usual for "
        "the device",
    )
    deadband: float = parameter(0.1, "share of an axis that counts as nothing", low=0.0, high=0.9)
    speed: float = parameter(
        1.0, "share of the fastest motion when held all the way", low=0.05, high=1.0
    )
    takeover_by_motion: int = parameter(
        -1, "whether moving it takes over; 1: yes, 0: no, -1: as usual for the device", low=-1,
        high=1,
    )  # fmt: skip
    release_after: float = parameter(
        -1.0,
        "s of rest, after which the arm goes back to the policy; 0: never, -1: as usual",
        low=-1.0,
        high=60.0,
    )
    stale: float = parameter(
        0.5, "s without a word, after which a device that was moving is gone", low=0.05, high=10.0
    )
    close: int = parameter(-2, "button that closes the gripper; -1: none, -2: as usual", low=-2)
    open: int = parameter(-2, "button that opens the gripper", low=-2)
    takeover: int = parameter(-2, "button that takes over, or releases", low=-2)
    release: int = parameter(-2, "button that releases", low=-2)
    success: int = parameter(-2, "button of a success", low=-2)
    failure: int = parameter(-2, "button of a failure", low=-2)
    discard: int = parameter(-2, "button that throws the episode away", low=-2)
    stop: int = parameter(-2, "button that stops the arm", low=-2)


BUTTON_EVENTS = {
    "takeover": Event.TAKEOVER,
    "release": Event.RELEASE,
    "success": Event.SUCCESS,
    "failure": Event.FAILURE,
    "discard": Event.DISCARD,
    "stop": Event.STOP,
}


class Handheld:
    """One device.

    Args:
        kind: one of ``LAYOUTS``.
        spec: the run's action space.
        settings: how the device is read.

    Raises:
        UserError: the axes do not fit the action space.
    """

    def __init__(self, kind: str, spec: ActionSpec, settings: HandheldSettings) -> None:
        layout = LAYOUTS[kind]
        self._settings = settings
        self._dim = spec.dim
        words = settings.axes or layout.axes[spec.kind]
        self._axes = [_axis(word) for word in words]
        if len(self._axes) != spec.arm_dim:
            raise UserError(
                f"parameter 'axes': {len(self._axes)} axes for {spec.kind}, which needs "
                f"{spec.arm_dim} ({', '.join(spec.names[: spec.arm_dim])})"
            )
        self._buttons = {
            name: _given(getattr(settings, name), layout.buttons.get(name, NONE))
            for name in ("close", "open", *BUTTON_EVENTS)
        }
        self._takes_over = bool(_given_flag(settings.takeover_by_motion, layout.takes_over))
        given = settings.release_after
        self._release_after = layout.release_after if given < 0 else given
        self._held = np.zeros(spec.arm_dim)
        self._heard_at = -np.inf
        self._moved_at = -np.inf
        self._pressed: frozenset[int] = frozenset()
        self._gripper = (0.0, -np.inf)

    # -- what the device says

    def axes(self, values: ArrayLike, now: float) -> None:
        """Takes where every axis is held, in [-1, 1]; what is not finite counts as nothing."""
        numbers = np.nan_to_num(np.asarray(values, float), nan=0.0, posinf=0.0, neginf=0.0)
        held = np.zeros_like(self._held)
        for i, (sign, axis) in enumerate(self._axes):
            if axis < len(numbers):
                held[i] = sign * self._beyond(float(numbers[axis]))
        self._held, self._heard_at = held, now
        if held.any():
            self._moved_at = now

    def _beyond(self, value: float) -> float:
        """What is beyond the deadband, from 0 to 1 again."""
        limit = self._settings.deadband
        size = min(abs(value), 1.0)
        return float(np.copysign(max(0.0, (size - limit) / (1 - limit)), value))

    def buttons(self, values: Sequence[int], now: float, driving: bool) -> list[Event]:
        """Takes what is pressed; returns what was asked for by what was not pressed before.

        Args:
            values: 1 for each button that is down.
            now: s.
            driving: whether the device has the arm, so that the takeover's button releases it.
        """
        down = frozenset(i for i, value in enumerate(values) if value)
        new, self._pressed = down - self._pressed, down
        if self._buttons["close"] in new:
            self._gripper, self._moved_at = (CLOSE, now + GRIPPER_SECONDS), now
        if self._buttons["open"] in new:
            self._gripper, self._moved_at = (OPEN, now + GRIPPER_SECONDS), now
        events = [event for name, event in BUTTON_EVENTS.items() if self._buttons[name] in new]
        toggled = {Event.TAKEOVER: Event.RELEASE} if driving else {}
        return [toggled.get(event, event) for event in events]

    # -- what follows from it

    def lost(self, now: float) -> bool:
        """Whether it fell silent while it was held: it is gone, and nobody let go of it.

        A device at rest may be silent; one that is held never is.
        """
        return bool(self._held.any()) and now - self._heard_at > self._settings.stale

    def event(self, now: float, driving: bool) -> Event | None:
        """What its motion asks for, beyond motion.

        Args:
            now: s.
            driving: whether the device has the arm, or is about to.
        """
        if self.lost(now) or not self._takes_over:
            return None
        moves = bool(self._held.any()) or now < self._gripper[1]
        if moves:
            return None if driving else Event.TAKEOVER
        if driving and 0 < self._release_after < now - self._moved_at:
            return Event.RELEASE
        return None

    def action(self, now: float) -> NDArray[np.float32] | None:
        """The action (dim,) of this tick; None where the device is gone."""
        if self.lost(now):
            return None
        direction, until = self._gripper
        gripper = direction if now < until else 0.0
        moved = self._held * self._settings.speed
        return np.append(moved, gripper).astype(np.float32)[: self._dim]


def _axis(word: str) -> tuple[float, int]:
    """A sign and a number, out of a word like -2.

    Raises:
        UserError: it is none.
    """
    sign, digits = word[:1], word[1:]
    if sign not in ("+", "-") or not digits.isdigit():
        raise UserError(f"parameter 'axes': '{word}' is no axis: write a sign and a number, as +0")
    return (1.0 if sign == "+" else -1.0), int(digits)


def _given(value: int, usual: int) -> int:
    return usual if value < NONE else value


def _given_flag(value: int, usual: bool) -> bool:
    return usual if value < 0 else bool(value)
