"""From a key press in the browser to the operator's command, and what a page costs.

The mux and the console run as processes of their own; this process plays a robot with joint
states and servo states at 100 Hz and two cameras of 128 x 128 at 30 Hz, and a policy at the
control rate. The cameras see the hard scene with a moving arm; noise, which no camera sends and
which makes the largest pictures, is measured beside it. Chromium without a screen shows the page.
The time of a press is the browser's own (the event's time stamp), that of the command its arrival
here: both of this machine's clock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import psutil
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core.images import to_image
from hilserl_core.messages import action_to_msg, doubles
from hilserl_core.qos import COMMAND, LATCHED, RELIABLE, SENSOR
from hilserl_core.stamps import ns_to_stamp
from hilserl_core.step import Source
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Action, Arbitration, ServoState
from hilserl_msgs.srv import Reset
from hilserl_sim.world import World

# A namespace of its own: a run under way on this machine must not be disturbed, nor disturb.
NAMESPACE = f"bench_{os.getpid()}"
PRESSES = 200
FRAMES = 30
GAP = 0.25
"""s between two presses, and a half of it for which a key is down."""
SECONDS = 15.0
"""s over which a page's cost is measured."""
GOAL_MS = 50.0
GOAL_SHARE = 10.0
PERIOD_MS = 100.0
LIMIT_SECONDS = 60.0
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
COMMANDS = "forward_position_controller/commands"

WATCH_KEYS = """() => {
  window.presses = [];
  addEventListener("keydown", (event) => {
    window.presses.push(performance.timeOrigin + event.timeStamp);
  }, true);
}"""


class Robot:
    """The nodes around the console, in this process; they spin in a thread."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = node = rclpy.create_node("bench_console", namespace=NAMESPACE)
        self.wishes: list[tuple[float, float]] = []
        self.commands: list[tuple[float, float]] = []
        self.arbitration = Arbitration()
        self.command = KOCH.home.copy()
        self._last = self.command
        self.frames = {name: scene(name) for name in ("front", "wrist")}
        self._ticks = 0
        node.create_subscription(Action, "teleop/console/action", self._on_wish, RELIABLE)
        node.create_subscription(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        node.create_subscription(Float64MultiArray, COMMANDS, self._on_command, COMMAND)
        node.create_service(Reset, "robot/reset", self._on_reset)
        self._reset = node.create_client(Reset, "reset")
        self._joints = node.create_publisher(JointState, "joint_states", SENSOR)
        self._servos = node.create_publisher(ServoState, "servo_states", SENSOR)
        self._policy = node.create_publisher(Action, "policy_action", RELIABLE)
        self._cameras = {
            name: node.create_publisher(Image, f"camera/{name}/policy", SENSOR)
            for name in self.frames
        }
        for rate, publish in ((100, self._measure), (30, self._look), (10, self._act)):
            node.create_timer(1 / rate, publish)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        threading.Thread(target=self._spin, daemon=True).start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while True:
                self._executor.spin_once(timeout_sec=0.1)

    def _measure(self) -> None:
        stamp = ns_to_stamp(time.time_ns())
        names = list(JOINT_NAMES)
        shaken = doubles(self.command + 0.002 * np.sin(time.time() * np.arange(1, 7)))
        joints = JointState(name=names, position=shaken)
        servos = ServoState(name=names, position=shaken, current=doubles(np.zeros(6)))
        servos.temperature, servos.voltage = doubles(np.full(6, 31.0)), doubles(np.full(6, 5.0))
        servos.hardware_error = bytes(6)
        joints.header.stamp = servos.header.stamp = stamp
        self._joints.publish(joints)
        self._servos.publish(servos)

    def _look(self) -> None:
        self._ticks += 1
        for name, publisher in self._cameras.items():
            frame = self.frames[name][self._ticks % FRAMES]
            publisher.publish(to_image(frame, time.time_ns()))

    def _act(self) -> None:
        zeros = (0.0, 0.0, 0.0, 0.0)
        self._policy.publish(action_to_msg(time.time_ns(), zeros, Source.POLICY))

    def _on_wish(self, message: Action) -> None:
        self.wishes.append((time.time(), message.values[2]))

    def _on_arbitration(self, message: Arbitration) -> None:
        self.arbitration = message

    def _on_command(self, message: Float64MultiArray) -> None:
        self.command = np.array(message.data)
        moved = float(np.abs(self.command - self._last).max())
        self._last = self.command
        self.commands.append((time.time(), moved))

    def _on_reset(self, _request: Reset.Request, response: Reset.Response) -> Reset.Response:
        response.success, response.command = True, doubles(KOCH.home)
        response.stamp = ns_to_stamp(time.time_ns())
        return response

    def start(self) -> None:
        """Waits for the mux and brings the robot to its start."""
        until(self._reset.service_is_ready)
        future = self._reset.call_async(Reset.Request())
        until(lambda: future.done() and future.result().success)


def scene(camera: str) -> list[np.ndarray]:
    """What a camera sees of an arm that swings."""
    world = World("lift_cube", scene="hard")
    command, frames = world.start.copy(), []
    for frame in range(FRAMES):
        command[0] = 0.3 * np.sin(2 * np.pi * frame / FRAMES)
        world.step(command, 1 / 30)
        frames.append(world.render(camera).copy())
    world.close()
    return frames


def noise() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (128, 128, 3), np.uint8) for _ in range(FRAMES)]


def until(condition: Any) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited in vain")
        time.sleep(0.01)


def latencies(robot: Robot, page: Any) -> tuple[np.ndarray, np.ndarray]:
    """ms from each press to the console's action, and to the robot's command that moves."""
    page.click("#takeover")
    until(lambda: (robot.arbitration.state, robot.arbitration.device) == (2, "console"))
    page.wait_for_function("() => document.querySelector('#driver').innerText === 'you drive'")
    page.evaluate(WATCH_KEYS)
    random = np.random.default_rng(1)
    for press in range(PRESSES):
        key = "i" if press % 2 == 0 else "k"
        page.keyboard.down(key)
        time.sleep(GAP / 2)
        page.keyboard.up(key)
        # Not in step with the control rate: a press may come at any moment of a tick.
        time.sleep(GAP * random.uniform(0.5, 1.5))
    presses = np.array(page.evaluate("window.presses")) / 1000
    wishes = np.array([at for at, value in robot.wishes if value])
    commands = np.array([at for at, moved in robot.commands if moved > 1e-6])
    found = [times[np.searchsorted(times, presses)] - presses for times in (wishes, commands)]
    return 1000 * found[0], 1000 * found[1]


def cpu_seconds(process: psutil.Process) -> float:
    """Of a process and of all that it has started."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def share(process: psutil.Process) -> float:
    """% of one core that a process uses, over ``SECONDS``."""
    before, began = cpu_seconds(process), time.monotonic()
    time.sleep(SECONDS)
    return 100 * (cpu_seconds(process) - before) / (time.monotonic() - began)


def measure(robot: Robot, port: int, console: psutil.Process) -> dict[str, Any]:
    """All figures."""
    from playwright.sync_api import sync_playwright

    result: dict[str, Any] = {"idle": share(console)}
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        mine = psutil.Process().children(recursive=True)
        # The others of its name are its children, and are counted with it.
        chromium = next(each for each in mine if "chrom" in each.name())
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"http://localhost:{port}")
        page.wait_for_selector("#views canvas[data-shown]")
        time.sleep(2)
        frames = "() => document.querySelector('#views canvas').frames"
        before = page.evaluate(frames)
        began = time.monotonic()
        result["served"] = share(console)
        result["rate"] = (page.evaluate(frames) - before) / (time.monotonic() - began)
        result["browser"] = share(chromium)
        robot.frames = dict.fromkeys(robot.frames, noise())
        result["browser, noise"] = share(chromium)
        result["wish"], result["command"] = latencies(robot, page)
        browser.close()
    return result


def rows() -> list[dict[str, Any]]:
    """The figures, as ``bench/run.py`` takes them."""
    if not CHROMIUM:
        print("no chromium on this machine (apt install chromium): nothing is measured")
        return []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    namespace = ["--ros-args", "-r", f"__ns:=/{NAMESPACE}"]
    python = [sys.executable, "-m"]
    mux = [*python, "hilserl_teleop.mux_node", *namespace, "-p", "countdowns:=[0.0]"]
    page = [*python, "hilserl_teleop.console_node", *namespace, "-p", f"port:={port}"]
    processes = [subprocess.Popen(command) for command in (mux, page)]
    try:
        robot = Robot()
        robot.start()
        found = measure(robot, port, psutil.Process(processes[1].pid))
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)
        rclpy.shutdown()
    return _rows(found)


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    def row(name: str, value: float, unit: str, goal: float, beside: str) -> dict[str, Any]:
        return {
            "name": name,
            "value": float(value),
            "unit": unit,
            "compared_to": beside,
            "ratio": float(value) / goal,
        }

    wish, command = found["wish"], found["command"]
    median = f"median {np.median(wish):.1f}, worst {wish.max():.1f}, of {len(wish)}"
    whole = f"median {np.median(command):.1f}, worst {command.max():.1f}"
    cost = found["served"] - found["idle"]
    return [
        row(
            "key press in the browser to the operator's command, p99",
            np.percentile(wish, 99),
            "ms",
            GOAL_MS,
            f"at most {GOAL_MS:g} ms; {median}",
        ),
        row(
            "key press in the browser to the robot's command, p99",
            np.percentile(command, 99),
            "ms",
            GOAL_MS + PERIOD_MS,
            f"a control period more: the mux moves the arm at its ticks; {whole}",
        ),
        row(
            f"what one page costs the console, two cameras at {found['rate']:.1f} Hz",
            cost,
            "% of a core",
            GOAL_SHARE,
            f"at most {GOAL_SHARE:g} %; without a page {found['idle']:.1f} %",
        ),
        row(
            "what that page costs the browser, drawing by software",
            found["browser"],
            "% of a core",
            GOAL_SHARE,
            f"at most {GOAL_SHARE:g} %, where the browser runs on the robot's machine; of noise "
            f"{found['browser, noise']:.1f} %",
        ),
    ]


if __name__ == "__main__":
    for each in rows():
        print(f"{each['name']}: {each['value']:.2f} {each['unit']} ({each['compared_to']})")
