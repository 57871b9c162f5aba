"""The cameras of a real arm, as a graph's arguments and a parameter file name them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hilserl_bringup.arm_cameras import camera_nodes
from hilserl_bringup.arm_graphs import CAMERAS, GRAPHS, Record
from hilserl_bringup.graph import make_plan
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core import parameters
from hilserl_core.cameras import node_name
from hilserl_core.errors import UserError
from hilserl_core.parameter_file import set_numbers

REAL = Record(sim=False, front_camera="/dev/video0", wrist_camera="/dev/video2")


def nodes(arguments: Record = REAL, **changes: Any) -> dict[str, NodeSpec]:
    given = dataclasses.replace(arguments, **changes)
    return {node.name: node for node in camera_nodes(given, CAMERAS)}


def written(folder: Path, text: str) -> str:
    path = folder / "cameras.yaml"
    path.write_text(text)
    return str(path)


def test_each_camera_has_a_node_of_its_own() -> None:
    found = nodes()
    assert list(found) == ["front_camera", "wrist_camera"]
    assert found["front_camera"].parameters == {"name": "front", "device": "/dev/video0"}
    assert found["wrist_camera"].parameters == {"name": "wrist", "device": "/dev/video2"}
    assert {node.program for node in found.values()} == {"camera_node"}


def test_a_camera_of_another_package_is_cropped() -> None:
    node = nodes(wrist_camera="topic:/usb_cam/image_raw")["wrist_camera"]
    assert node.program == "crop_node"
    assert node.parameters == {"name": "wrist", "topic": "/usb_cam/image_raw"}


def test_its_own_section_goes_before_that_of_all(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "camera_node:\n  ros__parameters: {fps: 15.0, exposure: 100, device: /dev/other}\n"
        "wrist_camera:\n  ros__parameters: {fps: 60.0, region: [1, 2, 30, 30]}\n",
    )
    found = nodes(camera_config=file)
    assert found["front_camera"].defaults == {"fps": 15.0, "exposure": 100}
    assert found["wrist_camera"].defaults == {
        "fps": 60.0,
        "exposure": 100,
        "region": [1, 2, 30, 30],
    }


def test_what_the_nodes_are_given_is_what_they_declare(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from hilserl_camera.camera_node import CameraParameters
    from hilserl_camera.crop_node import CropParameters

    file = written(tmp_path, "camera_node:\n  ros__parameters: {region: [1, 2, 30, 30]}\n")
    found = nodes(wrist_camera="topic:image", camera_config=file)
    for name, kind in (("front_camera", CameraParameters), ("wrist_camera", CropParameters)):
        values = {**found[name].defaults, **found[name].parameters}
        assert parameters.build(kind, values).region == (1, 2, 30, 30)


def test_a_camera_that_the_policy_needs_is_asked_for() -> None:
    with pytest.raises(UserError, match=r"'wrist_camera' is needed .* wrist_camera:=/dev/video0"):
        nodes(wrist_camera="")


def test_a_policy_that_sees_the_state_needs_none() -> None:
    blind = dataclasses.replace(REAL, wrist_camera="")
    assert [node.name for node in camera_nodes(blind, ())] == ["front_camera"]


def test_a_section_of_no_camera_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "frontcamera:\n  ros__parameters: {fps: 15.0}\n")
    with pytest.raises(UserError, match=r"no camera 'frontcamera', choose from: .*front_camera"):
        nodes(camera_config=file)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"no\.yaml: No such file"):
        nodes(camera_config="no.yaml")


def test_the_console_keeps_regions_where_the_cameras_take_them_from(tmp_path: Path) -> None:
    file = written(tmp_path, "front_camera:\n  ros__parameters: {fps: 15.0}\n")
    words = ["sim:=false", "port:=/dev/arm", "observation:=cameras", "reward:=operator"]
    words += ["front_camera:=synthetic", "wrist_camera:=synthetic", f"camera_config:={file}"]
    planned = {node.name: node for node in make_plan(GRAPHS["koch_record"], words).nodes}
    assert planned["console_node"].parameters["region_file"] == file
    for camera in CAMERAS:
        set_numbers(Path(file), node_name(camera), "region", (1, 2, 30, 30))
    planned = {node.name: node for node in make_plan(GRAPHS["koch_record"], words).nodes}
    cameras = [node for node in planned.values() if node.package == "hilserl_camera"]
    assert [node.parameters["region"] for node in cameras] == [[1, 2, 30, 30]] * 2


@pytest.mark.parametrize("name", GRAPHS)
def test_a_simulated_arm_has_its_own_cameras(name: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    words = [f"policy:={tmp_path}"] if name.endswith("_run") else []
    plan = make_plan(GRAPHS[name], words)
    assert not any(node.package == "hilserl_camera" for node in plan.nodes)
    with pytest.raises(UserError, match="'front_camera' is of the real arm: give sim:=false"):
        make_plan(GRAPHS[name], [*words, "front_camera:=/dev/video0"])
