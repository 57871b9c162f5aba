"""A service that answers later, from another callback, on any executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

Answer = Callable[[Any], None]


class DeferredService:
    """Serves ``name`` with a handler that is given the answer's sender.

    rclpy's EventsExecutor runs no coroutines as service callbacks, and a callback that
    waited would keep stops from being heard. So the moment at which rclpy would send the
    response becomes the call of the handler, who sends it when it has it.

    Args:
        handler: called with the request and a function that sends the response, once.
    """

    def __init__(
        self, node: Node, srv_type: Any, name: str, handler: Callable[[Any, Answer], None]
    ) -> None:
        self._handler = handler
        self._request: Any = None
        self._service = node.create_service(srv_type, name, self._called)
        self._send = self._service.send_response
        self._service.send_response = self._respond

    def _called(self, request: Any, response: Any) -> Any:
        self._request = request
        return response

    def _respond(self, _response: Any, header: Any) -> None:
        self._handler(self._request, lambda response: self._send(response, header))
