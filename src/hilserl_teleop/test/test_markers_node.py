"""The node that draws, as a process: what rviz would be sent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from visualization_msgs.msg import Marker, MarkerArray

from hilserl_core.messages import action_to_msg
from hilserl_core.qos import LATCHED, RELIABLE
from hilserl_core.step import Source
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Action, Arbitration, Reward
from hilserl_teleop.markers import PERSON

WAIT = 20.0  # s


class Viewer:
    """Plays the run's nodes, and keeps what is drawn, by name."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self._executor = executor
        self.drawn: dict[str, Marker] = {}
        node.create_subscription(MarkerArray, "markers", self._on_markers, LATCHED)
        publish = node.create_publisher
        self.proposals = publish(Action, "teleop/leader/action", RELIABLE)
        self.actions = publish(Action, "action", RELIABLE)
        self.arbitration = publish(Arbitration, "arbitration", LATCHED)
        self.rewards = publish(Reward, "reward", RELIABLE)

    def _on_markers(self, message: MarkerArray) -> None:
        for marker in message.markers:
            if marker.action == Marker.DELETE:
                del self.drawn[marker.ns]
            else:
                self.drawn[marker.ns] = marker

    def wait(
        self, true: Callable[[], bool], what: str, act: Callable[[], None] | None = None
    ) -> None:
        deadline = time.monotonic() + WAIT
        while not true():
            assert time.monotonic() < deadline, f"waited {WAIT} s for {what}"
            if act is not None:
                act()
            self._executor.spin_once(timeout_sec=0.02)


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Viewer]:
    domain = 150 + os.getpid() % 50
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node("viewer", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    process = subprocess.Popen([sys.executable, "-m", "hilserl_teleop.markers_node"])
    yield Viewer(node, executor)
    process.terminate()
    assert process.wait(timeout=WAIT) == 0
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


def test_target_drivers_motion_and_reward_are_drawn_and_silence_takes_away(viewer: Viewer) -> None:
    viewer.arbitration.publish(Arbitration(state=Arbitration.HUMAN, device="leader"))
    viewer.wait(lambda: "workspace" in viewer.drawn, "the node")

    def drive() -> None:
        values = [0.0, 1.0, 0.0, 0.0]
        viewer.proposals.publish(action_to_msg(0, values, Source.HUMAN))
        viewer.actions.publish(action_to_msg(0, values, Source.HUMAN, command=KOCH.home))
        viewer.rewards.publish(Reward(value=1.0, judge="sim"))

    def as_a_person_drives() -> bool:
        """Everything is there, target and motion in the person's colour, both solid."""
        expected = {"workspace", "target", "motion of leader", "reward"}
        if set(viewer.drawn) != expected:
            return False
        colours = [viewer.drawn[name].color for name in ("target", "motion of leader")]
        return all((c.r, c.g, c.b, c.a) == pytest.approx(PERSON) for c in colours)

    viewer.wait(as_a_person_drives, "everything to be drawn", drive)
    at = viewer.drawn["target"].pose.position
    assert [at.x, at.y, at.z] == pytest.approx(ForwardKinematics().position(KOCH.home))
    assert viewer.drawn["reward"].text == "reward 1 (sim)"
    viewer.wait(lambda: "motion of leader" not in viewer.drawn, "the silent leader to go")
    assert "target" in viewer.drawn
