"""Draws the target, the workspace, who proposes what, and the reward: for rviz and Foxglove."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from geometry_msgs.msg import Point
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from hilserl_core.messages import float32
from hilserl_core.node import main as node_main
from hilserl_core.parameters import parameter
from hilserl_core.qos import LATCHED, RELIABLE
from hilserl_core.ros_parameters import declare
from hilserl_description.arm_model import JOINT_NAMES, action_spec
from hilserl_description.models import MODELS
from hilserl_msgs.msg import Action, Arbitration, Reward
from hilserl_teleop.arbitration import State
from hilserl_teleop.markers import Painter, Shape, View

FRAME = "base_link"
_KINDS = {
    "sphere": Marker.SPHERE,
    "arrow": Marker.ARROW,
    "lines": Marker.LINE_LIST,
    "text": Marker.TEXT_VIEW_FACING,
}


@dataclass(frozen=True)
class MarkersParameters:
    """Parameters of markers_node."""

    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    action_space: str = parameter(
        "ee_delta", "what actions mean", choices=("ee_delta", "joint_delta")
    )
    devices: tuple[str, ...] = parameter(
        ("leader", "keyboard"), "devices whose proposed motion is drawn"
    )
    rate: float = parameter(10.0, "pictures a second at most", low=0.1, high=60.0)
    lookahead: float = parameter(
        4.0, "length of an arrow, control ticks of the motion that it stands for", low=0.1, high=50
    )
    silence: float = parameter(
        0.5, "after which a proposal is drawn no more, s of wall-clock time", low=0.1, high=60.0
    )


def to_marker(shape: Shape, frame: str = FRAME) -> Marker:
    """The marker of a shape. Its stamp is 0: drawn with the newest transforms there are."""
    marker = Marker(ns=shape.name, type=_KINDS[shape.kind], action=Marker.ADD, text=shape.text)
    marker.header.frame_id = frame
    marker.pose.orientation.w = 1.0
    red, green, blue, solid = map(float, shape.colour)
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=solid)
    points = [Point(x=x, y=y, z=z) for x, y, z in shape.points.tolist()]
    if shape.kind in ("sphere", "text"):
        marker.pose.position = points[0]
    else:
        marker.points = points
    size = shape.size
    scale = {
        "sphere": (size, size, size),
        "arrow": (size, 2 * size, 2 * size),  # shaft's and head's diameter, head's length
        "lines": (size, 0.0, 0.0),
        "text": (0.0, 0.0, size),
    }[shape.kind]
    marker.scale.x, marker.scale.y, marker.scale.z = scale
    return marker


class MarkersNode(Node):
    """Hears who proposes and who drives; publishes ``markers`` where that has changed."""

    def __init__(self) -> None:
        super().__init__("markers_node")
        p = declare(self, MarkersParameters)
        self._painter = Painter(MODELS[p.arm], action_spec(p.action_space), p.lookahead)
        self._silence = p.silence
        self._view = View()
        self._heard: dict[str, float] = {}
        self._shown: set[str] = set()
        self._changed = True
        subscribe = self.create_subscription
        subscribe(Action, "policy_action", partial(self._on_proposal, "policy"), RELIABLE)
        for device in filter(None, p.devices):
            heard = partial(self._on_proposal, device)
            subscribe(Action, f"teleop/{device}/action", heard, RELIABLE)
        subscribe(Action, "action", self._on_action, RELIABLE)
        subscribe(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        subscribe(Reward, "reward", self._on_reward, RELIABLE)
        self._markers = self.create_publisher(MarkerArray, "markers", LATCHED)
        # Wall time: simulation may stand still, or run faster than anybody can look.
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / p.rate, self._draw, clock=wall)

    def _see(self, view: View) -> None:
        self._view, self._changed = view, True

    def _on_proposal(self, who: str, message: Action) -> None:
        self._heard[who] = time.monotonic()
        self._see(self._view.proposing(who, float32(message.values)))

    def _on_action(self, message: Action) -> None:
        command = np.array(message.command)
        if command.shape == (len(JOINT_NAMES),) and np.isfinite(command).all():
            self._see(dataclasses.replace(self._view, command=command))

    def _on_arbitration(self, message: Arbitration) -> None:
        self._see(
            dataclasses.replace(
                self._view,
                state=State(message.state),
                device=message.device,
                holding=message.holding,
            )
        )

    def _on_reward(self, message: Reward) -> None:
        likely = list(message.probabilities)
        self._see(
            dataclasses.replace(
                self._view,
                reward=message.value,
                # The judge's classes end with success.
                probability=likely[-1] if likely else None,
                judge=message.judge,
            )
        )

    def _draw(self) -> None:
        """Publishes what has changed, and takes away what is no longer to be seen."""
        now = time.monotonic()
        for who in [who for who, at in self._heard.items() if now - at > self._silence]:
            del self._heard[who]
            self._see(self._view.proposing(who, None))
        if not self._changed:
            return
        self._changed = False
        shapes = self._painter.shapes(self._view)
        names = {shape.name for shape in shapes}
        gone = [Marker(ns=name, action=Marker.DELETE) for name in sorted(self._shown - names)]
        self._shown = names
        self._markers.publish(MarkerArray(markers=[*map(to_marker, shapes), *gone]))


def main() -> None:
    """The program ``markers_node``."""
    node_main(MarkersNode, MarkersParameters)


if __name__ == "__main__":
    main()
