"""The program ``calibrate``: guides a person through it, in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hilserl_core.errors import UserError
from hilserl_drivers.arms import Arm
from hilserl_drivers.bus import Bus
from hilserl_drivers.calibrating import Calibrator
from hilserl_drivers.console import connection, enter_pressed, parser, show_until_enter
from hilserl_drivers.registers import RADIANS_PER_TICK
from hilserl_drivers.transactions import BusError


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser(
        "calibrate",
        "Find out what joint angle each servo's position is. Takes about two minutes; the arm "
        "is limp and moved by hand.",
        "koch_follower --port /dev/serial/by-id/usb-ROBOTIS_OpenRB-150-if00",
    ).parse_args(args)
    try:
        arm, bus, path = connection(options)
        run(arm, bus, path, Console(highlight=False), enter_pressed)
    except (UserError, BusError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nnothing was saved; the arm is not calibrated until this ends", file=sys.stderr)
        return 1
    return 0


def run(arm: Arm, bus: Bus, path: Path, console: Console, pressed: Callable[[], bool]) -> None:
    """Calibrates, and saves the result.

    Args:
        arm: which arm.
        bus: closed.
        path: of the file to write.
        console: where to say what to do.
        pressed: whether Enter was pressed; waits a moment for it.

    Raises:
        UserError: the arm is not there, or what was done does not fit it.
        BusError: the bus stopped working.
    """
    bus.open()
    try:
        calibrator = Calibrator(bus, arm)
        console.print(f"{arm.name}: the arm becomes limp. Hold it, then press Enter.")
        _wait(pressed)
        calibrator.prepare()
        console.print(f"1. Hold the arm so: {arm.pose}. Then press Enter.")
        _wait(pressed)
        calibrator.take_pose()
        _take_ranges(calibrator, arm, console, pressed)
        _take_directions(calibrator, arm, console, pressed)
        result = calibrator.result()
        calibrator.keep(result)
        result.save(path)
        console.print(f"saved to {path}")
    finally:
        bus.close()


def _take_ranges(
    calibrator: Calibrator, arm: Arm, console: Console, pressed: Callable[[], bool]
) -> None:
    console.print("2. Move every joint to both ends of its range, slowly. Then press Enter.")
    while True:
        show_until_enter(console, lambda: _table(calibrator, arm), pressed)
        problem = calibrator.range_problem()
        if not problem:
            return
        console.print(f"   {problem}, then press Enter.")


def _table(calibrator: Calibrator, arm: Arm) -> Table:
    """How far each joint was moved so far."""
    now = calibrator.observe()
    table = Table("joint", "lowest", "now", "highest", "moved", "expected")
    for spec in arm.servos:
        low, high = calibrator.ranges[spec.id]
        table.add_row(
            spec.joint,
            str(low),
            str(now[spec.id]),
            str(high),
            f"{(high - low) * RADIANS_PER_TICK:.2f} rad",
            f"{spec.high - spec.low:.2f}",
        )
    return table


def _take_directions(
    calibrator: Calibrator, arm: Arm, console: Console, pressed: Callable[[], bool]
) -> None:
    asked = [spec for spec in arm.servos if spec.positive]
    if asked:
        console.print("3. Which way round the servos are: bring the arm to a free place, Enter.")
        _wait(pressed)
    for spec in asked:
        while True:
            before = calibrator.positions()[spec.id]
            console.print(f"   {spec.joint}: {spec.positive}, a little. Then press Enter.")
            _wait(pressed)
            try:
                calibrator.take_direction(spec, before, calibrator.positions()[spec.id])
                break
            except UserError as error:
                console.print(f"   {error}")


def _wait(pressed: Callable[[], bool]) -> None:
    while not pressed():
        pass


if __name__ == "__main__":
    sys.exit(main())
