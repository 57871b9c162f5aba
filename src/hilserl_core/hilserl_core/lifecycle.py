"""Brings a lifecycle node up: configures and activates it, and again when it was started anew."""

from __future__ import annotations

import time
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

PERIOD = 0.5
"""s between looks at the node's state."""

PATIENCE = 20.0
"""s that a transition may take."""


class BringUp:
    """Takes a node from unconfigured to active.

    A node that somebody deactivated on purpose is left alone: only one that is unconfigured,
    as it is after its start, is brought up.

    Args:
        node: that asks.
        name: of the node that is brought up.

    Attributes:
        active: whether it was active at the last look.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.active = False
        self._states = node.create_client(GetState, f"{name}/get_state")
        self._changes = node.create_client(ChangeState, f"{name}/change_state")
        self._under_way = False
        self._pending: tuple[Any, Any, float] | None = None
        node.create_timer(PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _look(self) -> None:
        if self._pending is not None:
            client, future, deadline = self._pending
            if time.monotonic() < deadline:
                return
            client.remove_pending_request(future)
            self._pending = None
        if not (self._states.service_is_ready() and self._changes.service_is_ready()):
            self.active = self._under_way = False
            return
        self._ask(self._states, GetState.Request(), self._on_state)

    def _ask(self, client: Any, request: Any, then: Any) -> None:
        future = client.call_async(request)
        self._pending = (client, future, time.monotonic() + PATIENCE)
        future.add_done_callback(then)

    def _on_state(self, future: Any) -> None:
        self._pending = None
        state = future.result().current_state.id
        self.active = state == State.PRIMARY_STATE_ACTIVE
        if state == State.PRIMARY_STATE_UNCONFIGURED:
            self._under_way = True
            self._change(Transition.TRANSITION_CONFIGURE)
        elif state == State.PRIMARY_STATE_INACTIVE and self._under_way:
            self._change(Transition.TRANSITION_ACTIVATE)
        else:
            self._under_way = False

    def _change(self, transition: int) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        self._ask(self._changes, request, self._on_changed)

    def _on_changed(self, future: Any) -> None:
        """Looks on at once where it went well; why it did not, the node itself says."""
        self._pending = None
        if future.result().success:
            self._look()
