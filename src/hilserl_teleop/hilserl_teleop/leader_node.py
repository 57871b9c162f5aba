"""A leader arm as a teleoperation device: between its driver, which runs in a namespace of its
own, and the mux.

It follows the follower, asks for the arm when a person pushes it or squeezes its gripper,
goes limp when the mux says that it drives, and follows again when it does not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool

from hilserl_core import node as node_main
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.messages import doubles
from hilserl_core.parameters import parameter
from hilserl_core.qos import COMMAND, LATCHED, SENSOR
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Event
from hilserl_description.arm_model import JOINT_NAMES, action_spec
from hilserl_description.models import MODELS
from hilserl_msgs.msg import Arbitration, ServoState
from hilserl_teleop.leader import Leader, PushSettings
from hilserl_teleop.operator_device import OperatorDevice

FOLLOW_PERIOD = 0.02
"""s between commands to the leader arm; its driver interpolates between them."""

PATIENCE = 2.0
"""s that the driver may take to change its role, before it is asked again."""


@dataclass(frozen=True)
class LeaderParameters(PushSettings):
    """Parameters of ``leader_node``."""

    device: str = parameter("leader", "name of this device, one of the mux's devices")
    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    driver: str = parameter("leader", "namespace of the leader arm's driver")
    action_space: str = parameter(
        "ee_delta", "what actions mean", choices=("ee_delta", "joint_delta")
    )
    control_rate: float = parameter(10.0, "actions a second", low=1.0, high=100.0)
    takeover_by_push: bool = parameter(
        True, "pushing the arm, or squeezing its gripper, takes over; else a key does"
    )


def in_order(message: JointState | ServoState, values: Any) -> NDArray[np.float64] | None:
    """Values (6,) of a message in the order of the arm's joints; None where one is missing."""
    numbers = dict(zip(message.name, values, strict=False))
    if not numbers.keys() >= set(JOINT_NAMES):
        return None
    return np.array([numbers[name] for name in JOINT_NAMES], float)


class LeaderNode(Node):
    """Topics of the leader arm and of the device that it is."""

    def __init__(self) -> None:
        super().__init__("leader_node")
        p = self.parameters = declare(self, LeaderParameters)
        self._leader = Leader(action_spec(p.action_space), p, MODELS[p.arm])
        self._arbitration = Arbitration()
        self._asked: tuple[Any, bool, float] | None = None
        self._device = OperatorDevice(self, p.device, self.get_logger().debug)
        self._connect()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(FOLLOW_PERIOD, self._on_follow, clock=steady)
        self.create_timer(1 / p.control_rate, self._on_tick, clock=steady)
        Diagnostics(self, "leader arm", self._health)

    def _connect(self) -> None:
        device, driver = f"teleop/{self.parameters.device}", self.parameters.driver
        publish, subscribe = self.create_publisher, self.create_subscription
        self._pose = publish(JointState, f"{device}/joint_states", SENSOR)
        commands = f"{driver}/forward_position_controller/commands"
        self._commands = publish(Float64MultiArray, commands, COMMAND)
        self._lead = self.create_client(SetBool, f"{driver}/robot/lead")
        subscribe(JointState, "joint_states", self._on_follower, SENSOR)
        subscribe(JointState, f"{driver}/joint_states", self._on_leader, SENSOR)
        subscribe(ServoState, f"{driver}/servo_states", self._on_servos, SENSOR)
        subscribe(Float64MultiArray, "forward_position_controller/commands",
                  self._on_command, COMMAND)  # fmt: skip
        subscribe(Arbitration, "arbitration", self._on_arbitration, LATCHED)

    # -- what is heard

    def _on_follower(self, message: JointState) -> None:
        self._device.seen = message.header.stamp
        position = in_order(message, message.position)
        if position is not None:
            self._leader.follower(position, self._measured_at(message))

    def _on_leader(self, message: JointState) -> None:
        position = in_order(message, message.position)
        if position is None:
            return
        now = time.monotonic()
        self._leader.leader(position, self._measured_at(message))
        self._pose.publish(message)
        if self._leader.pushed(now) and self.parameters.takeover_by_push:
            self._device.send(Event.TAKEOVER)

    def _measured_at(self, message: JointState) -> float:
        """s, monotonic: what waited in a queue is as old as it is, and not new."""
        age = self.get_clock().now().nanoseconds - stamp_to_ns(message.header.stamp)
        return time.monotonic() - max(0.0, age * 1e-9)

    def _on_servos(self, message: ServoState) -> None:
        current = in_order(message, message.current)
        if current is not None:
            self._leader.leader_current(current)

    def _on_command(self, message: Float64MultiArray) -> None:
        if len(message.data) == len(JOINT_NAMES):
            self._leader.command(message.data)

    def _on_arbitration(self, message: Arbitration) -> None:
        self._arbitration = message
        mine = message.device == self.parameters.device
        self._leader.arbitration(mine and message.state == Arbitration.HUMAN)
        self._change_role()

    # -- what is done

    def _on_follow(self) -> None:
        self._change_role()
        target = self._leader.target(time.monotonic())
        if target is not None:
            self._commands.publish(Float64MultiArray(data=doubles(target)))

    def _on_tick(self) -> None:
        values = self._leader.action(time.monotonic())
        if values is not None:
            self._device.act(values)

    def _change_role(self) -> None:
        """Has the driver let go of the arm, or follow again, until it has said that it does."""
        leads = self._leader.leads
        if self._asked is not None:
            future, _, deadline = self._asked
            if time.monotonic() < deadline:
                return
            self._lead.remove_pending_request(future)
            self._asked = None
        if self._leader.limp is leads or not self._lead.service_is_ready():
            return
        future = self._lead.call_async(SetBool.Request(data=leads))
        self._asked = (future, leads, time.monotonic() + PATIENCE)
        future.add_done_callback(self._on_role)

    def _on_role(self, future: Any) -> None:
        if self._asked is None or self._asked[0] is not future:
            return
        _, limp, _ = self._asked
        response: SetBool.Response = future.result()
        if response.success:
            self._asked = None
            self._leader.limp = limp
            self._change_role()  # The mux may have changed its mind.
        else:
            self.get_logger().error(
                f"the leader arm did not change its role: {response.message}",
                throttle_duration_sec=5.0,
            )

    def _health(self) -> Health:
        if not self._leader.is_there(time.monotonic()):
            return Health(f"no joint states of {self.parameters.arm}: start its driver", True)
        return Health("limp" if self._leader.limp else "follows")


def main() -> None:
    """Entry point of the program."""
    node_main.main(LeaderNode, LeaderParameters)


if __name__ == "__main__":
    main()
