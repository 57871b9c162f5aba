"""What gravity asks of the motors, against energy and against the simulator's own answer."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilserl_description.gravity import GravityTorque
from hilserl_description.koch import KOCH
from hilserl_description.scenes import load_robot

GRAVITY, MODEL = GravityTorque(KOCH), load_robot(KOCH)
DATA = mujoco.MjData(MODEL)
poses = st.tuples(*[st.floats(0, 1)] * 6).map(
    lambda shares: KOCH.low + np.array(shares) * (KOCH.high - KOCH.low)
)


def energy(pose: np.ndarray) -> float:
    """J, from the heights of the links' centres of mass."""
    DATA.qpos[:] = pose
    mujoco.mj_kinematics(MODEL, DATA)
    return float(9.81 * MODEL.body_mass @ DATA.xipos[:, 2])


@settings(max_examples=60)
@given(poses)
def test_it_is_the_gradient_of_the_energy(pose):
    step = 1e-5 * np.eye(6)
    gradient = [(energy(pose + way) - energy(pose - way)) / 2e-5 for way in step]
    assert GRAVITY(pose) == pytest.approx(gradient, abs=1e-7)


@settings(max_examples=60)
@given(poses)
def test_it_is_what_the_simulator_counts_with(pose):
    DATA.qpos[:], DATA.qvel[:] = pose, 0.0
    mujoco.mj_forward(MODEL, DATA)
    assert GRAVITY(pose) == pytest.approx(DATA.qfrc_bias, abs=1e-12)


def test_the_masses_are_those_of_the_joints():
    for joint in KOCH.joints:
        body = MODEL.joint(joint.name).bodyid[0]
        assert MODEL.body_mass[body] == pytest.approx(joint.mass)


def test_an_arm_stretched_out_is_heavier_than_one_that_stands():
    # The forearm raised in line with the upper arm, and both of them laid down.
    standing, lying = (np.array([0.0, lift, 1.48 - np.pi, 0, 0, 0]) for lift in (0.0, -1.5))
    assert abs(GRAVITY(lying)[1]) > 3 * abs(GRAVITY(standing)[1])
    assert GRAVITY(lying)[0] == pytest.approx(0.0, abs=1e-12), "panning lifts nothing"
