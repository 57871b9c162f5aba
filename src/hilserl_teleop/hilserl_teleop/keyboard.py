"""Which keys are down, by the keyboard itself: a terminal tells of presses and of no release.

It is asked only about keys that the terminal told of, so that what is typed in another window
moves nothing.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from hilserl_core.errors import UserError

CODES = {
    "\x1b[A": "KEY_UP",
    "\x1b[B": "KEY_DOWN",
    "\x1b[C": "KEY_RIGHT",
    "\x1b[D": "KEY_LEFT",
    "\x1b[5~": "KEY_PAGEUP",
    "\x1b[6~": "KEY_PAGEDOWN",
}
"""Names of the keys whose names are not their letters'."""

NEEDED = ("KEY_W", "KEY_A", "KEY_SPACE")
"""What has these is a keyboard."""


def code_name(key: str) -> str:
    """The kernel's name of a key, as on a keyboard with the letters where a US one has them."""
    return CODES.get(key, f"KEY_{key.upper()}")


def find_keyboards(which: str) -> list[Any]:
    """The keyboards to ask.

    Args:
        which: a device of /dev/input; "auto": those that can be read, unless the terminal is a
            remote one; "none".

    Raises:
        UserError: the device that was named cannot be read.
    """
    if which == "none" or (which == "auto" and os.environ.get("SSH_CONNECTION")):
        return []
    try:
        import evdev
    except ImportError:
        if which == "auto":
            return []
        raise UserError(
            "parameter 'keyboard': evdev is not installed: pip install evdev, or keyboard:=none"
        ) from None
    if which != "auto":
        try:
            return [evdev.InputDevice(which)]
        except OSError as error:
            raise UserError(
                f"parameter 'keyboard': {which}: {error.strerror}: it takes membership of group "
                "input, or keyboard:=none"
            ) from None
    found = []
    for path in evdev.list_devices():  # Those that may be read.
        with contextlib.suppress(OSError):
            device = evdev.InputDevice(path)
            keys = device.capabilities().get(evdev.ecodes.EV_KEY, [])
            if all(getattr(evdev.ecodes, name) in keys for name in NEEDED):
                found.append(device)
            else:
                device.close()
    return found


class Keyboard:
    """Keyboards of this machine, taken together.

    Args:
        devices: with ``active_keys(verbose=True)`` and ``close()``, as those of evdev.
    """

    def __init__(self, devices: list[Any]) -> None:
        self._devices = devices
        self._down: frozenset[str] = frozenset()

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return bool(self._devices)

    def update(self) -> None:
        """Asks which keys are down."""
        down: set[str] = set()
        for device in list(self._devices):
            try:
                for names, _ in device.active_keys(verbose=True):
                    down.update([names] if isinstance(names, str) else names)
            except OSError:
                self._devices.remove(device)  # Unplugged: its keys are up.
        self._down = frozenset(down)

    def is_down(self, key: str) -> bool:
        """Whether a key, as a terminal names it, is down."""
        return code_name(key) in self._down

    def close(self) -> None:
        """Lets go of the devices."""
        for device in self._devices:
            device.close()
        self._devices = []
