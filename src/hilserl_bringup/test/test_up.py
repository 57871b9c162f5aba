"""``hilserl up`` and ``hilserl run`` as a user meets them, with stand-ins for the nodes."""

from __future__ import annotations

import dataclasses
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.graph import make_plan
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.runner import run_plan
from hilserl_bringup.status import Status
from hilserl_core.errors import UserError

CLI = ("-m", "hilserl_bringup.cli")


def up(stage: Any, *words: str) -> Any:
    return stage.run(*CLI, "up", *words)


@pytest.mark.parametrize(
    ("name", "words"),
    [("koch_record", []), ("koch_train", ["seed:=7"]), ("koch_run", ["policy:=good"])],
)
def test_a_run_starts_its_nodes_and_ends_with_the_report(
    name: str, words: list[str], stage: Any
) -> None:
    plan = make_plan(GRAPHS[name], [*words, "run:=mine"])
    result = up(stage, name, *words, "run:=mine")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "the figure"
    assert stage.starts(plan.graph.report[1]) == [["runs/mine"]]
    for node in plan.nodes:
        (start,) = stage.starts(node.program)
        file = start[start.index("--params-file") + 1]
        parameters = yaml.safe_load(Path(file).read_text())["/**"]["ros__parameters"]
        assert parameters == dict(node.parameters)
        assert f"__node:={node.name}" in start
    assert yaml.safe_load(Path("runs/mine/config.yaml").read_text())["graph"] == name


def test_output_has_the_nodes_name_and_is_kept(stage: Any) -> None:
    stage.add("hilserl_sim", "mujoco_node", "echo physics; exec sleep 60")
    result = up(stage, "koch_train", "run:=mine")
    assert "[mujoco_node] physics" in result.stdout.splitlines()
    assert "physics" in Path("runs/mine/log/mujoco_node.log").read_text()


def test_without_a_terminal_the_status_is_a_line(stage: Any) -> None:
    status = Status(task="lift_cube", phase=1, success_rate=0.5)
    stage.add("hilserl_bringup", "panel_node", f"echo '{status.to_json()}'; exec sleep 60")
    lines = up(stage, "koch_train").stdout.splitlines()
    assert any(line.startswith("[hilserl] training: episode") for line in lines)


def test_a_nodes_mistake_is_the_runs(stage: Any) -> None:
    stage.add("hilserl_teleop", "mux_node", "echo 'error: port /dev/x is busy' >&2; exit 1")
    result = up(stage, "koch_train", "run:=mine")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: mux_node: port /dev/x is busy (logs: runs/mine/log)"
    ]
    assert stage.starts("report") == []


def test_a_run_goes_on_without_a_console(stage: Any) -> None:
    stage.add("hilserl_teleop", "console_node", "echo 'error: no such address' >&2; exit 1")
    result = up(stage, "koch_train", "run:=mine")
    assert result.returncode == 0, result.stderr
    told = "[hilserl] console_node: no such address; the run goes on without it"
    assert told in result.stdout.splitlines()
    assert len(stage.starts("console_node")) == 1
    assert len(stage.starts("report")) == 1


def test_a_failed_report_is_a_failed_run(stage: Any) -> None:
    stage.add("hilserl_replay", "report", "exit 5")
    assert up(stage, "koch_train").returncode == 5


def test_a_missing_program_starts_nothing(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(stage.folder))
    plan = make_plan(GRAPHS["koch_train"], ["run:=mine"])
    ghost = NodeSpec("hilserl_teleop", "ghost_node", "ghost_node")
    with pytest.raises(UserError, match=r"hilserl_teleop has no program 'ghost_node'.*mux_node"):
        run_plan(dataclasses.replace(plan, nodes=(*plan.nodes, ghost)))
    assert not Path("runs/mine").exists()
    assert not any(stage.notes.iterdir())


def test_what_is_not_installed_is_left_out_with_a_line_and_what_is_opens(stage: Any) -> None:
    stage.add("robot_state_publisher", "robot_state_publisher", "exec sleep 60")
    result = up(stage, "koch_train", "rviz:=true", "run:=mine")
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stdout.splitlines() if "is left out" in line]
    assert said == [
        "[hilserl] rviz2 is left out: package rviz2 is not installed here (it comes with a full "
        "ROS 2)"
    ]
    (start,) = stage.starts("robot_state_publisher")
    file = Path(start[start.index("--params-file") + 1])
    parameters = yaml.safe_load(file.read_text())["/**"]["ros__parameters"]
    assert parameters["robot_description"].startswith("<?xml")
    assert parameters["use_sim_time"] is True
    assert stage.starts("markers_node")


def test_closing_rviz_leaves_the_run_as_it_is(stage: Any) -> None:
    stage.add("rviz2", "rviz2", "exit 3")
    result = up(stage, "koch_train", "rviz:=true", "run:=mine")
    assert result.returncode == 0, result.stderr
    assert "[hilserl] rviz2 ended with code 3; the run goes on without it" in result.stdout
    (start,) = stage.starts("rviz2")
    assert start[0] == "-d"
    assert Path(start[1]).name == "arm.rviz"


def test_a_run_is_resumed_looking_at_it_in_another_way(stage: Any) -> None:
    assert up(stage, "koch_train", "run:=mine", "tensorboard:=false").returncode == 0
    assert not stage.starts("curves_node")
    assert up(stage, "koch_train", "run:=mine", "rviz:=true").returncode == 0
    assert stage.starts("curves_node")


def test_an_interrupt_ends_all_and_says_how_to_go_on(stage: Any) -> None:
    stage.add("hilserl_policy", "policy_node", "exec sleep 60")
    with stage.start(*CLI, "up", "koch_train", "run:=mine", "seed:=2") as process:
        deadline = time.monotonic() + 20
        while not stage.starts("policy_node") and time.monotonic() < deadline:
            time.sleep(0.05)
        second = up(stage, "koch_train", "run:=other")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output.splitlines()[-1].endswith("hilserl up koch_train run:=runs/mine seed:=2")
    # While it ran, no second run could disturb it over the same topics.
    assert second.returncode == 1
    assert f"another run (process {process.pid}) is under way in ROS domain" in second.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "koch_fly"], "there is no graph 'koch_fly'"),
        (["up", "koch_train", "sede:=1"], "no argument 'sede'"),
        (["run", "hilserl_replay", "rewind"], "no program 'rewind', choose from: .*report"),
        (["run", "hilserl_ghost", "node"], "no programs of a package 'hilserl_ghost'"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, stage: Any) -> None:
    result = stage.run(*CLI, *words)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert re.search(message, line)


def test_run_hands_arguments_and_exit_code_through(stage: Any) -> None:
    stage.add("hilserl_replay", "inspect", 'echo "$@"; exit 9')
    result = stage.run(*CLI, "run", "hilserl_replay", "inspect", "runs/mine", "--all", "x y")
    assert result.returncode == 9
    assert result.stdout == "runs/mine --all x y\n"


def test_arguments_are_listed_with_defaults_and_choices(stage: Any) -> None:
    output = up(stage, "koch_train", "--show-args").stdout
    assert "task:=lift_cube" in output
    assert "reach, lift_cube, push_cube, pick_place, insert_peg" in output
