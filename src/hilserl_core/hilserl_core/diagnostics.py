"""How a node tells that it is well: /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hilserl_core.qos import RELIABLE

PERIOD = 1.0  # s


@dataclass(frozen=True)
class Health:
    """What a node says of itself.

    Attributes:
        message: a sentence for a person.
        warning: whether somebody should look.
        values: figures by name.
    """

    message: str
    warning: bool = False
    values: Mapping[str, object] = field(default_factory=dict)


class Diagnostics:
    """Publishes a node's health by the wall clock, also while simulated time stands still.

    Args:
        node: whose.
        part: what of the node is meant, such as "arbitration".
        health: asked once a second, on the executor's thread.
    """

    def __init__(self, node: Node, part: str, health: Callable[[], Health]) -> None:
        self._node, self._part, self._health = node, part, health
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        node.create_timer(PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        health = self._health()
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if health.warning else DiagnosticStatus.OK,
            name=f"{self._node.get_fully_qualified_name()}: {self._part}",
            message=health.message,
            hardware_id=self._node.get_name(),
            values=[KeyValue(key=key, value=str(value)) for key, value in health.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
