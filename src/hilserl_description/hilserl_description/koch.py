"""The Koch v1.1 follower."""

from __future__ import annotations

from hilserl_description.arm_model import ArmModel, Hand, Joint

_M288, _W250 = "XL330-M288", "XL430-W250"
# Torque limits stay a little below stall.
_JOINTS = (
    Joint("shoulder_pan", (0.012, 0, 0.0409), (0, 0, -1), -2.2, 2.2, 0.0501, _W250, 1, 1.4),
    Joint("shoulder_lift", (0, -0.0209, 0.0154), (0, 1, 0), -1.57, 1.22, 0.0502, _W250, 2, 1.4),
    Joint("elbow_flex", (-0.0148, 0.0065, 0.1083), (0, -1, 0), -1.48, 1.74, 0.0638, _M288, 3, 0.5),
    Joint("wrist_flex", (-0.10048, 5e-05, 0.0027), (0, 1, 0), -1.92, 1.92, 0.0198, _M288, 4, 0.5),
    Joint("wrist_roll", (-0.045, 0.0131, 0), (1, 0, 0), -2.97, 2.97, 0.0293, _M288, 5, 0.5),
    Joint("gripper", (-0.01315, -0.0075, 0.0145), (0, 0, -1), -1.74, 0.05, 0.0128, _M288, 6, 0.25),
)

KOCH = ArmModel(
    name="koch",
    joints=_JOINTS,
    hand=Hand(
        forward=(-1, 0, 0),
        inward=(0, 1, 0),
        fingers=0.022,
        gripped=-0.44,
        held=(-0.064, -0.01125, 0.0011),
    ),
    gripper_closed=0.03,
    gripper_opened=-1.15,
    home_pose=(0.12, -0.58, -1.15, -1.9, 0.0, -1.15),
    workspace=((-0.15, 0.08, 0.013), (0.15, 0.28, 0.20)),
    patch=((-0.08, 0.12), (0.08, 0.24)),
    upright=((-0.05, 0.11), (0.05, 0.16)),
)
