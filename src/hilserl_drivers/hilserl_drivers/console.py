"""What the programs for a terminal share: options, the Enter key, and a table that lives."""

from __future__ import annotations

import argparse
import select
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from hilserl_core.errors import UserError
from hilserl_drivers.arms import ARMS, Arm
from hilserl_drivers.bus import Bus
from hilserl_drivers.connection import Connection

LOOK_SECONDS = 0.05


def parser(program: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser of the options that name an arm."""
    result = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=f"example:\n  {program} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("arm", choices=ARMS, help="which arm")
    result.add_argument("--port", required=True, help="its serial port")
    result.add_argument("--baud", type=int, default=0, help="bits a second, if unusual")
    result.add_argument("--file", default="", help="its calibration, if not the usual file")
    return result


def connection(options: argparse.Namespace) -> tuple[Arm, Bus, Path]:
    """The arm that the options name, its bus (closed), and its calibration file."""
    where = Connection(
        port=options.port, arm=options.arm, baud=options.baud, calibration=options.file
    )
    return where.which, where.bus(), where.calibration_path


def enter_pressed(seconds: float = LOOK_SECONDS) -> bool:
    """Whether Enter is pressed within that time.

    Raises:
        UserError: the terminal is gone.
    """
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return False
    if not sys.stdin.readline():
        raise UserError("the input has ended: run this in a terminal")
    return True


def show_until_enter(
    console: Console,
    picture: Callable[[], RenderableType],
    pressed: Callable[[], bool] = enter_pressed,
) -> None:
    """Draws what ``picture`` gives, again and again, until Enter is pressed."""
    with Live(picture(), console=console, auto_refresh=False, transient=True) as live:
        while not pressed():
            live.update(picture(), refresh=True)
