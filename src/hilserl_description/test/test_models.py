"""The models agree with one another and with the published figures."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description import scenes
from hilserl_description.arm_model import JOINT_NAMES, ArmModel, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.models import KOCH, SO101, model


def urdf_tool_position(arm: ArmModel, position: np.ndarray) -> np.ndarray:
    """The tool's position by plain products of the URDF's transforms."""
    path = scenes.model_path(f"urdf/{arm.name}.urdf")
    joints = ElementTree.parse(path).getroot().findall("joint")
    by_child = {joint.find("child").get("link"): joint for joint in joints}
    angle = dict(zip(JOINT_NAMES, position, strict=True))
    link, point = "tool", np.zeros(3)
    while link in by_child:
        joint = by_child[link]
        if joint.get("type") == "revolute":
            axis = np.array(joint.find("axis").get("xyz").split(), float)
            point = rotation(axis, angle[joint.get("name")]) @ point
        origin = joint.find("origin")
        rpy = [float(angle) for angle in origin.get("rpy", "0 0 0").split()]
        for axis, turn in zip(np.eye(3), rpy, strict=True):
            point = rotation(axis, turn) @ point
        point += np.array(origin.get("xyz").split(), float)
        link = joint.find("parent").get("link")
    return point


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    matrix = np.zeros(9)
    quaternion = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quaternion, axis, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


@pytest.mark.parametrize(
    ("each", "pose", "place"),
    [
        (KOCH, np.zeros(6), (0.002, 0.2125, 0.1684)),
        # Of the published URDF, whose base looks along +x.
        (SO101, np.zeros(6), (0.000011, 0.391362, 0.226469)),
        (SO101, (0.5, -0.6, 0.7, 0.9, -1.2, 0.0), (0.093574, 0.225237, 0.081576)),
    ],
)
def test_published_tool_site_lies_where_the_robots_makers_say(each, pose, place):
    position = ForwardKinematics(each, "published_tool").position(pose)
    assert position == pytest.approx(place, abs=1e-4)


def test_mjcf_and_urdf_agree_over_random_poses(arm):
    forward = ForwardKinematics(arm)
    rng = np.random.default_rng(0)
    for position in rng.uniform(arm.low, arm.high, (200, 6)):
        expected = urdf_tool_position(arm, position)
        assert forward.position(position) == pytest.approx(expected, abs=1e-9)


def test_mujoco_reads_the_urdf_with_the_same_joints_and_masses(arm):
    urdf = mujoco.MjModel.from_xml_path(str(scenes.model_path(f"urdf/{arm.name}.urdf")))
    assert urdf.njnt == len(arm.joints)
    for joint in arm.joints:
        assert tuple(urdf.joint(joint.name).range) == pytest.approx((joint.low, joint.high))
        assert tuple(urdf.joint(joint.name).axis) == joint.axis
        assert urdf.body(urdf.joint(joint.name).bodyid[0]).mass[0] == pytest.approx(joint.mass)


@pytest.mark.parametrize("task", scenes.TASKS)
def test_scene_has_the_arm_of_the_joint_table(task, arm):
    model = scenes.load_scene(task, arm=arm)
    for index, joint in enumerate(arm.joints):
        assert model.joint(joint.name).qposadr[0] == index
        assert tuple(model.joint(joint.name).range) == (joint.low, joint.high)
        assert tuple(model.actuator(joint.name).forcerange) == (
            -joint.torque_limit,
            joint.torque_limit,
        )
        body = model.jnt_bodyid[index]
        assert tuple(model.body_pos[body]) == joint.offset
        assert model.body_mass[body] == joint.mass
        turned = np.zeros(4)
        mujoco.mju_axisAngle2Quat(turned, joint.axis, joint.turn)
        assert model.body_quat[body] == pytest.approx(turned, abs=1e-9)
    assert model.body("object").id > 0


def test_the_pegs_clearance_is_two_millimetres_in_both_directions():
    model = scenes.load_scene("insert_peg")

    shaft, head = model.geom("shaft"), model.geom("head")
    walls = [model.geom(f"wall_{side}") for side in range(4)]
    inner = sorted(tuple(wall.pos[:2] * (1 - wall.size[0] / 0.015)) for wall in walls)
    r = shaft.size[0] + 0.001
    assert np.allclose(inner, [(-r, 0), (0, -r), (0, r), (r, 0)], atol=1e-9)
    # The table stops the tip before the head meets the socket.
    socket = model.geom("rim_0").pos[2] + model.geom("rim_0").size[2]
    depth = socket - (walls[0].pos[2] - walls[0].size[2])
    assert head.pos[2] - head.size[2] > depth > 0.015


@pytest.mark.parametrize("camera", scenes.CAMERAS)
def test_cameras_see_something(camera, arm):
    model = scenes.load_scene("lift_cube", arm=arm)
    data = mujoco.MjData(model)
    data.qpos[:6] = arm.home
    # Where the object's own description has it may be outside this arm's patch.
    data.qpos[6:8] = np.mean(arm.patch, axis=0)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, 128, 128)
    renderer.update_scene(data, camera)
    image = renderer.render()
    renderer.close()
    assert image.shape == (128, 128, 3)
    assert image.std() > 10
    red = (image[..., 0] > 100) & (image[..., 1] < 60)
    assert red.sum() > 20, "the cube is not in the picture"


def test_unknown_task_is_refused_with_the_tasks_there_are():
    with pytest.raises(UserError, match=r"'juggle'.*lift_cube"):
        scenes.load_scene("juggle")


def test_unknown_arm_is_refused_with_the_arms_there_are():
    with pytest.raises(UserError, match=r"'panda'.*koch, so101"):
        model("panda")


def test_home_is_above_the_patch_and_open(arm):
    position, rotation = ForwardKinematics(arm)(arm.home)
    assert arm.patch_low[0] < position[0] < arm.patch_high[0]
    assert arm.patch_low[1] < position[1] < arm.patch_high[1]
    assert position[2] > 0.07
    assert (rotation @ arm.hand.forward)[2] < -0.9, "the tool does not point down"
    assert arm.opening(arm.home) == pytest.approx(arm.widest)
    assert (arm.low < arm.home).all()
    assert (arm.home < arm.high).all()


def test_the_jaws_open_across_the_arms_plane_and_hold_a_thing_of_3_cm(arm):
    model = scenes.load_robot(arm)
    data = mujoco.MjData(model)
    data.qpos[:] = arm.home
    data.qpos[5] = arm.hand.gripped
    mujoco.mj_forward(model, data)
    fixed, moving = (data.geom_xpos[model.geom(f"{jaw}_pad").id] for jaw in ("fixed", "moving"))
    hand = data.body("hand").xmat.reshape(3, 3)
    inward = hand @ arm.hand.inward
    radial = np.array([np.sin(arm.home[0]), np.cos(arm.home[0]), 0.0])
    assert abs(inward @ radial) < 0.01
    thickness = 0.0
    for jaw in ("fixed", "moving"):
        pad = data.geom(f"{jaw}_pad").xmat.reshape(3, 3)
        assert np.abs(pad.T @ inward).max() == pytest.approx(1, abs=0.01), "a pad is askew"
        thickness += np.abs(pad.T @ inward) @ model.geom(f"{jaw}_pad").size
    assert (fixed - moving) @ inward - thickness == pytest.approx(0.03, abs=0.002)
    held = data.body("hand").xpos + hand @ arm.hand.held
    tool = data.site("tool").xpos
    assert 0.005 < (held - tool) @ inward < arm.hand.fingers


def test_an_opened_gripper_is_low_and_a_closed_one_high_in_a_normalised_state(arm):
    spec = arm.observation_spec("state")
    state = np.zeros(spec.state_dim, np.float32)
    for setpoint, expected in ((arm.gripper_opened, -1), (arm.gripper_closed, 1)):
        state[spec.slices["gripper_command"]] = setpoint
        normalised = spec.normalise(state)[spec.slices["gripper_command"]]
        assert normalised == pytest.approx([expected], abs=1e-6)


def test_specs_have_the_same_layout_for_every_arm(arm):
    spec = arm.observation_spec("state")
    assert spec.state_dim == 33
    assert arm.observation_spec("cameras").state_dim == 25
    assert action_spec().dim == 4
    assert action_spec("joint_delta").dim == 6
