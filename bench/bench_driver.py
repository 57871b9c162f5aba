"""How fast the driver reads and writes an arm of 6 servos, through a port at 1 Mbps.

The servo bus is emulated by a process of its own, behind a pty, with the time that bytes
take at 1 Mbps. Once as fast as it goes, once at 100 Hz with another process that keeps
both cores busy, as a learner does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hilserl_drivers import calibration
from hilserl_drivers.arms import ARMS
from hilserl_drivers.connection import serial_bus
from hilserl_drivers.driver import Driver, DriverSettings
from hilserl_drivers.loop import DriverLoop, Timing

ARM_NAMES = ("koch_follower", "so101_follower")
SECONDS = 10.0
RATE = 100.0
REQUEST_BYTES = {"koch_follower": 14 + 6, "so101_follower": 8 + 6}
ANSWER_BYTES = {"koch_follower": 6 * (11 + 21), "so101_follower": 6 * (6 + 15)}
COMMAND_BYTES = {"koch_follower": 14 + 6 * 5, "so101_follower": 8 + 6 * 3}
GOAL_MS = 12.0
BUSY = "import torch\na = torch.randn(512, 512)\nwhile True: a = torch.tanh(a @ a)"


def rows() -> list[dict[str, Any]]:
    result = []
    for name in ARM_NAMES:
        with emulated(name) as driver:
            wire = REQUEST_BYTES[name] + ANSWER_BYTES[name] + COMMAND_BYTES[name]
            limit = 1e6 / (10 * wire)
            rate = fastest(driver)
            result.append(row(f"{name}: read and write, 6 servos", rate, "Hz", "the wire", limit))
            for what, busy in (("alone", False), ("beside a busy learner", True)):
                timing = regular(driver, busy)
                name_ = f"{name}: cycle at 100 Hz {what}, 99th percentile"
                result.append(row(name_, 1e3 * timing.cycle, "ms", "the goal", GOAL_MS))
                name_ = f"{name}: cycles a second {what}"
                result.append(row(name_, timing.rate, "Hz", "asked for", RATE))
    return result


def row(name: str, value: float, unit: str, to: str, other: float) -> dict[str, Any]:
    compared = f"{to}: {other:.4g} {unit}"
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "compared_to": compared,
        "ratio": value / other,
    }


@contextmanager
def emulated(name: str) -> Iterator[Driver]:
    """An active driver of an arm that another process emulates."""
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder, "arm")
        command = [sys.executable, "-m", "hilserl_drivers.emulate", name, str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            for _ in range(2):
                process.stdout.readline()
            arm = ARMS[name]
            entries = calibration.load(port.with_suffix(".yaml"), arm)
            bus = serial_bus(arm.family, str(port), arm.baud)
            driver = Driver(bus, arm, entries, DriverSettings(), time.monotonic)
            driver.configure()
            driver.activate()
            yield driver
            driver.close()
        finally:
            process.terminate()
            process.wait(10)


def fastest(driver: Driver) -> float:
    """Cycles a second without a pause."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        driver.command(0.2 * np.sin(time.perf_counter()) * np.ones(6) - 0.3)
        driver.cycle()
        count += 1
    return count / (time.perf_counter() - began)


def regular(driver: Driver, busy: bool) -> Timing:
    """The driver on its own thread at 100 Hz, as in the node."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    burner = subprocess.Popen([sys.executable, "-c", BUSY], env=environment) if busy else None
    try:
        time.sleep(3.0 if busy else 0.0)
        loop = DriverLoop(driver, RATE, lambda sample: None, lambda error: None)
        time.sleep(SECONDS)
        timing = loop.timing()
        loop.end(lambda: None)
        return timing
    finally:
        if burner is not None:
            burner.kill()
            burner.wait()
