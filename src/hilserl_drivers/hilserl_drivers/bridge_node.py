"""What an arm under ros2_control lacks beside our own driver: servo_states, and the way home.

It commands the arm only while it brings it home, when the mux commands nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core import qos
from hilserl_core.deferred import Answer, DeferredService
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.messages import doubles
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import ns_to_stamp
from hilserl_drivers.arms import ARMS
from hilserl_drivers.driver import DriverSettings
from hilserl_drivers.homing import Homing
from hilserl_drivers.setpoint import Setpoint
from hilserl_msgs.msg import ServoState
from hilserl_msgs.srv import Reset

STALE = 0.2
"""s without joint states, after which the arm is not there."""


@dataclass(frozen=True)
class BridgeParameters:
    """Parameters of ``bridge_node``."""

    arm: str = parameter("koch_follower", "which arm it is", choices=tuple(ARMS))
    rate: float = parameter(50.0, "commands a second on the way home", low=10.0, high=500.0)
    home_velocity: float = parameter(
        DriverSettings.home_velocity, "rad/s on the way home", low=0.05, high=4.0
    )


class BridgeNode(Node):
    """Topics and the service around a homing motion."""

    def __init__(self) -> None:
        super().__init__("bridge_node")
        p = self.parameters = declare(self, BridgeParameters)
        self._arm = ARMS[p.arm]
        self._position: NDArray[np.float64] | None = None
        self._heard_at = -np.inf
        self._setpoint = Setpoint(
            [servo.low for servo in self._arm.servos],
            [servo.high for servo in self._arm.servos],
            [servo.velocity_limit for servo in self._arm.servos],
            0.0,
            1.0,
            p.home_velocity,
        )
        self._reset: tuple[Homing, Answer] | None = None
        unknown = [float("nan")] * len(self._arm.joints)
        self._servos = ServoState(
            name=list(self._arm.joints),
            current=unknown,
            voltage=unknown,
            temperature=unknown,
            hardware_error=[0] * len(unknown),
        )
        topic = "forward_position_controller/commands"
        self._commands = self.create_publisher(Float64MultiArray, topic, qos.COMMAND)
        self._servo_states = self.create_publisher(ServoState, "servo_states", qos.SENSOR)
        self.create_subscription(JointState, "joint_states", self._on_joints, qos.SENSOR)
        DeferredService(self, Reset, "robot/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / p.rate, self._on_timer, clock=steady)
        Diagnostics(self, "arm under ros2_control", self._health)

    @property
    def _there(self) -> bool:
        return time.monotonic() - self._heard_at < STALE

    def _on_joints(self, message: JointState) -> None:
        """The same measurement, as servo states: of the rest ros2_control knows nothing."""
        if not set(self._arm.joints) <= set(message.name):
            return
        order = [list(message.name).index(joint) for joint in self._arm.joints]
        self._position = np.array(message.position)[order]
        self._heard_at = time.monotonic()
        servos = self._servos
        servos.header.stamp = message.header.stamp
        servos.position = doubles(self._position)
        velocity = message.velocity or [float("nan")] * len(message.name)
        servos.velocity = doubles(np.array(velocity)[order])
        self._servo_states.publish(servos)

    def _on_reset(self, _request: Reset.Request, answer: Answer) -> None:
        """Begins to move home; answers when the arm is there, or says why not."""
        if not self._there or self._position is None:
            message = "no joint states: are ros2_control and joint_state_broadcaster up?"
            answer(Reset.Response(success=False, message=message))
            return
        if self._reset is not None:
            self._finish("another reset was asked for")
        now = time.monotonic()
        target = np.clip(self._arm.home, self._setpoint.low, self._setpoint.high)
        self._setpoint.start(self._position)
        self._reset = (Homing(self._arm.joints, target, now), answer)

    def _on_timer(self) -> None:
        if self._reset is None:
            return
        homing, _ = self._reset
        now = time.monotonic()
        if not self._there or self._position is None:
            self._finish("the arm's joint states have stopped")
            return
        if homing.overdue(now):
            self._finish("the way home took too long")
            return
        self._setpoint.command(homing.target, now, self.parameters.home_velocity)
        value = self._setpoint.advance(now, 1 / self.parameters.rate)
        self._commands.publish(Float64MultiArray(data=doubles(value)))
        homing.update(self._setpoint.arrived, self._position, now)
        if homing.done:
            self._finish(homing.problem)

    def _finish(self, problem: str) -> None:
        assert self._reset is not None
        (homing, answer), self._reset = self._reset, None
        response = Reset.Response(success=not problem, message=problem)
        response.stamp = ns_to_stamp(time.time_ns())
        response.command = doubles(homing.target)
        answer(response)

    def _health(self) -> Health:
        if not self._there:
            return Health("no joint states", warning=True)
        return Health("on its way home" if self._reset is not None else "watching")


def main() -> None:
    """Entry point of the program."""
    run_node(BridgeNode, BridgeParameters)


if __name__ == "__main__":
    main()
