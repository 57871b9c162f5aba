"""The operator's console: a web page that shows the run, and from which a person drives the arm.

To the other nodes it is an operator's device like the keyboard.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from hilserl_core import node as node_main
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.parameters import parameter
from hilserl_core.qos import LATCHED, RELIABLE, SENSOR
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Event
from hilserl_description.arm_model import action_spec
from hilserl_description.models import MODELS
from hilserl_msgs.msg import Action, Arbitration, LearnerStatus, Reward, RunStatus, ServoState
from hilserl_teleop.console_access import Access, check_host
from hilserl_teleop.console_arm import describe_arm
from hilserl_teleop.console_cameras import CameraViews
from hilserl_teleop.console_driving import Driving, acting_in
from hilserl_teleop.console_history import History
from hilserl_teleop.console_messages import Drive
from hilserl_teleop.console_pictures import Pictures
from hilserl_teleop.console_review import Review, ReviewSettings
from hilserl_teleop.console_server import ConsoleServer, Shown
from hilserl_teleop.console_sessions import Sessions
from hilserl_teleop.console_state import ConsoleState
from hilserl_teleop.jog import SPEEDS
from hilserl_teleop.keymap import browser_keys
from hilserl_teleop.operator_device import OperatorDevice

LOOK = 0.5
"""s between two looks at which cameras publish."""
SHOW = 0.1
"""s between two readings of what arrives faster than it can be shown."""


@dataclass(frozen=True)
class ConsoleParameters:
    """Parameters of the console."""

    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    port: int = parameter(8080, "of the page", low=1, high=65535)
    host: str = parameter(
        "127.0.0.1",
        "address to listen at; another than this machine's own needs the token that is printed",
    )
    run: str = parameter("", "folder of the run, for its curves and its review; empty: none")
    device: str = parameter("console", "name of this device, one of the mux's devices")
    action_space: str = parameter(
        "ee_delta",
        "what actions mean; the page moves the tool in any case",
        choices=("ee_delta", "joint_delta"),
    )
    control_rate: float = parameter(10.0, "actions a second", low=1.0, high=100.0)
    speed: float = parameter(0.5, "share of the fastest motion at the start", choices=SPEEDS)
    cameras: tuple[str, ...] = parameter(("front", "wrist"), "cameras that are shown")
    starter: tuple[str, ...] = parameter(
        ("",), "what starts a package's program for the review; [''] finds hilserl or ros2"
    )
    region_file: str = parameter(
        "cameras.yaml", "the cameras' parameter file, in which regions of interest are kept"
    )


class Inbox:
    """What pages want, on its way from the server's thread to the executor's.

    Args:
        wake: has the executor empty the queue; callable from any thread.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._queue: SimpleQueue[Callable[[ConsoleNode], None]] = SimpleQueue()
        self._wake = wake

    def _put(self, task: Callable[[ConsoleNode], None]) -> None:
        self._queue.put(task)
        self._wake()

    def empty(self, node: ConsoleNode) -> None:
        """Does everything that has arrived, on the executor's thread."""
        while True:
            try:
                task = self._queue.get_nowait()
            except Empty:
                return
            task(node)

    def drive(self, wish: Drive) -> None:
        self._put(lambda node: node.drive(wish))

    def rest(self) -> None:
        self._put(lambda node: node.rest())

    def press(self, event: Event) -> None:
        self._put(lambda node: node.press(event))

    def release_stop(self) -> None:
        self._put(lambda node: node.device.release_stop())

    def watch(self, cameras: frozenset[str] | None) -> None:
        self._put(lambda node: node.watch(cameras))


class ConsoleNode(Node):
    """Topics to the shared model, and pages' wishes to topics."""

    def __init__(self) -> None:
        super().__init__("console_node")
        cv2.setNumThreads(1)
        p = self._settings = declare(self, ConsoleParameters)
        self._state = ConsoleState(time.monotonic, p.device)
        self.device = OperatorDevice(self, p.device, self._state.note)
        self._command: Sequence[float] = ()
        spec, arm = action_spec(p.action_space), MODELS[p.arm]
        act = acting_in(spec, arm, self.device.act, lambda: self._command)
        self._driving = Driving(1 / p.control_rate, time.monotonic, act)
        self._newest: dict[str, bytes] = {}
        self._watched: list[Any] = []
        self._inbox = Inbox(self._wake)
        self._pictures = Pictures()
        cameras = tuple(filter(None, p.cameras))
        self._views = CameraViews(self, cameras, self._pictures, self._state.cameras)
        self._strips = Path(tempfile.mkdtemp(prefix="hilserl-console-"))
        self._sessions = Sessions(self._inbox, time.monotonic)
        self._server = self._make_server()
        self._subscribe_always()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._pacer = self.create_timer(1 / p.control_rate, self._on_period, clock=steady)
        self._pacer.cancel()
        self._shower = self.create_timer(SHOW, self._show_newest, clock=steady)
        self._looker = self.create_timer(LOOK, self._views.look, clock=steady)
        self._shower.cancel()
        self._looker.cancel()
        Diagnostics(self, "console", self._health)
        self._server.start()

    def _make_server(self) -> ConsoleServer:
        p = self._settings
        run = Path(p.run).expanduser() if p.run else None
        host = check_host(p.host)
        starter = tuple(filter(None, p.starter)) or _starter()
        review = Review(ReviewSettings(run, self._strips, starter, Path(p.region_file)))
        setup = {
            "device": p.device,
            "keys": browser_keys(),
            "speeds": SPEEDS,
            "speed": p.speed,
            "arm": describe_arm(MODELS[p.arm]),
            "reviews": run is not None,
        }
        shown = Shown(
            self._state,
            self._sessions,
            self._pictures,
            History(run),
            setup,
            self._inbox.watch,
            review.routes(),
        )
        return ConsoleServer(host, p.port, Access.to(host), shown, self._say)

    def _say(self, text: str, warning: bool) -> None:
        log = self.get_logger()
        # One severity a line of code: rclpy remembers it by the place.
        if warning:
            log.warning(text)
        else:
            log.info(text)

    def _wake(self) -> None:
        executor = self.executor
        if executor is not None:
            executor.create_task(self._inbox.empty, self)

    # -- what arrives

    def _subscribe_always(self) -> None:
        subscribe = self.create_subscription
        subscribe(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        subscribe(RunStatus, "run/status", self._on_run, LATCHED)
        subscribe(LearnerStatus, "learner/status", self._on_learner, LATCHED)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)

    def watch(self, cameras: frozenset[str] | None) -> None:
        """Subscribes to what comes fast while somebody looks, and to the pictures shown."""
        if (cameras is None) == bool(self._watched):
            self._watch_state(cameras is not None)
        self._views.watch(cameras or frozenset())

    def _watch_state(self, wanted: bool) -> None:
        for timer in (self._shower, self._looker):
            if wanted:
                timer.reset()
            else:
                timer.cancel()
        if not wanted:
            for subscription in self._watched:
                self.destroy_subscription(subscription)
            self._watched = []
            return

        # In lockstep these come hundreds of times a second: only what is shown is read.
        def keep(kind: type[Any], topic: str, qos: Any) -> Any:
            def take(message: bytes) -> None:
                self._newest[topic] = message

            return self.create_subscription(kind, topic, take, qos, raw=True)

        self._watched = [
            keep(JointState, "joint_states", SENSOR),
            keep(ServoState, "servo_states", SENSOR),
            keep(Reward, "reward", RELIABLE),
            self.create_subscription(Action, "action", self._on_action, RELIABLE),
        ]
        self._views.look()

    def _on_arbitration(self, message: Arbitration) -> None:
        self._state.arbitration(
            message.state, message.device, message.countdown, message.holding, message.reason
        )

    def _on_run(self, message: RunStatus) -> None:
        names = [name for name in message.get_fields_and_field_types() if name != "header"]
        self._state.run(**{name: getattr(message, name) for name in names})

    def _on_learner(self, message: LearnerStatus) -> None:
        self._state.learner(
            message.stage, message.updates, message.policy_version, message.updates_per_s
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            level = int.from_bytes(status.level, "little")
            self._state.health(status.name, level, status.message, values)

    def _on_action(self, message: Action) -> None:
        self._command = message.command
        self._state.executed(
            stamp_to_ns(message.header.stamp),
            message.source,
            message.policy_version,
            message.command,
        )

    def _show_newest(self) -> None:
        newest, self._newest = self._newest, {}
        if "joint_states" in newest:
            joints = deserialize_message(newest["joint_states"], JointState)
            self.device.seen = joints.header.stamp
            self._state.joints(joints.name, joints.position)
        if "servo_states" in newest:
            servos = deserialize_message(newest["servo_states"], ServoState)
            self._state.servos(
                servos.name,
                temperature=servos.temperature,
                current=servos.current,
                voltage=servos.voltage,
                error=servos.hardware_error,
            )
        if "reward" in newest:
            reward = deserialize_message(newest["reward"], Reward)
            self._state.reward(reward.value, reward.probabilities, reward.judge)

    # -- what the person does

    def drive(self, wish: Drive) -> None:
        """Moves the arm, if the mux lets it."""
        if self._driving.drive(wish, self._state.driving) or self._pacer.is_canceled():
            self._pacer.reset()

    def rest(self) -> None:
        """Sends nothing more: the mux holds the arm."""
        self._driving.rest()
        self._pacer.cancel()

    def press(self, event: Event) -> None:
        """Sends what the operator decided, of the newest frame."""
        self._show_newest()
        if event == Event.RESET:
            self.device.ask_for_reset()
        else:
            self.device.send(event)

    def _on_period(self) -> None:
        self._driving.tick(self._state.driving)

    # -- the node

    def _health(self) -> Health:
        sessions = self._sessions
        driver = sessions.driver
        message = f"page {driver.number} drives" if driver else "nobody drives from here"
        values = {"pages": len(sessions.pages), "refused messages": sessions.refused}
        return Health(message, values=values)

    def close(self) -> None:
        """Ends the server; where a page had the arm, the mux holds it."""
        self._server.close()
        self.device.finish()
        shutil.rmtree(self._strips, ignore_errors=True)


def _starter() -> tuple[str, ...]:
    """What starts programs by name here."""
    return ("hilserl", "run") if shutil.which("hilserl") else ("ros2", "run")


def main() -> None:
    """Entry point of the program."""
    node_main.main(ConsoleNode, ConsoleParameters)


if __name__ == "__main__":
    main()
