"""A SpaceMouse's topics in front of the mux, published as the spacenav package does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from sensor_msgs.msg import JointState, Joy

from hilserl_core.messages import doubles
from hilserl_core.qos import SENSOR
from hilserl_description.arm_model import GRIPPER, JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Arbitration
from hilserl_teleop.spacenav_node import FULL_SCALE
from table import Table

PUSHED = 0.5 * FULL_SCALE


class Cap(Table):
    """The cap of a SpaceMouse, and an arm that stands still."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.twist: float | None = 0.0
        self.twists = self.node.create_publisher(Twist, "spacenav/twist", SENSOR)
        self.joys = self.node.create_publisher(Joy, "spacenav/joy", SENSOR)
        self.joint_states = self.node.create_publisher(JointState, "joint_states", SENSOR)
        self.node.create_timer(0.02, self._publish)
        devices = {"devices": "[spacemouse]", "countdowns": "[0.0]", "lockstep_devices": "['']"}
        self.start("mux", ["-m", "hilserl_teleop.mux_node"], **devices)
        self.start("jog", ["-m", "hilserl_teleop.jog_node"])

    def _publish(self) -> None:
        joints = JointState(name=list(JOINT_NAMES), position=doubles(KOCH.home))
        self.joint_states.publish(joints)
        if self.twist is not None:
            twist = Twist()
            twist.linear.z = self.twist
            self.twists.publish(twist)


@pytest.fixture
def cap(tmp_path: Path) -> Iterator[Cap]:
    result = Cap(tmp_path)
    yield result
    result.close()


def test_motion_drives_without_a_countdown_rest_releases_and_a_dead_link_holds(cap: Cap) -> None:
    cap.until(lambda: cap.twists.get_subscription_count() and cap.commands)
    assert cap.arbitration.state == Arbitration.POLICY
    cap.twist = PUSHED
    cap.until(lambda: cap.is_driven_by("spacemouse"), 5.0)
    begun = cap.commands[-1]
    cap.until(lambda: np.abs(cap.commands[-1] - begun).max() > 0.05, 5.0)
    cap.joys.publish(Joy(buttons=[1, 0]))
    cap.until(lambda: cap.commands[-1][GRIPPER] == KOCH.gripper_closed, 5.0)
    cap.twist = 0.0
    cap.until(lambda: cap.arbitration.state == Arbitration.POLICY, 5.0)

    cap.twist = PUSHED
    cap.until(lambda: cap.is_driven_by("spacemouse"), 5.0)
    cap.twist = None  # Unplugged while it is held.
    cap.until(lambda: "spacemouse is silent" in cap.arbitration.reason, 5.0)
    held = cap.commands[-1]
    cap.spin(1.5)
    np.testing.assert_array_equal(cap.commands[-1], held)
    assert cap.arbitration.device == "spacemouse", "it never falls back to the policy"
