"""What the graphs set is what the nodes declare: ROS ignores a parameter nobody declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilserl_bringup import arm_graphs
from hilserl_bringup.arm_graphs import GRAPHS, TASKS
from hilserl_bringup.arm_reward import JUDGES
from hilserl_bringup.declared import parameter_class
from hilserl_bringup.graph import make_plan
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.training import ENCODERS
from hilserl_core import parameters

BY_RCLPY = {"use_sim_time"}


ARMS: dict[str, list[str]] = {
    "sim": [],
    "emulated": ["hardware:=emulated"],
    "real": [
        *("hardware:=real", "port:=/dev/koch", "reward:=operator"),
        *("front_camera:=/dev/video0", "wrist_camera:=topic:/usb_cam/image_raw"),
        *("leader_port:=/dev/leader", "jog:=spacemouse"),
    ],
}
JUDGED = {f"judged by {judge}": [f"reward:={judge}"] for judge in JUDGES}
KINDS = {**ARMS, **JUDGED}
"""Every arm, and every judge of a simulated one."""


def plan_nodes(folder: Path, name: str, kind: str, *more: str) -> tuple[NodeSpec, ...]:
    for part in ("checkpoints", "episodes"):
        (folder / "good" / part).mkdir(parents=True)
    file = folder / "c.safetensors"
    file.touch()
    words = [*KINDS[kind], f"classifier:={file}", "observation:=cameras", *more]
    words += [f"policy:={folder / 'good'}"] if name.endswith("_run") else []
    return make_plan(GRAPHS[name], words).nodes


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_declared_and_right(name: str, kind: str, tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    for node in plan_nodes(tmp_path, name, kind):
        values = {key: item for key, item in node.parameters.items() if key not in BY_RCLPY}
        cls = parameter_class(node.package, node.program)
        assert cls is not None
        parameters.build(cls, values)


def test_the_tasks_are_the_scenes() -> None:
    scenes = pytest.importorskip("hilserl_description.scenes")
    assert scenes.TASKS == TASKS


def test_the_arms_are_those_of_the_description() -> None:
    models = pytest.importorskip("hilserl_description.models")
    assert tuple(models.MODELS) == arm_graphs.ARMS
    assert {graph.arguments.arm for graph in GRAPHS.values()} == set(models.MODELS)


def test_the_encoders_are_the_policys() -> None:
    encoders = pytest.importorskip("hilserl_policy.encoders")
    assert encoders.ENCODERS == ENCODERS


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("kind", ["sim", "real"])
def test_every_node_that_acts_is_told_the_action_space(
    name: str, kind: str, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy")
    nodes = plan_nodes(tmp_path, name, kind, "action_space:=joint_delta", "rviz:=true")
    told = {node.program for node in nodes if "action_space" in node.parameters}
    assert told == {
        node.program
        for node in nodes
        if (cls := parameter_class(node.package, node.program)) is not None
        and "action_space" in parameters.types(cls)
    }
    assert {"mux_node", "policy_node", "console_node", "markers_node"} <= told
