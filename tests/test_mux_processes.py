"""The mux as a process of its own, between a robot, a policy and devices played by the test."""

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
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from hilserl_core.messages import action_to_msg, doubles
from hilserl_core.qos import COMMAND, LATCHED, RELIABLE
from hilserl_core.stamps import ns_to_stamp
from hilserl_core.step import Event, Source
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Action, Arbitration, OperatorEvent
from hilserl_msgs.srv import Reset
from person import Person

# A namespace of its own keeps other systems on this machine out, whatever their domain.
NAMESPACE = f"mux_{os.getpid()}"
IN_NAMESPACE = ["--ros-args", "-r", f"__ns:=/{NAMESPACE}"]
START = 1_000 * 10**9
PERIOD = 10**8
PROPOSAL = (0.1, 0.0, 0.0, 0.0)
HUMAN = (-0.5, 0.2, 0.1, 0.0)
COMMANDS = "forward_position_controller/commands"


class Stage:
    """The nodes around the mux, in the test's process."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = node = rclpy.create_node("stage", context=self.context, namespace=NAMESPACE)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self.arbitration = Arbitration()
        self.actions: list[Action] = []
        self.commands: list[np.ndarray] = []
        self.diagnostics: dict[str, str] = {}
        self.robot_answers = True
        self.resets = 0
        self.stamp = START
        node.create_subscription(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        node.create_subscription(Action, "action", self.actions.append, RELIABLE)
        node.create_subscription(Float64MultiArray, COMMANDS, self._on_command, COMMAND)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self.policy = node.create_publisher(Action, "policy_action", RELIABLE)
        self.devices = {
            name: node.create_publisher(Action, f"teleop/{name}/action", RELIABLE)
            for name in ("leader", "keyboard")
        }
        self.events = {
            name: node.create_publisher(OperatorEvent, f"teleop/{name}/event", RELIABLE)
            for name in ("leader", "keyboard")
        }
        self.robot = None
        self.clients = {
            "reset": node.create_client(Reset, "reset"),
            "stop": node.create_client(Trigger, "stop"),
            "release_stop": node.create_client(Trigger, "release_stop"),
        }

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def serve_robot(self) -> None:
        self.robot = self.node.create_service(Reset, "robot/reset", self._robot_reset)

    def _robot_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        self.resets += 1
        response.success = self.robot_answers
        response.message = "" if self.robot_answers else "the arm is unplugged"
        response.stamp = ns_to_stamp(self.stamp)
        response.command = doubles(KOCH.home)
        return response

    def _on_arbitration(self, message: Arbitration) -> None:
        self.arbitration = message

    def _on_command(self, message: Float64MultiArray) -> None:
        self.commands.append(np.array(message.data))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        if not message.status[0].name.startswith(f"/{NAMESPACE}/mux_node"):
            return
        self.diagnostics = {pair.key: pair.value for pair in message.status[0].values}

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited in vain; arbitration: {self.arbitration}"
            self.executor.spin_once(timeout_sec=0.01)

    def call(self, name: str, request: object) -> Any:
        client = self.clients[name]
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def reset(self) -> Reset.Response:
        return self.call("reset", Reset.Request(seed=1))

    def tick(self, values: tuple[float, ...] = PROPOSAL) -> Action:
        """Sends the policy's action and returns the mux's answer."""
        self.stamp += PERIOD
        self.actions.clear()
        self.policy.publish(action_to_msg(self.stamp, values, Source.POLICY, 3))
        self.until(lambda: bool(self.actions))
        return self.actions[-1]

    def send(self, device: str, event: Event) -> None:
        self.events[device].publish(OperatorEvent(event=int(event), device=device))

    def drive(self, device: str, values: tuple[float, ...] = HUMAN) -> None:
        self.devices[device].publish(action_to_msg(0, values, Source.HUMAN))

    def state(self) -> int:
        return self.arbitration.state


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    space = getattr(request, "param", "ee_delta")
    command = [sys.executable, "-m", "hilserl_teleop.mux_node", *IN_NAMESPACE]
    command += ["-p", "devices:=[leader, keyboard]", "-p", "countdowns:=[0.3, 0.0]"]
    command += ["-p", f"action_space:={space}"]
    log = (tmp_path / "mux.log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    result = Stage()
    try:
        publishers = (result.policy, *result.devices.values(), *result.events.values())
        result.until(lambda: all(p.get_subscription_count() for p in publishers), 30.0)
        result.until(lambda: result.node.count_publishers(COMMANDS) > 0)
        yield result
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0, (tmp_path / "mux.log").read_text()
    finally:
        result.close()
        process.kill()
        process.wait()


def is_hold(action: Action) -> bool:
    return action.source == Source.POLICY and not np.any(action.values)


def test_reset_says_what_is_wrong_and_is_forwarded_when_it_can_be(stage: Stage) -> None:
    missing = stage.reset()
    assert not missing.success
    assert "robot/reset is not there" in missing.message
    stage.serve_robot()
    stage.until(lambda: stage.reset().success)
    stage.spin(0.1)
    before = stage.resets
    answer = stage.reset()
    assert answer.success
    assert stage.resets == before + 1
    np.testing.assert_allclose(answer.command, KOCH.home)
    stage.robot_answers = False
    assert stage.reset().message == "the arm is unplugged"
    first = stage.tick()
    assert first.source == Source.POLICY
    assert first.policy_version == 3
    assert np.abs(np.array(first.command) - KOCH.home).max() < 0.3


def test_a_takeover_holds_counts_down_and_then_drives(stage: Stage) -> None:
    stage.serve_robot()
    stage.until(lambda: stage.reset().success)
    last = stage.tick().command
    stage.send("leader", Event.TAKEOVER)
    stage.until(lambda: stage.state() == Arbitration.HANDOVER)
    assert stage.arbitration.countdown == pytest.approx(0.3, abs=0.1)
    hold = stage.tick()
    assert is_hold(hold)
    np.testing.assert_array_equal(hold.command, last)
    stage.until(lambda: stage.state() == Arbitration.HUMAN)
    stage.drive("leader")
    stage.until(lambda: len(stage.commands) > 0 and not np.array_equal(stage.commands[-1], last))
    moved = stage.commands[-1]
    answer = stage.tick()
    assert answer.source == Source.HUMAN
    np.testing.assert_allclose(answer.values, HUMAN, rtol=1e-6)
    np.testing.assert_array_equal(answer.command, moved)
    stage.send("keyboard", Event.TAKEOVER)
    stage.until(lambda: "keyboard is refused" in stage.arbitration.reason)
    stage.send("leader", Event.RELEASE)
    stage.until(lambda: stage.state() == Arbitration.POLICY)
    assert not is_hold(stage.tick())


def test_the_arm_holds_when_the_device_dies_and_stop_wins(stage: Stage) -> None:
    stage.serve_robot()
    stage.until(lambda: stage.reset().success)
    stage.send("keyboard", Event.TAKEOVER)
    stage.until(lambda: stage.state() == Arbitration.HUMAN)
    stage.drive("keyboard")
    stage.spin(0.02)
    assert stage.tick().source == Source.HUMAN
    stage.spin(0.25)  # The device has died.
    last = stage.commands[-1]
    for _ in range(5):
        assert is_hold(stage.tick())
    assert "keyboard is silent" in stage.arbitration.reason
    np.testing.assert_array_equal(stage.commands[-1], last)
    assert stage.call("stop", Trigger.Request()).success
    stage.drive("keyboard")
    assert is_hold(stage.tick())
    assert stage.state() == Arbitration.STOPPED
    assert "stopped" in stage.reset().message
    assert stage.call("release_stop", Trigger.Request()).success
    stage.until(lambda: stage.state() == Arbitration.HUMAN)
    stage.send("leader", Event.STOP)
    stage.until(lambda: stage.state() == Arbitration.STOPPED)


# The second key moves a joint, and is none that moves the tool.
@pytest.mark.parametrize(
    ("stage", "key"), [("ee_delta", "w"), ("joint_delta", "h")], indirect=["stage"]
)
def test_intervene_drives_from_a_terminal_and_holds_when_that_dies(stage: Stage, key: str) -> None:
    stage.serve_robot()
    stage.until(lambda: stage.reset().success)
    person = Person(*IN_NAMESPACE)
    try:
        stage.until(lambda: "policy drives" in person.look(), 30.0)
        person.press("t")
        stage.until(lambda: "YOU DRIVE" in person.look())
        stage.until(lambda: stage.state() == Arbitration.HUMAN and not stage.arbitration.holding)
        before = stage.commands[-1]
        person.press(key)
        stage.until(lambda: not np.array_equal(stage.commands[-1], before))
        person.leave()
        end = time.monotonic() + 10
        while person.process.poll() is None and time.monotonic() < end:
            stage.spin(0.1)
        assert person.process.returncode == 1
        last = stage.commands[-1]
        stage.until(lambda: "keyboard is silent" in stage.arbitration.reason)
        assert stage.arbitration.device == "keyboard"
        assert is_hold(stage.tick())
        np.testing.assert_array_equal(stage.commands[-1], last)
    finally:
        person.close()


def test_intervene_without_a_terminal_says_so_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "hilserl_teleop.intervene"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: standard input is not a terminal")
    assert result.stderr.count("\n") == 1


def test_bad_actions_are_rejected_counted_and_hold(stage: Stage) -> None:
    stage.serve_robot()
    stage.until(lambda: stage.reset().success)
    assert is_hold(stage.tick((np.nan, 0.0, 0.0, 0.0)))
    assert is_hold(stage.tick((0.0, 0.0)))
    assert not is_hold(stage.tick())
    stage.drive("leader", (np.inf, 0.0, 0.0, 0.0))
    stage.until(lambda: stage.diagnostics.get("rejected from leader") == "1")
    assert stage.diagnostics["rejected from policy"] == "2"
