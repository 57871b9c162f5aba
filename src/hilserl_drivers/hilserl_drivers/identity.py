"""Giving a servo another id or baud rate."""

from __future__ import annotations

from hilserl_core.errors import UserError
from hilserl_drivers.bus import Bus
from hilserl_drivers.models import BAUD_CODES, model_by_number
from hilserl_drivers.transactions import IDS


def adopt(bus: Bus, servo: int) -> None:
    """Finds out what model a servo is, and takes its torque off.

    Raises:
        UserError: it does not answer, or is of a model that is not known.
    """
    number = next(filter(None, (bus.ping(servo) for _ in range(3))), None)
    if number is None:
        raise UserError(f"servo {servo} does not answer: scan for those that do")
    model = model_by_number(bus.family, number)
    if model is None:
        raise UserError(f"servo {servo} is of model {number}, which is not known here")
    bus.attach(servo, model)
    bus.write(servo, "torque_enable", 0)


def change_id(bus: Bus, old: int, new: int) -> None:
    """Gives a servo another id.

    Raises:
        UserError: it does not answer, or the new id is taken or not an id.
        BusError: it did not take the id.
    """
    if new not in IDS:
        raise UserError(f"{new} is not an id: choose 0 to {IDS[-1]}")
    if bus.ping(new) is not None:
        raise UserError(f"there is a servo {new} already: give that one another id first")
    adopt(bus, old)
    bus.write_identity(old, "id", new)
    bus.attach(new, bus.models[old])
    bus.lock(new)
    if bus.ping(new) is None:
        raise UserError(f"servo {old} did not take the id {new}: connect it alone, and try again")


def change_baud(bus: Bus, servo: int, baud: int) -> None:
    """Has a servo talk at another rate; the bus then does so too.

    Raises:
        UserError: it does not answer, or does not know that rate.
    """
    codes = BAUD_CODES[bus.family]
    if baud not in codes:
        known = ", ".join(map(str, codes))
        raise UserError(f"{baud} is not a baud rate of these servos, choose from: {known}")
    adopt(bus, servo)
    bus.write_identity(servo, "baud_rate", codes[baud])
    bus.baud = baud
    bus.open()
    bus.lock(servo)
    if bus.ping(servo) is None:
        raise UserError(f"servo {servo} does not answer at {baud} baud: scan at all rates")
