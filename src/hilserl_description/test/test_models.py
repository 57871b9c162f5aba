"""The models agree with one another and with the published figures."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description import koch, scenes
from hilserl_description.kinematics import ForwardKinematics


def urdf_tool_position(position: np.ndarray) -> np.ndarray:
    """The tool's position by plain products of the URDF's transforms."""
    joints = ElementTree.parse(scenes.model_path("urdf/koch.urdf")).getroot().findall("joint")
    by_child = {joint.find("child").get("link"): joint for joint in joints}
    angle = dict(zip(koch.JOINT_NAMES, position, strict=True))
    link, point = "tool", np.zeros(3)
    while link in by_child:
        joint = by_child[link]
        if joint.get("type") == "revolute":
            axis = np.array(joint.find("axis").get("xyz").split(), float)
            point = rotation(axis, angle[joint.get("name")]) @ point
        origin = joint.find("origin")
        yaw = float(origin.get("rpy", "0 0 0").split()[2])
        point = rotation(np.array([0, 0, 1.0]), yaw) @ point
        point += np.array(origin.get("xyz").split(), float)
        link = joint.find("parent").get("link")
    return point


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    matrix = np.zeros(9)
    quaternion = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quaternion, axis, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def test_published_tool_site_lies_where_the_robots_makers_say():
    position = ForwardKinematics("published_tool").position(np.zeros(6))
    assert position == pytest.approx((0.002, 0.2125, 0.1684), abs=1e-4)


def test_mjcf_and_urdf_agree_over_random_poses():
    forward = ForwardKinematics()
    rng = np.random.default_rng(0)
    for position in rng.uniform(koch.LOW, koch.HIGH, (200, 6)):
        assert forward.position(position) == pytest.approx(urdf_tool_position(position), abs=1e-9)


def test_mujoco_reads_the_urdf_with_the_same_joints_and_masses():
    urdf = mujoco.MjModel.from_xml_path(str(scenes.model_path("urdf/koch.urdf")))
    assert urdf.njnt == len(koch.JOINTS)
    for joint in koch.JOINTS:
        assert tuple(urdf.joint(joint.name).range) == pytest.approx((joint.low, joint.high))
        assert tuple(urdf.joint(joint.name).axis) == joint.axis


@pytest.mark.parametrize("task", scenes.TASKS)
def test_scene_has_the_arm_of_the_joint_table(task):
    model = scenes.load_scene(task)
    for index, joint in enumerate(koch.JOINTS):
        assert model.joint(joint.name).qposadr[0] == index
        assert tuple(model.joint(joint.name).range) == (joint.low, joint.high)
        assert tuple(model.actuator(joint.name).forcerange) == (
            -joint.torque_limit,
            joint.torque_limit,
        )
        body = model.jnt_bodyid[index]
        assert tuple(model.body_pos[body]) == joint.offset
        assert model.body_mass[body] == joint.mass
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
def test_cameras_see_something(camera):
    model = scenes.load_scene("lift_cube")
    data = mujoco.MjData(model)
    data.qpos[:6] = koch.HOME
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


def test_home_is_above_the_patch_and_open():
    position, rotation = ForwardKinematics()(koch.HOME)
    assert koch.PATCH_LOW[0] < position[0] < koch.PATCH_HIGH[0]
    assert koch.PATCH_LOW[1] < position[1] < koch.PATCH_HIGH[1]
    assert position[2] > 0.07
    assert (rotation @ [-1, 0, 0])[2] < -0.9, "the tool does not point down"


def test_specs_span_the_values_of_home():
    spec = koch.observation_spec("state")
    assert spec.state_dim == 33
    assert koch.observation_spec("cameras").state_dim == 25
    assert koch.action_spec().dim == 4
    assert koch.action_spec("joint_delta").dim == 6
