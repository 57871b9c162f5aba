"""The node that watches a run: draws the panel, prints lines, or passes the status on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hilserl_bringup.panel import LiveScreen, PlainScreen, make_screen
from hilserl_bringup.status import Pace, Status
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.qos import LATCHED
from hilserl_core.ros_parameters import declare
from hilserl_msgs.msg import Arbitration, LearnerStatus, RunStatus


@dataclass(frozen=True)
class PanelParameters:
    """Parameters of panel_node."""

    output: str = parameter(
        "panel",
        "a live panel, plain lines, or the status as lines of JSON",
        choices=("panel", "plain", "json"),
    )
    period: float = parameter(0.5, "time between updates, s", low=0.1, high=60.0)


class PanelNode(Node):
    """Shows run/status, learner/status and arbitration."""

    def __init__(self) -> None:
        super().__init__("panel_node")
        self.parameters = declare(self, PanelParameters)
        self._status, self._pace = Status(), Pace()
        self._run_status_at = time.monotonic()
        self._screen: PlainScreen | LiveScreen | None = None
        if self.parameters.output != "json":
            self._screen = make_screen(self.parameters.output == "panel")
        self.create_subscription(RunStatus, "run/status", self._on_run, LATCHED)
        self.create_subscription(LearnerStatus, "learner/status", self._on_learner, LATCHED)
        self.create_subscription(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        # Wall time: the panel goes on where simulated time stands still.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.parameters.period, self._show, clock=clock)

    def _on_run(self, message: Any) -> None:
        self._status = self._status.with_run(message)
        self._run_status_at = time.monotonic()

    def _on_learner(self, message: Any) -> None:
        self._status = self._status.with_learner(message)

    def _on_arbitration(self, message: Any) -> None:
        self._status = self._status.with_arbitration(message)

    def _show(self) -> None:
        now = time.monotonic()
        status = self._pace.judge(self._status.later(now - self._run_status_at), now)
        if self._screen is None:
            print(status.to_json(), flush=True)
        else:
            self._screen.update(status)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._screen is not None:
            self._screen.close()


def main() -> None:
    """Entry point."""
    run_node(PanelNode, PanelParameters)
