"""The launch files start the graph's nodes: run under ROS 2's launch, with programs that note
how they were started in place of the nodes."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip(
    "launch_ros", reason="ROS 2's launch is not on PyPI: this test needs a full ROS 2"
)

from hilserl_bringup.graph import make_plan
from hilserl_bringup.koch import GRAPHS
from launch.actions import DeclareLaunchArgument

LAUNCH = Path(__file__).parents[1] / "launch"
NOTE = """#!/bin/sh
name=$(basename "$0")
echo "$@" >> "$NOTES/$name"
"""
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


class Stage:
    """A prefix with a program for each node, which notes its arguments and then does as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.mkdir(parents=True)

    def add(self, package: str, program: str, then: str) -> None:
        marker = self.folder / "share/ament_index/resource_index/packages" / package
        path = self.folder / "lib" / package / program
        for file, text in ((marker, ""), (path, NOTE + then + "\n")):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def launch(self, graph: str, *words: str) -> subprocess.CompletedProcess[str]:
        prefixes = [str(self.folder), os.environ.get("AMENT_PREFIX_PATH", "")]
        environment = {
            **os.environ,
            "AMENT_PREFIX_PATH": os.pathsep.join(prefixes),
            "NOTES": str(self.notes),
            "ROS_LOG_DIR": str(self.folder / "log"),
        }
        command = [sys.executable, "-c", START, str(LAUNCH / f"{graph}.launch.py"), *words]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def starts(self, program: str) -> list[list[str]]:
        note = self.notes / program
        return [line.split() for line in note.read_text().splitlines()] if note.exists() else []


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(tmp_path)
    for part in ("checkpoints", "episodes"):
        Path("runs/good", part).mkdir(parents=True)
    stage = Stage(tmp_path)
    graph = make_plan(GRAPHS["koch_train"], [])
    for node in graph.nodes:
        then = "sleep 2; exit 0" if node.ends_run else "exec sleep 60"
        stage.add(node.package, node.program, then)
    stage.add("hilserl_bringup", "panel_node", "exec sleep 60")
    stage.add("hilserl_replay", "report", "echo the figure")
    stage.add("hilserl_replay", "inspect", "echo the figure")
    return stage


def after(words: list[str], flag: str) -> list[str]:
    return [word for previous, word in zip(words, words[1:], strict=False) if previous == flag]


@pytest.mark.parametrize("name", GRAPHS)
def test_arguments_are_the_graphs(name: str) -> None:
    spec = importlib.util.spec_from_file_location("launch_file", LAUNCH / f"{name}.launch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entities = module.generate_launch_description().entities
    declared = [entity.name for entity in entities if isinstance(entity, DeclareLaunchArgument)]
    assert declared == list(GRAPHS[name].arguments.__dataclass_fields__)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("koch_record", ["demos:=3"]),
        ("koch_train", ["seed:=7", "task:=reach", "train_minutes:=1.5", "intervene:=false"]),
        ("koch_run", ["policy:=good"]),
    ],
)
def test_the_same_nodes_start_with_the_same_parameters(
    name: str, words: list[str], stage: Stage
) -> None:
    plan = make_plan(GRAPHS[name], [*words, "run:=mine"])
    result = stage.launch(name, *words, "run:=mine")
    assert result.returncode == 0, result.stderr
    expected = {node.program for node in plan.nodes}
    package, report = plan.graph.report
    assert {path.name for path in stage.notes.iterdir()} == {*expected, "panel_node", report}
    for node in plan.nodes:
        (start,) = stage.starts(node.program)
        assert after(start, "-r") == [f"__node:={node.name}"]
        (file,) = after(start, "--params-file")
        parameters = yaml.safe_load((stage.folder / file).read_text())["/**"]["ros__parameters"]
        assert parameters == dict(node.parameters)
    assert stage.starts(report) == [[str(plan.run)]]
    assert "the figure" in result.stdout


def test_crashed_nodes_come_back(stage: Stage) -> None:
    once = 'if [ $(wc -l < "$NOTES/$name") = 1 ]; then kill -9 $$; fi; '
    stage.add("hilserl_policy", "policy_node", once + "sleep 2; exit 0")
    stage.add("hilserl_learner", "learner_node", once + "exec sleep 60")
    assert stage.launch("koch_train").returncode == 0
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
def test_a_wrong_argument_starts_nothing(word: str, message: str, stage: Stage) -> None:
    result = stage.launch("koch_train", word)
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert not any(stage.notes.iterdir())
