"""The program ``emulate``: an arm that is not there, behind a port that is."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.faults import FaultRates, Faults
from hilserl_drivers.emulator.wires import PtyBus

EXAMPLE = """example:
  emulate koch_follower /tmp/koch
  driver_node --ros-args -p port:=/tmp/koch -p calibration:=/tmp/koch.yaml"""


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="emulate",
        description="Emulate an arm's servo bus behind a port, with a calibration beside it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arm", choices=ARMS, help="which arm")
    parser.add_argument("port", type=Path, help="where the port is to appear")
    parser.add_argument("--seed", type=int, default=0, help="of how the arm was built")
    parser.add_argument("--faults", type=float, default=0.0, help="share of packets, of each kind")
    parser.add_argument("--uncalibrated", action="store_true", help="as nobody has calibrated it")
    options = parser.parse_args(args)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        serve(options, ended)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def serve(options: argparse.Namespace, ended: threading.Event) -> None:
    """Emulates until ``ended``.

    Raises:
        UserError: the port cannot be made there.
    """
    faults = Faults(FaultRates.all(options.faults), options.seed)
    arm = EmulatedArm(ARMS[options.arm], time.monotonic, options.seed, timing=True, faults=faults)
    file = options.port.with_suffix(".yaml")
    if options.uncalibrated:
        arm.forget_calibration()
    else:
        arm.calibration.save(file)
    try:
        port = PtyBus(arm.bus, options.port)
    except OSError as error:
        raise UserError(f"no port can be made at {options.port}: {error.strerror}") from None
    with port:
        print(f"{options.arm} at {options.port}", flush=True)
        if not options.uncalibrated:
            print(f"calibration at {file}", flush=True)
        ended.wait()


if __name__ == "__main__":
    sys.exit(main())
