"""Somebody at a terminal of their own that runs ``intervene``."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

from runs import ROOT


class Person:
    """Reads the line of state and presses keys.

    Args:
        arguments: of ``intervene``.
    """

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 240))  # No line of state is cut.
        command = [sys.executable, "-m", "hilserl_bringup.cli", "run", "hilserl_teleop"]
        self.process = subprocess.Popen(
            [*command, "intervene", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            close_fds=True,
        )
        os.close(theirs)
        self._screen = ""

    def look(self) -> str:
        """The newest line of state that has been drawn to its end."""
        while select.select([self._ours], [], [], 0.0)[0]:
            self._screen += os.read(self._ours, 4096).decode(errors="replace")
        drawn = re.findall(r"\r([^\r\x1b]+)\x1b\[K", self._screen)
        return drawn[-1] if drawn else ""

    def press(self, keys: str, times: int = 1) -> None:
        for _ in range(times):
            os.write(self._ours, keys.encode())
            time.sleep(0.12)
            self.look()

    def leave(self) -> None:
        """The terminal is gone, as when an SSH connection breaks."""
        if self._ours >= 0:
            os.close(self._ours)
        self._ours = -1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.leave()
