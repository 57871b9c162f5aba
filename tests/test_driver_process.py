"""The driver as a process of its own, on an arm that the test emulates behind a port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from hilserl_core.messages import doubles
from hilserl_core.qos import COMMAND, RELIABLE, SENSOR
from hilserl_core.stamps import stamp_to_ns
from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.wires import PtyBus
from hilserl_msgs.msg import ServoState
from hilserl_msgs.srv import Reset

NAMESPACE = f"driver_{os.getpid()}"
ARM = ARMS["koch_follower"]


class Stage:
    """An emulated arm, and the nodes that talk to its driver."""

    def __init__(self, folder: Path) -> None:
        self.arm = EmulatedArm(ARM, time.monotonic)
        self.port = PtyBus(self.arm.bus, folder / "arm")
        self.file = folder / "arm.yaml"
        self.arm.calibration.save(self.file)
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = node = rclpy.create_node("stage", context=self.context, namespace=NAMESPACE)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self.joints: list[JointState] = []
        self.servos: list[ServoState] = []
        self.health = ""
        self.figures: dict[str, str] = {}
        node.create_subscription(JointState, "joint_states", self.joints.append, SENSOR)
        node.create_subscription(ServoState, "servo_states", self.servos.append, SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        topic = "forward_position_controller/commands"
        self.commands = node.create_publisher(Float64MultiArray, topic, COMMAND)
        self.process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.port.close()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        status = message.status[0]
        if status.name.startswith(f"/{NAMESPACE}/driver_node"):
            self.health = status.message
            self.figures = {pair.key: pair.value for pair in status.values}

    def start(self, **parameters: object) -> subprocess.Popen[str]:
        # An emulator that shares its process with a test may answer late.
        values = {"port": self.port.path, "calibration": self.file, "reply_timeout": 0.05}
        command = [sys.executable, "-m", "hilserl_drivers.driver_node", "--ros-args"]
        command += ["-r", f"__ns:=/{NAMESPACE}"]
        for name, value in {**values, **parameters}.items():
            command += ["-p", f"{name}:={value}"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self.process

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "what was waited for did not come"
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(20.0)
        future = client.call_async(request)
        self.until(future.done, 30.0)
        self.node.destroy_client(client)
        return future.result()

    def transition(self, number: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=number))
        return bool(self.call(ChangeState, "driver_node/change_state", request).success)

    def torques(self) -> set[int]:
        with self.arm.bus.lock:
            return {servo.get("torque_enable") for servo in self.arm.servos}

    def angles(self) -> np.ndarray:
        with self.arm.bus.lock:
            return self.arm.angles()

    def command_until(self, target: np.ndarray) -> None:
        """Commands until the arm is there."""

        def there() -> bool:
            self.commands.publish(Float64MultiArray(data=doubles(target)))
            return bool(np.abs(self.angles() - target).max() < 0.03)

        self.until(there)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    result = Stage(tmp_path)
    yield result
    result.close()


def test_an_arm_is_driven_through_its_port(stage: Stage) -> None:
    stage.start()
    stage.until(lambda: len(stage.servos) > 20)
    assert stage.torques() == {1}
    state, servo = stage.joints[-1], stage.servos[-1]
    assert list(state.name) == list(ARM.joints)
    assert state.position == pytest.approx(stage.angles(), abs=0.02)
    assert not state.effort
    assert np.isnan(servo.current).tolist() == [True, True, False, False, False, False]
    assert servo.voltage[0] == pytest.approx(10.2, abs=0.2)

    reset = stage.call(Reset, "robot/reset", Reset.Request())
    assert reset.success
    assert reset.command == pytest.approx(ARM.home)
    assert stage.angles() == pytest.approx(ARM.home, abs=0.12)
    stage.until(lambda: stamp_to_ns(stage.joints[-1].header.stamp) > stamp_to_ns(reset.stamp))
    stage.command_until(np.array(ARM.home) + 0.1)

    assert stage.call(SetBool, "robot/lead", SetBool.Request(data=True)).success
    assert stage.torques() == {0}
    assert stage.call(SetBool, "robot/lead", SetBool.Request(data=False)).success
    assert stage.torques() == {1}

    assert stage.call(Trigger, "robot/stop", Trigger.Request()).success
    stage.until(lambda: stage.torques() == {0})
    stage.until(lambda: stage.health.startswith("stopped by robot/stop"))
    refused = stage.call(Reset, "robot/reset", Reset.Request())
    assert (refused.success, refused.message[:27]) == (False, "the arm cannot go home: sto")
    assert stage.call(Trigger, "robot/release_stop", Trigger.Request()).success
    assert stage.torques() == {1}

    stage.port.unplug()
    stage.until(lambda: "lost the arm" in stage.health)
    stage.port.plug_in()
    stage.command_until(np.array(ARM.home))
    stage.until(lambda: int(stage.figures["reconnections"]) >= 1)

    assert stage.process is not None
    stage.process.send_signal(signal.SIGTERM)
    assert stage.process.wait(20) == 0
    assert stage.torques() == {0}


def test_transitions_open_switch_on_and_off(stage: Stage) -> None:
    stage.start(autostart=False)
    assert not stage.transition(Transition.TRANSITION_ACTIVATE)
    assert stage.transition(Transition.TRANSITION_CONFIGURE)
    stage.until(lambda: len(stage.joints) > 5)
    assert stage.torques() == {0}
    assert stage.transition(Transition.TRANSITION_ACTIVATE)
    assert stage.torques() == {1}
    assert stage.transition(Transition.TRANSITION_DEACTIVATE)
    assert stage.torques() == {0}
    assert stage.transition(Transition.TRANSITION_ACTIVATE)
    assert stage.torques() == {1}
    assert stage.transition(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert stage.torques() == {0}


def test_a_driver_that_is_killed_leaves_servos_that_stop(stage: Stage) -> None:
    process = stage.start()
    stage.until(lambda: len(stage.servos) > 5)
    stage.command_until(stage.angles() - 0.1)
    process.kill()
    process.wait()

    def tripped() -> bool:
        with stage.arm.bus.lock:
            return {servo.get("bus_watchdog") for servo in stage.arm.servos} == {-1}

    stage.until(tripped, 5.0)
    # The next one finds the arm under torque and goes on from where it is.
    stage.start()
    stage.servos.clear()
    stage.until(lambda: len(stage.servos) > 5)
    stage.command_until(stage.angles() - 0.1)


def test_mistakes_end_it_with_one_line(stage: Stage) -> None:
    for parameters, said in (
        ({"port": "/dev/ttyNOTHERE"}, "error: no port /dev/ttyNOTHERE"),
        ({"calibration": "/nowhere.yaml"}, "error: no calibration of koch_follower at /nowhere"),
        ({"arm": "koch_leader"}, f"error: {stage.file} is the calibration of 'koch_follower'"),
        ({"rate": 5.0}, "error: parameter 'rate' is out of range"),
    ):
        process = stage.start(**parameters)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert output.strip().splitlines()[-1].startswith(said), output
        assert "Traceback" not in output
    assert stage.torques() == {0}
