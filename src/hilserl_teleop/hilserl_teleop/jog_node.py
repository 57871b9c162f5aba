"""A SpaceMouse or a gamepad as a teleoperation device.

A SpaceMouse is heard on spacenav/twist and spacenav/joy, as the spacenav package publishes
them (or hilserl_teleop's own spacenav_node); a gamepad on joy, as the joy package does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from geometry_msgs.msg import Twist
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy

from hilserl_core import node as node_main
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.parameters import parameter
from hilserl_core.qos import LATCHED, SENSOR
from hilserl_core.ros_parameters import declare
from hilserl_core.step import Event
from hilserl_description.arm_model import action_spec
from hilserl_msgs.msg import Arbitration
from hilserl_teleop.handheld import LAYOUTS, Handheld, HandheldSettings
from hilserl_teleop.operator_device import OperatorDevice

ASK_AGAIN = 0.3
"""s between two requests of the same kind."""


@dataclass(frozen=True)
class JogParameters(HandheldSettings):
    """Parameters of ``jog_node``."""

    kind: str = parameter("spacemouse", "what it is", choices=tuple(LAYOUTS))
    device: str = parameter("", "its name, one of the mux's devices; empty: its kind")
    action_space: str = parameter(
        "ee_delta", "what actions mean", choices=("ee_delta", "joint_delta")
    )
    control_rate: float = parameter(10.0, "actions a second", low=1.0, high=100.0)
    full_scale: float = parameter(
        0.68, "what spacenav/twist says of a SpaceMouse that is held all the way", low=0.01,
        high=1000.0,
    )  # fmt: skip

    @property
    def name(self) -> str:
        return self.device or self.kind


class JogNode(Node):
    """Topics of one device."""

    def __init__(self) -> None:
        super().__init__("jog_node")
        p = self.parameters = declare(self, JogParameters)
        self._handheld = Handheld(p.kind, action_spec(p.action_space), p)
        self._arbitration = Arbitration()
        self._heard = False
        self._asked: tuple[Event | None, float] = (None, 0.0)
        self._device = OperatorDevice(self, p.name, self.get_logger().debug)
        subscribe = self.create_subscription
        subscribe(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        subscribe(JointState, "joint_states", self._on_joint_states, SENSOR)
        if p.kind == "spacemouse":
            subscribe(Twist, "spacenav/twist", self._on_twist, SENSOR)
            subscribe(Joy, "spacenav/joy", self._on_spacenav_joy, SENSOR)
        else:
            subscribe(Joy, "joy", self._on_joy, SENSOR)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / p.control_rate, self._on_tick, clock=steady)
        Diagnostics(self, p.name, self._health)

    @property
    def _mine(self) -> bool:
        """Whether this device has the arm or is about to."""
        return self._arbitration.device == self.parameters.name

    @property
    def _drives(self) -> bool:
        """Whether what this device says is executed."""
        return self._mine and self._arbitration.state == Arbitration.HUMAN

    def _on_arbitration(self, message: Arbitration) -> None:
        drove, self._arbitration = self._drives, message
        if self._drives and not drove:
            self._publish_action()  # Whoever has waited for the countdown need not wait on.

    def _on_joint_states(self, message: JointState) -> None:
        self._device.seen = message.header.stamp

    # -- what the device says

    def _on_twist(self, message: Twist) -> None:
        self._heard = True
        axes = [
            value / self.parameters.full_scale
            for part in (message.linear, message.angular)
            for value in (part.x, part.y, part.z)
        ]
        self._handheld.axes(axes, time.monotonic())
        self._react()

    def _on_spacenav_joy(self, message: Joy) -> None:
        """The twist has its axes already."""
        self._press(message)

    def _on_joy(self, message: Joy) -> None:
        self._heard = True
        self._handheld.axes(message.axes, time.monotonic())
        self._press(message)

    def _press(self, message: Joy) -> None:
        now = time.monotonic()
        for event in self._handheld.buttons(message.buttons, now, self._mine):
            self._device.send(event)
        self._react()

    # -- what leaves

    def _react(self) -> None:
        """Takes over at the first motion, not at the next tick."""
        now = time.monotonic()
        event = self._handheld.event(now, self._mine)
        asked, at = self._asked
        if event is not None and (event != asked or now - at > ASK_AGAIN):
            self._asked = (event, now)
            self._device.send(event)
            self._publish_action()

    def _on_tick(self) -> None:
        self._react()
        self._publish_action()

    def _publish_action(self) -> None:
        values = self._handheld.action(time.monotonic())
        if values is not None:  # Where it is, the mux sees that the device is silent, and holds.
            self._device.act(values)

    def _health(self) -> Health:
        if self._handheld.lost(time.monotonic()):
            return Health("fell silent while it was held: is it plugged in?", warning=True)
        return Health("drives" if self._mine else "ready" if self._heard else "not heard yet")


def main() -> None:
    """Entry point of the program."""
    node_main.main(JogNode, JogParameters)


if __name__ == "__main__":
    main()
