"""The bar appears for what takes long, on a terminal, and goes away."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hilserl_core.progress import Meter, track


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=80, legacy_windows=False), file


def test_what_is_quick_shows_nothing() -> None:
    console, file = terminal()
    clock = Clock()
    with Meter("reading", 10, clock, console) as meter:
        for done in range(10):
            clock.now += 0.05
            meter.update(done)
    assert file.getvalue() == ""


def test_what_is_slow_shows_how_far_it_is_and_how_long_it_will_take() -> None:
    console, file = terminal()
    clock = Clock()
    with Meter("reading", 100, clock, console) as meter:
        for done in range(0, 51, 5):
            clock.now += 1.0
            meter.update(done)
        meter._bar.refresh()
        shown = file.getvalue()
    assert "reading" in shown
    assert "50%" in shown
    assert "left" in shown
    assert meter._bar is None


def test_a_file_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Meter("reading", 10, clock) as meter:
        clock.now += 100
        meter.update(5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("items", [[], [3, 1, 2], range(5)])
def test_tracking_changes_no_item(items: list[int]) -> None:
    assert list(track(items, "counting")) == list(items)
    assert list(track(iter(items), "counting")) == list(items)
    assert list(track(iter(items), "counting", len(items))) == list(items)
