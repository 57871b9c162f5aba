"""Draws the run's curves as it goes: TensorBoard's event files, and Weights & Biases if asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hilserl_core.errors import UserError
from hilserl_core.node import main as node_main
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_replay.curve_sinks import CurveWriter, make_sinks

_NICENESS = 10  # whoever acts or learns goes first


@dataclass(frozen=True)
class CurvesParameters:
    """Parameters of curves_node."""

    run: str = parameter("", "the run's folder")
    tensorboard: bool = parameter(True, "write event files into the run's folder tensorboard")
    wandb: str = parameter(
        "off",
        "Weights & Biases: not at all, into the run's folder wandb, or sent as the run goes",
        choices=("off", "offline", "online"),
    )
    period: float = parameter(2.0, "time between two looks at the run's logs, s", low=0.1, high=600)


class CurvesNode(Node):
    """Follows the logs of the run's folder: neither the learner nor the policy waits for it."""

    def __init__(self) -> None:
        super().__init__("curves_node")
        p = declare(self, CurvesParameters)
        if not p.run:
            raise UserError("curves_node: parameter 'run' is empty: give the run's folder")
        os.nice(_NICENESS)
        run = Path(p.run)
        self._writer = CurveWriter(run, make_sinks(run, p.tensorboard, p.wandb))
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._timer = self.create_timer(p.period, self._update, clock=clock)

    def _update(self) -> None:
        try:
            self._writer.update()
        except Exception as error:  # whatever it was, curves are no reason to end a run
            self._timer.cancel()
            self.get_logger().error(
                f"no more curves ({type(error).__name__}: {error}); the run goes on, and its logs "
                "hold what 'hilserl run hilserl_replay curves RUN' draws them from"
            )

    def close(self) -> None:
        """Draws what is left."""
        if not self._timer.is_canceled():
            self._writer.close()


def main() -> None:
    """The program ``curves_node``."""
    node_main(CurvesNode, CurvesParameters)


if __name__ == "__main__":
    main()
