"""How fast the driver reads and writes an arm of 6 servos, through a port at 1 Mbps.

The servo bus is emulated by a process of its own, behind a pty, with the time that bytes
take at 1 Mbps. Once as fast as it goes; then as the driver's node at 100 Hz, with its topics
heard and commanded, alone and beside a learner that never rests (``busy_learner``).

The goal is that of the time from one cycle to the next, 99th percentile: a cycle is one
transaction that reads all servos, and one that writes all goals.

    python bench/bench_driver.py --seconds 60
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from busy_learner import busy
from hilserl_core.messages import doubles
from hilserl_core.qos import COMMAND, RELIABLE, SENSOR
from hilserl_drivers import calibration
from hilserl_drivers.arms import ARMS
from hilserl_drivers.connection import serial_bus
from hilserl_drivers.driver import Driver, DriverSettings
from hilserl_drivers.loop import REMEMBERED

ARM_NAMES = ("koch_follower", "so101_follower")
SECONDS = 10.0
RATE = 100.0
COMMAND_PERIOD = 0.1  # s
REQUEST_BYTES = {"koch_follower": 14 + 6, "so101_follower": 8 + 6}
ANSWER_BYTES = {"koch_follower": 6 * (11 + 21), "so101_follower": 6 * (6 + 15)}
COMMAND_BYTES = {"koch_follower": 14 + 6 * 5, "so101_follower": 8 + 6 * 3}
GOAL_MS = 12.0
START_SECONDS = 60.0
NAMESPACE = f"bench_{os.getpid()}"

Figures = dict[str, float]


def rows(seconds: float = SECONDS, names: Sequence[str] = ARM_NAMES) -> list[dict[str, Any]]:
    """The figures of each arm."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    result = []
    for name in names:
        with emulated(name) as port:
            wire = REQUEST_BYTES[name] + ANSWER_BYTES[name] + COMMAND_BYTES[name]
            limit = 1e6 / (10 * wire)
            rate = fastest(name, port, min(seconds, SECONDS))
            result.append(row(f"{name}: read and write, 6 servos", rate, "Hz", "the wire", limit))
            for what, beside in (
                ("alone", contextlib.nullcontext()),
                ("beside the learner", busy()),
            ):
                figures = regular(name, port, seconds, beside)
                title = f"{name}: from cycle to cycle at 100 Hz {what}, 99th percentile"
                text = (
                    f"the goal (worst {figures['worst']:.1f} ms; a cycle itself takes "
                    f"{figures['cycle']:.1f} ms, 99th percentile; {figures['lost']:.0f} of "
                    f"{figures['answers']:.0f} answers lost)"
                )
                result.append(row(title, figures["period"], "ms", text, GOAL_MS))
                title = f"{name}: cycles a second {what}"
                result.append(row(title, figures["rate"], "Hz", "asked for", RATE))
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
def emulated(name: str) -> Iterator[Path]:
    """The port of an arm that another process emulates; its calibration is beside it."""
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder, "arm")
        command = [sys.executable, "-m", "hilserl_drivers.emulate", name, str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            for _ in range(2):
                process.stdout.readline()
            yield port
        finally:
            process.terminate()
            process.wait(10)


def target(at: float) -> np.ndarray:
    """A command to go to and fro."""
    return 0.2 * np.sin(at) * np.ones(6) - 0.3


def fastest(name: str, port: Path, seconds: float) -> float:
    """Cycles a second without a pause, in this process."""
    arm = ARMS[name]
    entries = calibration.load(port.with_suffix(".yaml"), arm)
    bus = serial_bus(arm.family, str(port), arm.baud)
    driver = Driver(bus, arm, entries, DriverSettings(), time.monotonic)
    driver.configure()
    driver.activate()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        driver.command(target(time.perf_counter()))
        driver.cycle()
        count += 1
    taken = time.perf_counter() - began
    driver.close()
    return count / taken


class Watch:
    """Commands the driver's node as a mux does, and hears what it says."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = node = rclpy.create_node(
            "bench_driver", namespace=NAMESPACE, context=self.context
        )
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self.heard = 0
        self.figures: Figures = {}
        topic = "forward_position_controller/commands"
        self.commands = node.create_publisher(Float64MultiArray, topic, COMMAND)
        node.create_subscription(JointState, "joint_states", self._on_joints, SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        node.create_timer(COMMAND_PERIOD, self._command)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _command(self) -> None:
        self.commands.publish(Float64MultiArray(data=doubles(target(time.monotonic()))))

    def _on_joints(self, _: JointState) -> None:
        self.heard += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        status = message.status[0]
        values = {pair.key: pair.value for pair in status.values}
        if status.name.startswith(f"/{NAMESPACE}/") and "rate [Hz]" in values:
            names = {
                "rate": "rate [Hz]",
                "period": "period, 99th percentile [ms]",
                "worst": "longest period [ms]",
                "cycle": "cycle, 99th percentile [ms]",
                "lost": "answers lost",
                "answers": "answers",
            }
            self.figures = {name: float(values[key]) for name, key in names.items()}

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)


def regular(
    name: str, port: Path, seconds: float, beside: AbstractContextManager[object]
) -> Figures:
    """The driver's node at 100 Hz: the worst that it says of any stretch of that time.

    It tells of its last cycles, and so of a stretch at a time. What is to go on ``beside`` it
    begins once it has started.
    """
    words = [f"arm:={name}", f"port:={port}", f"calibration:={port.with_suffix('.yaml')}"]
    command = [sys.executable, "-m", "hilserl_drivers.driver_node", "--ros-args"]
    command += ["-r", f"__ns:=/{NAMESPACE}", "-p", f"rate:={RATE}"]
    for word in words:
        command += ["-p", word]
    log = port.with_suffix(".log")
    with log.open("w") as file:
        node = subprocess.Popen(command, stdout=file, stderr=file)
    watch = Watch()
    stretch = REMEMBERED / RATE
    try:
        end = time.monotonic() + START_SECONDS
        while not watch.heard:
            if time.monotonic() > end or node.poll() is not None:
                raise RuntimeError(f"the driver of {name} did not start: {log.read_text()[-500:]}")
            watch.spin(0.1)
        seen: list[Figures] = []
        with beside:
            watch.spin(1.0)  # Past its start.
            for _ in range(max(1, round(seconds / stretch))):
                watch.spin(stretch + 1.0)
                if not watch.figures:
                    raise RuntimeError(f"the driver of {name} says nothing of itself")
                seen.append(watch.figures)
        lowest = {"rate": min(figures["rate"] for figures in seen)}
        names = ("period", "worst", "cycle", "lost", "answers")
        return lowest | {name: max(figures[name] for figures in seen) for name in names}
    finally:
        node.terminate()
        node.wait(20)
        watch.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    parser.add_argument("--arms", nargs="+", choices=ARM_NAMES, default=ARM_NAMES)
    options = parser.parse_args()
    for each in rows(options.seconds, options.arms):
        print(f"{each['name']:66} {each['value']:8.2f} {each['unit']}; {each['compared_to']}")
