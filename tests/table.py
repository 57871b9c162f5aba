"""A table with emulated arms, whose drivers, mux and devices are processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core.qos import COMMAND, LATCHED, RELIABLE, SENSOR
from hilserl_core.step import Event
from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.wires import PtyBus
from hilserl_msgs.msg import Action, Arbitration, OperatorEvent

COMMANDS = "forward_position_controller/commands"
PATIENCE = 60.0


class Arm:
    """An emulated arm behind a port."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.emulated = EmulatedArm(ARMS[name], time.monotonic)
        self.file = folder / f"{name}.yaml"
        self.emulated.calibration.save(self.file)
        self.port = PtyBus(self.emulated.bus, folder / name)

    @property
    def angles(self) -> np.ndarray:
        with self.emulated.bus.lock:
            return self.emulated.angles()

    @property
    def is_limp(self) -> bool:
        with self.emulated.bus.lock:
            return not any(servo.get("torque_enable") for servo in self.emulated.servos)

    def push(self, joint: int, current: float) -> None:
        """Pushes a joint, as hard as this many A of its servo."""
        with self.emulated.bus.lock:
            self.emulated.joints[joint].load = -current

    def carry(self, angles: np.ndarray) -> None:
        """Moves a limp arm by hand."""
        self.emulated.place(angles)


class Table:
    """The test's own node among the processes; ``close`` ends them."""

    def __init__(self, folder: Path) -> None:
        self.namespace = f"table_{os.getpid()}"
        self.folder = folder
        self.arms: dict[str, Arm] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        name = self.namespace
        self.node = node = rclpy.create_node("table", context=self.context, namespace=name)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self.arbitration = Arbitration()
        self.actions: list[Action] = []
        self.commands: list[np.ndarray] = []
        self.joints: list[JointState] = []
        node.create_subscription(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        node.create_subscription(Action, "action", self.actions.append, RELIABLE)
        node.create_subscription(JointState, "joint_states", self.joints.append, SENSOR)
        node.create_subscription(Float64MultiArray, COMMANDS, self._on_command, COMMAND)

    def _on_arbitration(self, message: Arbitration) -> None:
        self.arbitration = message

    def _on_command(self, message: Float64MultiArray) -> None:
        self.commands.append(np.array(message.data))

    # -- what stands on it

    def start(
        self, name: str, module: Sequence[str], within: str = "", **parameters: object
    ) -> None:
        """Starts a process: arguments of Python, and the namespace within the table's."""
        command = [sys.executable, *module, "--ros-args", "-r"]
        command.append(f"__ns:=/{self.namespace}{within}")
        for key, value in parameters.items():
            command += ["-p", f"{key}:={value}"]
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def add_arm(self, name: str, within: str = "", **parameters: object) -> Arm:
        """An arm and its driver."""
        arm = self.arms[name] = Arm(name, self.folder)
        # An emulator that shares its process with a test may answer late.
        self.start(
            name, ["-m", "hilserl_drivers.driver_node"], within, arm=name, port=arm.port.path,
            calibration=arm.file, reply_timeout=0.05, **parameters,
        )  # fmt: skip
        return arm

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stall(self, seconds: float) -> None:
        """Nothing on the table runs for so long, as on a machine that is out of breath."""
        for process in self.processes.values():
            process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        for arm in self.arms.values():
            arm.port.close()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    # -- what happens on it

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            logs = "\n".join(f"{name}: {self.log(name)[-300:]}" for name in self.processes)
            assert time.monotonic() < end, f"waited in vain; {self.arbitration}\n{logs}"
            self.executor.spin_once(timeout_sec=0.01)

    def is_driven_by(self, device: str) -> bool:
        mux = self.arbitration
        return (mux.state, mux.device) == (Arbitration.HUMAN, device)

    def send(self, device: str, event: Event) -> None:
        publisher = self.node.create_publisher(OperatorEvent, f"teleop/{device}/event", RELIABLE)
        self.until(publisher.get_subscription_count)
        message = OperatorEvent(event=int(event), device=device)
        message.header.stamp = self.node.get_clock().now().to_msg()
        publisher.publish(message)
        self.spin(0.1)
        self.node.destroy_publisher(publisher)
