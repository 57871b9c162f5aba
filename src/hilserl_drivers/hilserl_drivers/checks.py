"""Whether this is the right arm, whole and well: before any torque is switched on.

Every problem is a ``UserError`` with its remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hilserl_core.errors import UserError
from hilserl_drivers.arms import ARMS, FACTORY_BAUD, Arm, ServoSpec
from hilserl_drivers.bus import Bus, Reading
from hilserl_drivers.calibration import FACTORY, Calibration, JointMap
from hilserl_drivers.models import BAUD_CODES, model_name

ATTEMPTS = 5
"""Of a question that a disturbance on the wire may have spoilt."""

STRAY_IDS = range(1, 21)
"""Where to look for a servo whose id was set wrong."""

REACH_MARGIN = 0.3
"""rad beyond the calibrated range that a joint may stand: it gives, and is pushed by hand."""

COOLING = 5.0
"""degrees Celsius below its own limit that a servo must be before torque is switched on."""


def name(spec: ServoSpec) -> str:
    """A servo as messages call it."""
    return f"servo {spec.id} ({spec.joint})"


def find_servos(bus: Bus, arm: Arm) -> None:
    """Finds every servo of the arm, and tells the bus its model.

    Raises:
        UserError: one is missing, doubled, or of another model; or none answers.
    """
    numbers: dict[int, int] = {}
    garbled: list[ServoSpec] = []
    for spec in arm.servos:
        number, damaged = _model(bus, spec.id)
        if number is not None:
            numbers[spec.id] = number
        elif damaged:
            garbled.append(spec)
    if garbled:
        raise _doubled(garbled, [s for s in arm.servos if s.id not in numbers and s not in garbled])
    if not numbers:
        raise _silent(bus, arm)
    missing = [spec for spec in arm.servos if spec.id not in numbers]
    if missing:
        raise _missing(bus, arm, missing)
    _check_models(arm, numbers)
    for spec in arm.servos:
        bus.attach(spec.id, spec.table)
    _check_single(bus, arm)


def _model(bus: Bus, servo: int) -> tuple[int | None, bool]:
    """A servo's model number, and whether answers came damaged each time."""
    damaged = 0
    for _ in range(ATTEMPTS):
        before = bus.counts.bad
        number = bus.ping(servo)
        if number is not None:
            return number, False
        damaged += bus.counts.bad > before
        if not damaged:
            break  # Silence needs no second look, unless the wire was disturbed.
    if damaged:
        return None, damaged == ATTEMPTS
    return bus.ping(servo), False


def _doubled(specs: Iterable[ServoSpec], missing: Iterable[ServoSpec]) -> UserError:
    named = ", ".join(name(spec) for spec in specs)
    absent = ", ".join(name(spec) for spec in missing)
    hint = f", and {absent} does not answer" if absent else ""
    return UserError(
        f"{named} answers, but garbled{hint}: two servos seem to have that id; connect one of "
        "them alone and give it its own with 'scan --set-id OLD NEW'"
    )


def _silent(bus: Bus, arm: Arm) -> UserError:
    """No servo answers: perhaps at another baud rate."""
    asked = bus.baud
    for baud in sorted({*BAUD_CODES[arm.family], FACTORY_BAUD[arm.family]}, reverse=True):
        if baud == asked:
            continue
        bus.baud = baud
        bus.open()
        found = bus.scan(arm.ids)
        if found:
            ids = ", ".join(map(str, found))
            return UserError(
                f"no servo answers at {asked} baud, but {ids} at {baud}: set the parameter "
                f"'baud' to {baud}, or the servos to {asked} with 'scan --baud {baud} "
                f"--set-baud {asked}'"
            )
    bus.baud = asked
    return UserError(
        "no servo answers at any baud rate: check the arm's power supply, the cable from the "
        "adapter to its first servo, and that this is the arm's port"
    )


def _missing(bus: Bus, arm: Arm, missing: list[ServoSpec]) -> UserError:
    named = ", ".join(name(spec) for spec in missing)
    strays = [servo for servo in STRAY_IDS if servo not in arm.ids and bus.ping(servo) is not None]
    if strays:
        there = ", ".join(map(str, strays))
        remedy = f"there is a servo {there} instead: give it the right id with 'scan --set-id'"
    else:
        remedy = (
            "check the cable between it and the servo before it; a new servo has id 1 and needs "
            "its own ('scan --set-id')"
        )
    return UserError(f"{named} of {arm.name} does not answer: {remedy}")


def _check_models(arm: Arm, numbers: Mapping[int, int]) -> None:
    wrong = [spec for spec in arm.servos if numbers[spec.id] != spec.table.number]
    if not wrong:
        return
    for other in ARMS.values():
        if other.family == arm.family and all(
            numbers.get(spec.id) == spec.table.number for spec in other.servos
        ):
            raise UserError(
                f"this is a {other.name}, not a {arm.name}: the ports of the two arms are "
                "swapped; name the other port"
            )
    spec = wrong[0]
    raise UserError(
        f"{name(spec)} is a {model_name(arm.family, numbers[spec.id])}, a {arm.name} has a "
        f"{spec.model} there: check that the servos' ids are in their order, or name the right arm"
    )


def _check_single(bus: Bus, arm: Arm) -> None:
    """Whether each id answers with one voice."""
    never = list(arm.servos)
    for _ in range(ATTEMPTS):
        readings = bus.read_states(arm.ids)
        never = [spec for spec in never if spec.id not in readings]
        if not never:
            return
    raise _doubled(never, [])


def check_health(arm: Arm, readings: Mapping[int, Reading]) -> None:
    """Whether no servo is too hot, short of voltage, or in error.

    Raises:
        UserError: one is.
    """
    for spec in arm.servos:
        problem = health_problem(spec, readings[spec.id], spec.table.temperature_limit - COOLING)
        if problem:
            raise UserError(problem)


def health_problem(spec: ServoSpec, reading: Reading, hottest: float) -> str:
    """What is wrong with a servo by its reading; empty where nothing is."""
    lowest, highest = spec.table.voltage
    if reading.temperature >= hottest:
        return (
            f"{name(spec)} is {reading.temperature:.0f} degrees hot, more than {hottest:.0f}: let "
            "it cool down, and look for what it strains against"
        )
    if reading.voltage < lowest:
        return (
            f"{name(spec)}, a {spec.model}, has {reading.voltage:.1f} V, less than the "
            f"{lowest:.1f} V that it needs: check its power supply, and that it is switched on"
        )
    if reading.voltage > highest + 0.5:
        return (
            f"{name(spec)}, a {spec.model}, has {reading.voltage:.1f} V, more than its "
            f"{highest:.1f} V: unplug it now, this is another model's supply"
        )
    return ""


def error_problem(spec: ServoSpec, bits: int) -> str:
    """A servo's hardware error, with its remedy."""
    return (
        f"{name(spec)} has stopped itself ({spec.table.error_text(bits)}): free the arm, let it "
        "cool down, then call the service robot/release_stop"
    )


def check_calibration(bus: Bus, arm: Arm, calibration: Calibration) -> None:
    """Whether the servos keep what the calibration says.

    Raises:
        UserError: they were never calibrated, or it is another arm's calibration.
        BusError: a servo does not answer.
    """
    kept = {spec.id: bus.calibration_registers(spec.id) for spec in arm.servos}
    if all(registers == FACTORY for registers in kept.values()):
        raise UserError(
            f"this {arm.name} is not calibrated, though there is a calibration of another at "
            f"{calibration.path}: run calibrate, with --file for a file of its own"
        )
    differing = [
        spec for spec in arm.servos if kept[spec.id] != calibration.servos[spec.id].registers
    ]
    if len(differing) == len(arm.servos):
        raise UserError(
            f"{calibration.path} is the calibration of another {arm.name}: name this one's file "
            "in the parameter 'calibration', check that the ports are not swapped, or calibrate"
        )
    if differing:
        spec = differing[0]
        raise UserError(
            f"{name(spec)} keeps offset and range {kept[spec.id]}, and {calibration.path} says "
            f"{calibration.servos[spec.id].registers}: the servo was replaced or calibrated "
            "elsewhere; calibrate the arm again"
        )


def check_reach(arm: Arm, maps: Mapping[int, JointMap], positions: Mapping[int, float]) -> None:
    """Whether every joint stands where it could stand when it was calibrated.

    Args:
        maps: of each servo.
        positions: of each servo, rad.

    Raises:
        UserError: one does not.
    """
    for spec in arm.servos:
        joint = maps[spec.id]
        angle = joint.angle(positions[spec.id])
        low, high = joint.reach
        if not low - REACH_MARGIN <= angle <= high + REACH_MARGIN:
            raise UserError(
                f"{spec.joint} reads {angle:.2f} rad, outside the range {low:.2f} to {high:.2f} "
                f"in which it was calibrated: the horn of servo {spec.id} was mounted anew, or "
                "this is another arm; calibrate it again"
            )
