"""The program ``scan``: which servos are on a port; and giving them ids and baud rates."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from hilserl_core.errors import UserError
from hilserl_drivers.bus import Bus
from hilserl_drivers.connection import serial_bus
from hilserl_drivers.identity import change_baud, change_id
from hilserl_drivers.models import BAUD_CODES, model_by_number, model_name
from hilserl_drivers.registers import Family
from hilserl_drivers.transactions import BusError
from hilserl_drivers.wire import available_ports

IDS = range(31)
REPLY_TIMEOUT = 0.02
"""s: long enough for a busy machine, since a servo that is missed here is looked for in vain."""

EXAMPLE = """examples:
  scan --port /dev/ttyUSB0                     which servos there are, at the usual rates
  scan --port /dev/ttyUSB0 --set-id 1 5        a new servo, connected alone, becomes servo 5
  scan --port /dev/ttyUSB0 --baud 57600 --set-baud 1000000"""


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(args)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    try:
        return run(options, console)
    except (UserError, BusError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scan",
        description="Find the servos on a port, and give them ids and baud rates.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", help="the serial port; the only one there is by default")
    families = [family.value for family in Family]
    parser.add_argument("--family", choices=families, help="only these servos")
    parser.add_argument("--baud", type=int, help="only this rate, bits a second")
    parser.add_argument("--all-ids", action="store_true", help="up to 252, instead of up to 30")
    parser.add_argument("--set-id", type=int, nargs=2, metavar=("OLD", "NEW"), help="change an id")
    parser.add_argument("--set-baud", type=int, metavar="RATE", help="of every servo found")
    return parser


def run(options: argparse.Namespace, console: Console) -> int:
    """Scans, changes what is asked for, and prints what is there.

    Raises:
        UserError: the port cannot be opened, or a change cannot be made.
        BusError: the bus stopped working.
    """
    port = options.port or _only_port()
    families = [Family(options.family)] if options.family else list(Family)
    ids = range(253) if options.all_ids else IDS
    found = 0
    table = Table("id", "model", "baud", "position", "V", "deg C", "error")
    for family in families:
        for baud in [options.baud] if options.baud else usual_rates(family):
            bus = serial_bus(family, port, baud, REPLY_TIMEOUT)
            bus.open()
            try:
                servos = _present(bus, ids)
                if servos and options.set_id:
                    change_id(bus, *options.set_id)
                    servos = _present(bus, ids)
                if servos and options.set_baud:
                    for servo in servos:
                        bus.baud = baud
                        bus.open()
                        change_baud(bus, servo, options.set_baud)
                found += len(servos)
                for row in rows(bus, servos):
                    table.add_row(*row)
            finally:
                bus.close()
    if not found:
        raise UserError(
            f"no servo answers on {port}: check power and cable; look at --all-ids and --baud"
        )
    console.print(table)
    return 0


def _present(bus: Bus, ids: Iterable[int]) -> dict[int, int]:
    """Model numbers of the servos that answered once of twice.

    One answer can be lost on a bad cable or late on a busy machine, and a servo that is left
    out here would stay behind when the others change their rate.
    """
    once = bus.scan(ids)
    return {**once, **bus.scan(ids)}


def usual_rates(family: Family) -> list[int]:
    """The rates at which servos of a family are found: as they leave the factory, and as used."""
    usual = (1_000_000, 57_600) if family == Family.DYNAMIXEL else (1_000_000,)
    return [baud for baud in usual if baud in BAUD_CODES[family]]


def rows(bus: Bus, servos: dict[int, int]) -> Iterable[tuple[str, ...]]:
    """What is to be said of each servo."""
    for servo, number in servos.items():
        model = model_by_number(bus.family, number)
        name = model_name(bus.family, number)
        if model is None:
            yield str(servo), f"{name} (not known here)", str(bus.baud), "", "", "", ""
            continue
        bus.attach(servo, model)
        reading = bus.read_states([servo]).get(servo)
        if reading is None:
            yield str(servo), name, str(bus.baud), "garbled: two servos of this id?", "", "", ""
            continue
        bits = bus.read(servo, "hardware_error")
        yield (
            str(servo),
            name,
            str(bus.baud),
            f"{reading.position:.3f}",
            f"{reading.voltage:.1f}",
            f"{reading.temperature:.0f}",
            model.error_text(bits) if bits else "",
        )


def _only_port() -> str:
    ports = available_ports()
    if len(ports) == 1:
        return ports[0]
    named = ", ".join(ports) if ports else "no USB serial adapter is connected"
    raise UserError(f"name the port with --port: {named}")


if __name__ == "__main__":
    sys.exit(main())
