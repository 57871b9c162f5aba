"""A policy that walks to and fro, as a process to be killed."""

from __future__ import annotations

import math
import sys

import rclpy
from sensor_msgs.msg import JointState

from hilserl_core.messages import action_to_msg
from hilserl_core.qos import RELIABLE, SENSOR
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Source
from hilserl_msgs.msg import Action

PERIOD = 0.1


def main() -> None:
    rclpy.init()
    node = rclpy.create_node("walking_policy")
    actions = node.create_publisher(Action, "policy_action", RELIABLE)
    newest = [0]
    ticks = [0]

    def on_joints(message: JointState) -> None:
        newest[0] = stamp_to_ns(message.header.stamp)

    def on_tick() -> None:
        ticks[0] += 1
        x = 0.8 * math.copysign(1.0, math.sin(2 * math.pi * ticks[0] * PERIOD / 2.0))
        actions.publish(action_to_msg(newest[0], (x, 0.0, 0.0, 0.0), Source.POLICY))

    node.create_subscription(JointState, "joint_states", on_joints, SENSOR)
    node.create_timer(PERIOD, on_tick)
    rclpy.spin(node)


if __name__ == "__main__":
    sys.exit(main())
