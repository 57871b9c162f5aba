"""A SpaceMouse at this machine, published as the spacenav package does where there is none.

Needs a readable device: the udev rules of this package (share/hilserl_teleop/udev) see to that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import Twist
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy

from hilserl_core import node as node_main
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.messages import floats
from hilserl_core.parameters import parameter
from hilserl_core.qos import SENSOR
from hilserl_core.ros_parameters import declare

FULL_SCALE = 0.68
"""What the spacenav package says of a cap that is held all the way: about 350 counts of 512."""

REPORTS = 20
"""Reports read at a time, at most: the device sends some hundreds a second."""

RETRY = 2.0
"""s between looks for a device that was unplugged."""

RULES = "share/hilserl_teleop/udev/70-hilserl-spacemouse.rules"


@dataclass(frozen=True)
class SpacenavParameters:
    """Parameters of ``spacenav_node``."""

    model: str = parameter("", "the SpaceMouse's model, as pyspacemouse names it; empty: any")
    rate: float = parameter(100.0, "twists a second", low=10.0, high=250.0)


def open_device(model: str) -> Any:
    """The SpaceMouse.

    Raises:
        UserError: there is none, or it cannot be read, or nothing here can read one.
    """
    try:
        import pyspacemouse
    except (ImportError, OSError) as error:
        raise UserError(
            f"no SpaceMouse can be read ({error}): install pyspacemouse and libhidapi-hidraw0"
        ) from None
    try:
        return pyspacemouse.open(
            device=model or None,
            nonblocking=True,
            axis_convention=pyspacemouse.AxisConvention.ROS,
        )
    except Exception as error:  # What it raises differs by what is missing.
        raise UserError(
            f"no SpaceMouse could be opened ({error}): plug it in, and let yourself read it "
            f"with {RULES}"
        ) from None


def messages(state: Any) -> tuple[Twist, Joy]:
    """A state of pyspacemouse, axes in [-1, 1], as spacenav's twist and joy."""
    axes = [FULL_SCALE * value for value in (state.x, state.y, state.z)]
    turns = [FULL_SCALE * value for value in (state.roll, state.pitch, state.yaw)]
    twist = Twist()
    twist.linear.x, twist.linear.y, twist.linear.z = axes
    twist.angular.x, twist.angular.y, twist.angular.z = turns
    joy = Joy(axes=floats([*axes, *turns]), buttons=[int(b) for b in state.buttons])
    return twist, joy


class SpacenavNode(Node):
    """Topics of one SpaceMouse."""

    def __init__(self) -> None:
        super().__init__("spacenav_node")
        p = self.parameters = declare(self, SpacenavParameters)
        self._device: Any = open_device(p.model)
        self._retry_at = 0.0
        self._twists = self.create_publisher(Twist, "spacenav/twist", SENSOR)
        self._joys = self.create_publisher(Joy, "spacenav/joy", SENSOR)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / p.rate, self._on_timer, clock=steady)
        Diagnostics(self, "SpaceMouse", self._health)

    def _on_timer(self) -> None:
        if self._device is None:
            self._look_for_it()
            return
        try:
            read_at = None
            for _ in range(REPORTS):
                state = self._device.read()
                if state.t == read_at:
                    break  # There was nothing new.
                read_at = state.t
        except Exception as error:
            self.get_logger().error(f"the SpaceMouse is gone ({error}): plug it in again")
            self._device.close()
            self._device, self._retry_at = None, time.monotonic() + RETRY
            return
        twist, joy = messages(state)
        joy.header.stamp = self.get_clock().now().to_msg()
        self._twists.publish(twist)
        self._joys.publish(joy)

    def _look_for_it(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + RETRY
        try:
            self._device = open_device(self.parameters.model)
            self.get_logger().info("the SpaceMouse is back")
        except UserError:
            return

    def _health(self) -> Health:
        gone = self._device is None
        return Health("unplugged" if gone else str(self._device.name), warning=gone)

    def close(self) -> None:
        """Lets go of the device."""
        if self._device is not None:
            self._device.close()


def main() -> None:
    """Entry point of the program."""
    node_main.main(SpacenavNode, SpacenavParameters)


if __name__ == "__main__":
    main()
