"""A task of one's own: the file that is written is right, and so is all that it offers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hilserl_bringup import cli, new_task
from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.declared import parameter_class
from hilserl_bringup.graph import make_plan
from hilserl_core import parameters
from hilserl_core.errors import UserError

GRAPHS_OF_A_TASK = {"koch_record": [], "koch_train": [], "koch_run": ["policy:=good"]}
SETTING = re.compile(r"^(    )#(\w+: )", re.MULTILINE)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy")
    monkeypatch.chdir(tmp_path)
    for part in ("checkpoints", "episodes"):
        Path("runs/good", part).mkdir(parents=True)


def test_one_file_serves_every_graph_and_words_go_before_it() -> None:
    path = new_task.write("fold_towel", "pick_place")
    assert path == Path("tasks/fold_towel.yaml")
    for name, words in GRAPHS_OF_A_TASK.items():
        plan = make_plan(GRAPHS[name], [f"config:={path}", *words])
        assert (plan.arguments.task, plan.arguments.observation) == ("pick_place", "cameras")
        (policy,) = (node for node in plan.nodes if node.name == "policy_node")
        assert policy.parameters["task"] == "pick_place"
        assert policy.parameters["demonstration_seconds"] == 20.0
        plan = make_plan(GRAPHS[name], [f"config:={path}", "task:=reach", *words])
        assert plan.arguments.task == "reach"


def test_every_setting_that_it_offers_can_be_set() -> None:
    path = new_task.write("fold_towel")
    text, count = SETTING.subn(r"\1\2", path.read_text())
    assert count > 50
    path.write_text(text)
    for name, words in GRAPHS_OF_A_TASK.items():
        plan = make_plan(GRAPHS[name], [f"config:={path}", *words])
        for node in plan.nodes:
            if node.watches:
                continue
            cls = parameter_class(node.package, node.program)
            assert cls is not None
            values = {k: v for k, v in node.parameters.items() if k != "use_sim_time"}
            parameters.build(cls, values)


def test_its_defaults_are_the_nodes() -> None:
    path = new_task.write("fold_towel")
    sections = yaml.safe_load(SETTING.sub(r"\1\2", path.read_text()))
    for package, program, _, _ in new_task._NODES:
        cls = parameter_class(package, program)
        assert cls is not None
        fields = cls.__dataclass_fields__
        for key, value in sections[program]["ros__parameters"].items():
            default = fields[key].default
            expected = (list(default) or [""]) if isinstance(default, tuple) else default
            assert value == expected, f"{program}: {key}"


@pytest.mark.parametrize(
    ("name", "base", "message"),
    [
        ("Fold Towel", "reach", "task name 'Fold Towel': use small letters"),
        ("../x", "reach", "use small letters"),
        ("fold_towel", "fly", "task 'fly' is unknown, choose from: reach"),
    ],
)
def test_a_wrong_name_is_refused(name: str, base: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        new_task.write(name, base)
    assert not Path("tasks").exists()


def test_a_file_that_is_there_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new-task", "fold_towel"]) == 0
    Path("tasks/fold_towel.yaml").write_text("mine")
    assert cli.main(["new-task", "fold_towel"]) == 1
    assert "exists: choose another name" in capsys.readouterr().err
    assert Path("tasks/fold_towel.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{tusk: reach}", "koch_train has no argument 'tusk' for section 'graph'"),
        ("{run: mine}", "no argument 'run'"),
        ("{task: fly}", "argument 'task': 'fly' is not one of"),
        ("{seed: many}", "argument 'seed': 'many' is not a int"),
    ],
)
def test_a_wrong_argument_in_the_file_is_named(section: str, message: str) -> None:
    Path("mine.yaml").write_text(f"graph:\n  ros__parameters: {section}\n")
    with pytest.raises(UserError, match=message):
        make_plan(GRAPHS["koch_train"], ["config:=mine.yaml"])
