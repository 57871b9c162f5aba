"""What the console's tests share: a browser, a run to look at, and ears on its topics."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

from hilserl_core.qos import LATCHED, RELIABLE, SENSOR
from hilserl_description.kinematics import ForwardKinematics
from hilserl_msgs.msg import Action, Arbitration, OperatorEvent

ROOT = Path(__file__).parent.parent
PATIENCE = 15_000  # ms
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


def needs_browser() -> Any:
    """Skips, in words, where there is no browser to test with."""
    if not CHROMIUM:
        pytest.skip("no chromium on this machine: apt install chromium", allow_module_level=True)
    return pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ears:
    """A node that hears who drives, what is executed, and where the arm and the object are."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = node = rclpy.create_node("ears", context=self.context)
        self.arbitration = Arbitration()
        self.actions: list[Action] = []
        self.wishes: list[tuple[float, Action]] = []
        self.events: list[int] = []
        self.joints = np.zeros(0)
        self.object = np.zeros(0)
        self.forward = ForwardKinematics()
        take = node.create_subscription
        take(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        take(Action, "action", self.actions.append, RELIABLE)
        take(Action, "teleop/console/action", self._on_wish, RELIABLE)
        take(OperatorEvent, "teleop/console/event", lambda m: self.events.append(m.event), RELIABLE)
        take(JointState, "joint_states", self._on_joints, SENSOR)
        take(PoseStamped, "sim/object_pose", self._on_object, SENSOR)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._ended = False
        self._thread.start()

    def _spin(self) -> None:
        while not self._ended:
            self.executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._ended = True
        self._thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _on_arbitration(self, message: Arbitration) -> None:
        self.arbitration = message

    def _on_wish(self, message: Action) -> None:
        self.wishes.append((time.time(), message))

    def _on_joints(self, message: JointState) -> None:
        self.joints = np.array(message.position)

    def _on_object(self, message: PoseStamped) -> None:
        place = message.pose.position
        self.object = np.array((place.x, place.y, place.z))

    @property
    def tool(self) -> np.ndarray:
        """Where the tool is, m in the base frame."""
        return self.forward.position(self.joints)

    @property
    def state(self) -> tuple[int, str]:
        return self.arbitration.state, self.arbitration.device


def until(condition: Callable[[], object], seconds: float = 15.0, what: str = "") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def started(folder: Path, graph: str, *words: str) -> Iterator[tuple[str, Path]]:
    """A run with a console; gives the page's address and the run's log."""
    port, log = free_port(), folder / "up.log"
    command = [sys.executable, "-m", "hilserl_bringup.cli", "up", graph, f"run:={folder / 'run'}"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, f"console_port:={port}", *words], stdout=file, stderr=file, cwd=ROOT
        )
    try:
        until(lambda: f"console: http://localhost:{port}" in log.read_text(), 60, log.read_text())
        yield f"http://localhost:{port}", log
    finally:
        _end(process, 30)


def _end(process: subprocess.Popen[Any], seconds: float) -> None:
    """Ends a process as Ctrl-C does: what is killed stays in the graph of nodes for a while."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def node(module: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A node as a process of its own, with words of its command line after ``--ros-args``."""
    process = subprocess.Popen([sys.executable, "-m", module, "--ros-args", *words], text=True)
    try:
        yield process
    finally:
        _end(process, 15)


@contextlib.contextmanager
def console(folder: Path, **parameters: object) -> Iterator[str]:
    """A console without a run that goes on; gives its page's address."""
    port = free_port()
    values = {"port": port, "region_file": folder / "cameras.yaml", **parameters}
    words = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    with node("hilserl_teleop.console_node", *words) as process:
        until(lambda: process.poll() is not None or _listens(port), 60, "for the console")
        yield f"http://localhost:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Page:
    """A page that was opened, and what it complained of."""

    def __init__(
        self, browser: Any, address: str, script: str = "", size: tuple[int, int] = (1200, 900)
    ) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.page = self.context.new_page()
        if script:
            self.page.add_init_script(script)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("body[data-page]", timeout=PATIENCE)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def shows(self, selector: str, text: str) -> None:
        """Waits until an element's text holds this one."""
        self.page.wait_for_function(
            "([s, t]) => document.querySelector(s).innerText.includes(t)",
            arg=[selector, text],
            timeout=PATIENCE,
        )

    def press(self, selector: str) -> None:
        self.page.click(selector, timeout=PATIENCE)

    def take_over(self, ears: Ears) -> None:
        self.press("#takeover")
        until(lambda: ears.state == (Arbitration.HUMAN, "console"))
        self.shows("#driver", "you drive")
