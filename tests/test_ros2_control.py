"""Mux and policy on a stand-in with the topics of an arm under ros2_control, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core.messages import action_to_msg, doubles, step_from_msg
from hilserl_core.qos import COMMAND, RELIABLE, SENSOR, STEPS
from hilserl_core.step import Event, Outcome, Source
from hilserl_description.arm_model import GRIPPER, JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Action, Observation, Reward, Step
from table import COMMANDS, Table

# As joint_state_broadcaster orders them: not as the arm does.
NAMES = sorted(JOINT_NAMES)
LAG = 0.3


class StandIn(Table):
    """Forward command controller, joint state broadcaster, a scene that is seen, and a person."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.position = dict.fromkeys(JOINT_NAMES, 0.0)
        self.position["gripper"] = -0.5
        self.command = dict(self.position)
        self.steps: list[Step] = []
        self.motion: tuple[float, ...] | None = None
        node = self.node
        node.create_subscription(Float64MultiArray, COMMANDS, self._on_target, COMMAND)
        node.create_subscription(Observation, "observation", self._on_observation, RELIABLE)
        node.create_subscription(Step, "steps", self.steps.append, STEPS)
        self.joint_states = node.create_publisher(JointState, "joint_states", RELIABLE)
        self.poses = node.create_publisher(PoseStamped, "sim/object_pose", SENSOR)
        self.rewards = node.create_publisher(Reward, "reward", RELIABLE)
        self.drive = node.create_publisher(Action, "teleop/keyboard/action", RELIABLE)
        node.create_timer(0.01, self._on_timer)
        node.create_timer(0.1, self._on_tick)
        self.start("bridge", ["-m", "hilserl_drivers.bridge_node"])
        self.start("mux", ["-m", "hilserl_teleop.mux_node"], countdowns="[0.2]")
        self.start(
            "policy", ["-c", "from hilserl_policy.policy_node import main; main()"],
            run=folder / "run", mode="record", demos=1, recorder="''", reset_seconds=30.0,
        )  # fmt: skip

    def _on_target(self, message: Float64MultiArray) -> None:
        self.command = dict(zip(JOINT_NAMES, message.data, strict=True))

    def _on_timer(self) -> None:
        before = dict(self.position)
        for name, target in self.command.items():
            self.position[name] += LAG * (target - self.position[name])
        now = self.node.get_clock().now().to_msg()
        message = JointState(name=NAMES)
        message.header.stamp = now
        message.position = doubles([self.position[name] for name in NAMES])
        message.velocity = doubles([100 * (self.position[n] - before[n]) for n in NAMES])
        self.joint_states.publish(message)
        pose = PoseStamped()
        pose.header.stamp = now
        pose.pose.position.y, pose.pose.orientation.w = 0.18, 1.0
        self.poses.publish(pose)

    def _on_observation(self, message: Observation) -> None:
        self.rewards.publish(Reward(header=message.header, judge="nobody"))

    def _on_tick(self) -> None:
        if self.motion is not None:
            self.drive.publish(action_to_msg(0, self.motion, Source.HUMAN))


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[StandIn]:
    result = StandIn(tmp_path)
    yield result
    result.close()


def test_a_demonstration_on_an_arm_under_ros2_control(arm: StandIn) -> None:
    arm.until(lambda: arm.actions)  # The arm is home, and the policy's ticks are answered.
    home = [arm.position[name] for name in JOINT_NAMES]
    assert home == pytest.approx(KOCH.home, abs=0.13)
    arm.motion = (0.5, 0.0, 0.0, -1.0)
    arm.send("keyboard", Event.TAKEOVER)
    arm.until(lambda: arm.is_driven_by("keyboard"), 20.0)
    arm.until(lambda: sum(a.source == Source.HUMAN for a in arm.actions) > 5, 20.0)
    arm.send("keyboard", Event.SUCCESS)
    arm.until(lambda: arm.steps and arm.steps[-1].is_last, 20.0)
    steps = [step_from_msg(step) for step in arm.steps]
    assert steps[-1].outcome == Outcome.SUCCESS
    moved = [step for step in steps if step.source == Source.OFFLINE]
    assert len(moved) >= 5
    positions = np.array([step.observation.state[:6] for step in steps])
    assert positions[-1, 0] - positions[0, 0] > 0.05, "the order of the joints is the arm's"
    assert positions[-1, GRIPPER] == pytest.approx(KOCH.gripper_closed, abs=0.1)
