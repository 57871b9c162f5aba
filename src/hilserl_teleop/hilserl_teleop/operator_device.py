"""What a node needs to be an operator's device: its topics, and the services it asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from builtin_interfaces.msg import Time
from numpy.typing import ArrayLike
from rclpy.duration import Duration
from rclpy.node import Node
from std_srvs.srv import Trigger

from hilserl_core.messages import action_to_msg
from hilserl_core.qos import RELIABLE
from hilserl_core.step import Event, Source
from hilserl_msgs.msg import Action, OperatorEvent
from hilserl_msgs.srv import Reset

ACKNOWLEDGED = Duration(seconds=1)


class OperatorDevice:
    """Publishes one device's actions and events.

    Attributes:
        seen: stamp of the newest measurement that the operator has seen.

    Args:
        node: whose.
        name: of the device, one of the mux's.
        say: shows the operator a sentence.
        others: names of devices without keys of their own, for which events are sent here.
    """

    def __init__(
        self, node: Node, name: str, say: Callable[[str], None], others: Iterable[str] = ()
    ) -> None:
        self._node, self._name, self._say = node, name, say
        self.seen: Time = node.get_clock().now().to_msg()
        self._actions = node.create_publisher(Action, f"teleop/{name}/action", RELIABLE)
        self._events = {
            device: node.create_publisher(OperatorEvent, f"teleop/{device}/event", RELIABLE)
            for device in (name, *others)
        }
        self._reset = node.create_client(Reset, "reset")
        self._release_stop = node.create_client(Trigger, "release_stop")

    @property
    def heard(self) -> bool:
        """Whether somebody takes this device's actions and events."""
        own = (self._actions, self._events[self._name])
        return all(publisher.get_subscription_count() for publisher in own)

    def act(self, values: ArrayLike) -> None:
        """Publishes an action, (dim,) in [-1, 1]."""
        message = action_to_msg(0, values, Source.HUMAN)
        message.header.stamp = self.seen
        self._actions.publish(message)

    def send(self, event: Event, device: str = "") -> None:
        """Publishes what the operator decided, or says that nobody would hear it.

        Args:
            event: what.
            device: one of ``others`` that it is an event of; empty: of this device.
        """
        device = device or self._name
        whose = "" if device == self._name else f" of {device}"
        if not self._events[device].get_subscription_count():
            topic = self._events[device].topic_name
            self._say(f"not sent: {event.name.lower()}{whose}: nobody listens to {topic}")
            return
        message = OperatorEvent(event=int(event), device=device)
        message.header.stamp = self.seen
        self._events[device].publish(message)
        self._say(f"sent: {event.name.lower()}{whose}")

    def ask_for_reset(self) -> None:
        """The policy node ends the episode first; without one the mux is asked itself."""
        if self._node.count_publishers("run/status"):
            self.send(Event.RESET)
        else:
            self._call(self._reset, Reset.Request(seed=time.time_ns() >> 20))

    def release_stop(self) -> None:
        """Asks the mux to let the arm move again."""
        self._call(self._release_stop, Trigger.Request())

    def _call(self, client: Any, request: Any) -> None:
        if not client.service_is_ready():
            self._say(f"no service {client.srv_name}: is the mux running?")
            return
        future = client.call_async(request)
        future.add_done_callback(
            lambda done: self._say(
                done.result().message or ("done" if done.result().success else "failed")
            )
        )

    def finish(self) -> None:
        """Waits until the last words have arrived."""
        self._actions.wait_for_all_acked(ACKNOWLEDGED)
        for events in self._events.values():
            events.wait_for_all_acked(ACKNOWLEDGED)
