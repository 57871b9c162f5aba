"""A bar with the time left, for work that a person waits for; free of ROS.

It goes to the terminal of standard error, once the work has taken a second: what is quick shows
none, and neither does a program whose output goes to a file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = 1.0  # s


class Meter:
    """How far one piece of work is.

    Args:
        text: what is being done, for a person to read.
        total: what ``update`` will come to.
        clock: seconds, monotonic.
        console: of rich; None: standard error.
    """

    def __init__(
        self,
        text: str,
        total: float,
        clock: Callable[[], float] = time.monotonic,
        console: Any = None,
    ) -> None:
        self._text, self._total, self._clock = text, total, clock
        self._began = clock()
        self._console = console
        self._bar: Any = None
        self._wanted = sys.stderr.isatty() if console is None else console.is_terminal

    def update(self, done: float) -> None:
        """Shows that so much of the total is done."""
        if not self._wanted:
            return
        if self._bar is None:
            if self._clock() - self._began < _PATIENCE:
                return
            self._bar = self._make_bar()
            self._bar.start()
        self._bar.update(self._task, completed=done)

    def _make_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        bar = Progress(
            "{task.description}",
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            "left",
            console=self._console or Console(stderr=True),
            transient=True,
            get_time=self._clock,
        )
        self._task = bar.add_task(self._text, total=self._total)
        # Time left is reckoned from the start of the work, not from that of the bar.
        bar.tasks[0].start_time = self._began
        return bar

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def track(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar of how many have been taken.

    Args:
        items: to go through; listed first where neither they nor ``total`` say how many.
        text: what is done with them.
        total: how many there are.
    """
    if total is None:
        items = items if isinstance(items, Sized) else list(items)
        total = len(items)
    with Meter(text, total) as meter:
        for number, item in enumerate(items):
            meter.update(number)
            yield item
