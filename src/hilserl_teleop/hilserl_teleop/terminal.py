"""A terminal read key by key, which is given back as it was found, whatever happens."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios

from hilserl_core.errors import UserError


class Terminal:
    """Standard input key by key, standard output for one line that is drawn anew.

    Raises:
        UserError: standard input or output is not a terminal.
    """

    def __init__(self) -> None:
        self._input, self._output = sys.stdin.fileno(), sys.stdout.fileno()
        for descriptor, name in ((self._input, "input"), (self._output, "output")):
            if not os.isatty(descriptor):
                raise UserError(
                    f"standard {name} is not a terminal: run intervene in one (over SSH: ssh -t)"
                )
        # A hang-up must not end the process before it has said what happens to the arm.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._before = termios.tcgetattr(self._input)
        self._line = ""
        self.alive = True
        # Keys arrive one by one and unechoed, Ctrl-C among them; output stays as it was.
        mode = termios.tcgetattr(self._input)
        mode[0] &= ~(termios.IXON | termios.ICRNL)
        mode[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._input, termios.TCSAFLUSH, mode)

    def read(self) -> bytes:
        """What was typed since the last call; ``alive`` is False once the terminal is gone."""
        try:
            if not select.select([self._input], [], [], 0)[0]:
                return b""
            data = os.read(self._input, 1024)
        except OSError:
            data = b""
        # Readable, yet empty: the other end is closed.
        self.alive = self.alive and bool(data)
        return data

    def show(self, line: str) -> None:
        """Draws the line of state, cut to the terminal's width."""
        columns = shutil.get_terminal_size().columns
        line = line[: columns - 1]
        if line != self._line:
            self._line = line
            self._write(f"\r{line}\x1b[K")

    def say(self, text: str) -> None:
        """Prints a text that stays above the line of state."""
        self._write("\r\x1b[K" + text + "\n" + self._line)

    def close(self) -> None:
        """Gives the terminal back as it was."""
        self._write("\n")
        try:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
        except (termios.error, OSError):
            self.alive = False  # There is none left to restore.

    def _write(self, text: str) -> None:
        try:
            os.write(self._output, text.encode())
        except OSError:
            self.alive = False
