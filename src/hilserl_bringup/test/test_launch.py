"""The launch files start the graph's nodes: run under ROS 2's launch, with programs that note
how they were started in place of the nodes."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip(
    "launch_ros", reason="ROS 2's launch is not on PyPI: this test needs a full ROS 2"
)

from launch.actions import DeclareLaunchArgument

from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.graph import make_plan
from hilserl_bringup.runner import node_arguments

LAUNCH = Path(__file__).parents[1] / "launch"
START = (
    "import importlib.util, sys\n"
    "from launch import LaunchService\n"
    "spec = importlib.util.spec_from_file_location('launch_file', sys.argv[1])\n"
    "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
    "service = LaunchService(argv=sys.argv[2:])\n"
    "service.context.launch_configurations.update(w.split(':=') for w in sys.argv[2:])\n"
    "service.include_launch_description(module.generate_launch_description())\n"
    "sys.exit(service.run())\n"
)


def launch(stage: Any, graph: str, *words: str) -> Any:
    """Launches a graph; returns the completed process."""
    return stage.run("-c", START, str(LAUNCH / f"{graph}.launch.py"), *words)


def after(words: list[str], flag: str) -> list[str]:
    return [word for previous, word in itertools.pairwise(words) if previous == flag]


@pytest.mark.parametrize("name", GRAPHS)
def test_arguments_are_the_graphs(name: str) -> None:
    spec = importlib.util.spec_from_file_location("launch_file", LAUNCH / f"{name}.launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entities = module.generate_launch_description().entities
    declared = [entity.name for entity in entities if isinstance(entity, DeclareLaunchArgument)]
    assert declared == [field.name for field in dataclasses.fields(GRAPHS[name].arguments)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("koch_record", ["demos:=3"]),
        ("koch_train", ["seed:=7", "task:=reach", "train_minutes:=1.5", "intervene:=false"]),
        ("koch_run", ["policy:=good"]),
    ],
)
def test_the_same_nodes_start_with_the_same_parameters(
    name: str, words: list[str], stage: Any
) -> None:
    plan = make_plan(GRAPHS[name], [*words, "run:=mine"])
    result = launch(stage, name, *words, "run:=mine")
    assert result.returncode == 0, result.stderr
    expected = {node.program for node in plan.nodes}
    _, report = plan.graph.report
    assert {path.name for path in stage.notes.iterdir()} == {*expected, "panel_node", report}
    for node in plan.nodes:
        (start,) = stage.starts(node.program)
        assert after(start, "-r") == [f"__node:={node.name}"]
        (file,) = after(start, "--params-file")
        parameters = yaml.safe_load((stage.folder / file).read_text())["/**"]["ros__parameters"]
        assert parameters == dict(node.parameters)
    assert stage.starts(report) == [[str(plan.run)]]
    assert "the figure" in result.stdout


def test_namespaces_and_remappings_are_those_of_the_stand_alone_runner(stage: Any) -> None:
    words = ["hardware:=emulated", "operator:=keyboard", "leader_port:=/dev/leader", "run:=mine"]
    plan = make_plan(GRAPHS["koch_record"], words)
    for node in plan.nodes:
        if not node.ends_run:
            stage.add(node.package, node.program, "exec sleep 60")
    assert launch(stage, "koch_record", *words).returncode == 0
    drivers = [node for node in plan.nodes if node.program == "driver_node"]
    assert {node.namespace for node in drivers} == {"", "leader"}
    assert any(node.remappings for node in drivers)
    for node in plan.nodes:
        expected = after(node_arguments(node, Path("unused")), "-r")
        assert expected in [after(start, "-r") for start in stage.starts(node.program)]


def test_a_node_that_only_looks_on_may_crash_and_the_run_goes_on(stage: Any) -> None:
    stage.add("hilserl_teleop", "console_node", "kill -9 $$")
    assert launch(stage, "koch_train", "run:=mine").returncode == 0
    assert len(stage.starts("console_node")) >= 2  # it was started again meanwhile
    assert stage.starts("report") == [["runs/mine"]]


def test_rviz_starts_where_it_is_installed(stage: Any) -> None:
    stage.add("rviz2", "rviz2", "exit 0")  # somebody closes it at once
    result = launch(stage, "koch_train", "rviz:=true", "run:=mine")
    assert result.returncode == 0, result.stderr
    output = result.stdout + result.stderr
    assert "robot_state_publisher is left out: package robot_state_publisher is not" in output
    assert "rviz2 is left out" not in output
    (start,) = stage.starts("rviz2")
    assert Path(after(start, "-d")[0]).name == "arm.rviz"
    assert stage.starts("report") == [["runs/mine"]]


def test_a_parameter_files_arguments_yield_to_words_and_to_nothing_else(stage: Any) -> None:
    arguments = "{task: reach, seed: 9, observation: cameras}"
    Path("mine.yaml").write_text(f"graph:\n  ros__parameters: {arguments}\n")
    # The word says the default, and was said: it counts.
    words = ["config:=mine.yaml", "run:=mine", "task:=lift_cube"]
    assert launch(stage, "koch_train", *words).returncode == 0
    found = yaml.safe_load(Path("runs/mine/config.yaml").read_text())["arguments"]
    assert (found["task"], found["seed"], found["observation"]) == ("lift_cube", 9, "cameras")


def test_crashed_nodes_come_back(stage: Any) -> None:
    once = 'if [ $(wc -l < "$NOTES/$name") = 1 ]; then kill -9 $$; fi; '
    stage.add("hilserl_policy", "policy_node", once + "sleep 2; exit 0")
    stage.add("hilserl_learner", "learner_node", once + "exec sleep 60")
    assert launch(stage, "koch_train").returncode == 0
    assert len(stage.starts("policy_node")) == 2
    assert len(stage.starts("learner_node")) == 2
    assert len(stage.starts("report")) == 1


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sede:=3", "no argument 'sede'"),
        ("seed:=x", "argument 'seed': 'x' is not a int"),
        ("task:=fold_laundry", "fold_laundry"),
    ],
)
def test_a_wrong_argument_starts_nothing(word: str, message: str, stage: Any) -> None:
    result = launch(stage, "koch_train", word)
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert not any(stage.notes.iterdir())
