"""What the graphs set is what the nodes declare: ROS ignores a parameter nobody declared."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest

from hilserl_bringup.graph import make_plan
from hilserl_bringup.koch import ENCODERS, GRAPHS, TASKS
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core import parameters

BY_RCLPY = {"use_sim_time"}


ARMS = {
    "sim": [],
    "emulated": ["hardware:=emulated"],
    "real": ["hardware:=real", "port:=/dev/koch", "observation:=cameras"],
}


def plan_nodes(folder: Path, name: str, arm: str) -> tuple[NodeSpec, ...]:
    for part in ("checkpoints", "episodes"):
        (folder / "good" / part).mkdir(parents=True)
    words = [f"policy:={folder / 'good'}"] if name == "koch_run" else []
    return make_plan(GRAPHS[name], [*words, *ARMS[arm]]).nodes


def parameter_class(node: NodeSpec) -> type[Any]:
    """The dataclass that the node's module declares."""
    pytest.importorskip("rclpy")
    module = importlib.import_module(f"{node.package}.{node.program}")
    found = [
        value
        for name, value in vars(module).items()
        if name.endswith("Parameters") and dataclasses.is_dataclass(value)
    ]
    assert found, f"{module.__name__} has no parameter dataclass"
    most = max(found, key=lambda cls: len(dataclasses.fields(cls)))
    assert isinstance(most, type)
    return most


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("name", GRAPHS)
def test_every_parameter_is_declared_and_right(name: str, arm: str, tmp_path: Path) -> None:
    for node in plan_nodes(tmp_path, name, arm):
        values = {key: item for key, item in node.parameters.items() if key not in BY_RCLPY}
        parameters.build(parameter_class(node), values)


def test_the_tasks_are_the_scenes() -> None:
    scenes = pytest.importorskip("hilserl_description.scenes")
    assert scenes.TASKS == TASKS


def test_the_encoders_are_the_policys() -> None:
    encoders = pytest.importorskip("hilserl_policy.encoders")
    assert encoders.ENCODERS == ENCODERS
