"""The terminal of a run: its nodes' logs, and below them one live panel or now and then a line."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hilserl_bringup.status import Status, line, rows

LINE_EVERY = 10.0
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")
_COLUMNS = 2


def panel(status: Status) -> Panel:
    """A status as one panel."""
    table = Table.grid(padding=(0, 2), expand=True)
    for _ in range(_COLUMNS):
        table.add_column(style="dim", no_wrap=True)
        table.add_column(ratio=1)
    cells = [cell for row in rows(status) for cell in row]
    for start in range(0, len(cells), 2 * _COLUMNS):
        table.add_row(*cells[start : start + 2 * _COLUMNS])
    if status.message:
        table.add_row("", status.message)
    title = " ".join(part for part in (status.task, status.run) if part) or "hilserl"
    return Panel(table, title=title, title_align="left", border_style="dim")


class Screen(Protocol):
    """Where a run's output goes."""

    def log(self, name: str, text: str) -> None:
        """Shows one line of a node."""

    def tell(self, text: str) -> None:
        """Shows one line of the runner itself."""

    def update(self, status: Status) -> None:
        """Shows where the run stands."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class _Lines:
    """Lines with their node's name in front, in a colour of its own."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._styles: dict[str, str] = {}

    def log(self, name: str, text: str) -> None:
        style = self._styles.setdefault(name, _COLOURS[len(self._styles) % len(_COLOURS)])
        content = Text.from_ansi(text) if self.console.is_terminal else Text(text)
        self.console.print(Text(f"[{name}] ", style).append_text(content), soft_wrap=True)

    def tell(self, text: str) -> None:
        self.console.print(Text(f"[hilserl] {text}", "bold"), soft_wrap=True)


class PlainScreen(_Lines):
    """Logs, and one line of status every ten seconds, or when the phase changes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._shown = float("-inf")
        self._phase: int | None = None

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if status.phase is None:
            return
        if status.phase != self._phase or now - self._shown >= LINE_EVERY:
            self._shown, self._phase = now, status.phase
            self.tell(line(status))

    def close(self) -> None:
        """Nothing was changed."""


class LiveScreen(_Lines):
    """One panel that stays in place; logs scroll above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        # No refresh thread: whoever drives the run redraws, at every status.
        self._live = Live(panel(Status()), console=console, auto_refresh=False, transient=True)
        self._live.start()

    def update(self, status: Status) -> None:
        self._live.update(panel(status), refresh=True)

    def close(self) -> None:
        self._live.stop()


def make_screen(live: bool) -> PlainScreen | LiveScreen:
    """The live panel where wanted and the output is a terminal, else plain lines."""
    console = Console(highlight=False, markup=False, emoji=False)
    return LiveScreen(console) if live and console.is_terminal else PlainScreen(console)
