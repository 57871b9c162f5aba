"""The program ``monitor``: a live table of an arm's servos, without any torque."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hilserl_core.errors import UserError
from hilserl_drivers import calibration, checks
from hilserl_drivers.arms import Arm
from hilserl_drivers.bus import Bus, Reading
from hilserl_drivers.calibration import JointMap
from hilserl_drivers.console import connection, enter_pressed, parser, show_until_enter
from hilserl_drivers.transactions import BusError


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser(
        "monitor",
        "Show what an arm's servos measure, live; move it by hand. Enter ends it.",
        "koch_leader --port /dev/ttyUSB0",
    ).parse_args(args)
    try:
        arm, bus, path = connection(options)
        return run(arm, bus, path, Console(highlight=False), enter_pressed)
    except (UserError, BusError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def run(arm: Arm, bus: Bus, path: Path, console: Console, pressed: Callable[[], bool]) -> int:
    """Shows the table until Enter is pressed.

    Raises:
        UserError: the arm is not there, or not whole.
        BusError: the bus stopped working.
    """
    bus.open()
    try:
        checks.find_servos(bus, arm)
        maps = _maps(arm, path, console)
        last: dict[int, Reading] = {}

        def picture() -> Table:
            last.update(bus.read_states(arm.ids))
            counts = bus.counts
            title = f"{arm.name}: {counts.received} answers, {counts.lost} lost, {counts.bad} bad"
            return table(arm, maps, last, title)

        show_until_enter(console, picture, pressed)
        console.print(picture())
    finally:
        bus.close()
    return 0


def _maps(arm: Arm, path: Path, console: Console) -> Mapping[int, JointMap]:
    """How servos are joints; empty where the arm is not calibrated yet, which is said."""
    try:
        entries = calibration.load(path, arm)
    except UserError as error:
        console.print(f"{error}\nshowing the servos' own positions")
        return {}
    return {spec.id: JointMap(spec, entries.servos[spec.id]) for spec in arm.servos}


def table(
    arm: Arm, maps: Mapping[int, JointMap], readings: Mapping[int, Reading], title: str
) -> Table:
    """Every servo in a row; what a servo does not measure stays empty."""
    result = Table(title=title, title_justify="left")
    for heading in ("id", "joint", "model"):
        result.add_column(heading)
    for heading in ("rad", "range", "rad/s", "A", "load %", "V", "deg C"):
        result.add_column(heading, justify="right")
    result.add_column("")
    for spec in arm.servos:
        reading = readings.get(spec.id)
        if reading is None:
            result.add_row(str(spec.id), spec.joint, spec.model, *[""] * 7, "no answer")
            continue
        joint = maps.get(spec.id)
        position, reach = reading.position, ""
        if joint is not None:
            joint.find_turn(position)
            position = joint.angle(position)
            reach = f"{joint.reach[0]:.2f} .. {joint.reach[1]:.2f}"
        result.add_row(
            str(spec.id),
            spec.joint,
            spec.model,
            f"{position:.3f}",
            reach,
            _number(reading.velocity, ".2f"),
            _number(reading.current, ".3f"),
            _number(100 * reading.load, ".1f"),
            f"{reading.voltage:.1f}",
            f"{reading.temperature:.0f}",
            "hardware error" if reading.alert else "",
        )
    return result


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


if __name__ == "__main__":
    sys.exit(main())
