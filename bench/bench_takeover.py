"""Time from an operator's takeover to the first command that differs because of it.

The mux runs as a process of its own in real-time mode, a policy answers at the control
rate, and a device without countdown takes over 200 times: event and first action are
published together, as a device does; the clock stops at the first command that moved the
way the operator asked. The same takeovers and releases give the largest step between two
commands, as a share of what one step may be.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64MultiArray

from hilserl_core.messages import action_to_msg, doubles
from hilserl_core.qos import COMMAND, RELIABLE
from hilserl_core.stamps import ns_to_stamp
from hilserl_core.step import Event, Source
from hilserl_description.arm_model import MAX_JOINT_STEP
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Action, OperatorEvent
from hilserl_msgs.srv import Reset

# A namespace of its own: a run under way on this machine must not be disturbed, nor disturb.
NAMESPACE = f"bench_{os.getpid()}"
TAKEOVERS = 200
PERIOD = 0.1
GOAL_MS = 100.0
"""One control period: what a mux that waited for its next tick would take at worst."""

POLICY = (0.0, 0.0, 0.0, 0.0)
LIMIT_SECONDS = 30.0


class Bench:
    """Robot, policy and device around the mux."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = node = rclpy.create_node("bench_takeover", namespace=NAMESPACE)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)
        self.stamp = time.time_ns()
        self.next_tick = time.monotonic()
        self.command = np.zeros(0)
        self.arrived = 0.0
        self.largest = 0.0
        topic = "forward_position_controller/commands"
        node.create_subscription(Float64MultiArray, topic, self._on_command, COMMAND)
        node.create_service(Reset, "robot/reset", self._robot_reset)
        self.policy = node.create_publisher(Action, "policy_action", RELIABLE)
        self.action = node.create_publisher(Action, "teleop/leader/action", RELIABLE)
        self.event = node.create_publisher(OperatorEvent, "teleop/leader/event", RELIABLE)
        self.client = node.create_client(Reset, "reset")

    def _robot_reset(self, _request: Reset.Request, response: Reset.Response) -> Reset.Response:
        response.success, response.command = True, doubles(KOCH.home)
        response.stamp = ns_to_stamp(self.stamp)
        return response

    def _on_command(self, message: Float64MultiArray) -> None:
        command = np.array(message.data)
        if command.shape == self.command.shape:
            step = np.abs(command - self.command) / MAX_JOINT_STEP
            self.largest = max(self.largest, float(step.max()))
        self.arrived, self.command = time.perf_counter(), command

    def start(self) -> None:
        """Waits for the mux and brings the robot to its start."""
        publishers = (self.policy, self.action, self.event)
        end = time.monotonic() + LIMIT_SECONDS
        success = False
        while not (success and all(p.get_subscription_count() for p in publishers)):
            if time.monotonic() > end:
                raise RuntimeError("the mux did not start")
            future = self.client.call_async(Reset.Request())
            self.executor.spin_until_future_complete(future, timeout_sec=1.0)
            success = future.done() and future.result().success

    def spin(self, seconds: float) -> None:
        """Plays the policy at the control rate."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now >= self.next_tick:
                self.next_tick = now + PERIOD
                self.stamp += round(PERIOD * 1e9)
                self.policy.publish(action_to_msg(self.stamp, POLICY, Source.POLICY))
            self.executor.spin_once(timeout_sec=max(0.0, min(end, self.next_tick) - now))

    def takeover(self, direction: float) -> float:
        """One takeover and release; returns ms from the event to the changed command."""
        before = self.command
        action = action_to_msg(0, (direction, 0.0, 0.0, 0.0), Source.HUMAN)
        event = OperatorEvent(event=int(Event.TAKEOVER), device="leader")
        began = time.perf_counter()
        self.event.publish(event)
        self.action.publish(action)
        while np.array_equal(self.command, before):
            if time.perf_counter() - began > 1.0:
                raise RuntimeError("a takeover had no effect within 1 s")
            self.executor.spin_once(timeout_sec=0.1)
        taken = 1000 * (self.arrived - began)
        self.event.publish(OperatorEvent(event=int(Event.RELEASE), device="leader"))
        return taken


def rows() -> list[dict[str, Any]]:
    """The 99th percentile over 200 takeovers, and the largest step."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    command = [sys.executable, "-m", "hilserl_teleop.mux_node", "--ros-args"]
    command += ["-r", f"__ns:=/{NAMESPACE}", "-p", "countdowns:=[0.0]"]
    mux = subprocess.Popen(command)
    try:
        bench = Bench()
        bench.start()
        random = np.random.default_rng(0)
        bench.spin(1.0)
        bench.largest = 0.0
        taken = []
        for i in range(TAKEOVERS):
            # A takeover may fall anywhere between two ticks.
            bench.spin(0.12 + random.uniform(0.0, PERIOD))
            direction = 0.2 + 0.8 * random.uniform()
            taken.append(bench.takeover(direction if i % 2 else -direction))
        rclpy.shutdown()
    finally:
        mux.kill()
        mux.wait()
    value = float(np.percentile(taken, 99))
    return [
        {
            "name": "takeover_ms_p99",
            "value": value,
            "unit": "ms",
            "compared_to": f"one control period of {GOAL_MS:.0f} ms "
            f"(median here {np.median(taken):.1f}, worst {max(taken):.1f})",
            "ratio": value / GOAL_MS,
        },
        {
            "name": "takeover_largest_step",
            "value": bench.largest,
            "unit": "of one step's limit",
            "compared_to": f"the limit; over {TAKEOVERS} takeovers and releases at random moments",
            "ratio": bench.largest,
        },
    ]


if __name__ == "__main__":
    print(rows())
