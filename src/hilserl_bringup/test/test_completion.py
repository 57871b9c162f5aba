"""What the tab key offers, as words and in a real shell."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hilserl_bringup import completion
from hilserl_bringup.arm_graphs import GRAPHS, TASKS
from hilserl_core.errors import UserError


def offered(*words: str) -> list[str]:
    return completion.complete(words, GRAPHS)


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/first", "runs/second", "tasks"):
        Path(name).mkdir(parents=True)
    for name in ("runs/notes.txt", "tasks/fold.yaml", "tasks/read.me"):
        Path(name).touch()


def test_commands_come_first() -> None:
    assert offered("") == list(completion.COMMANDS)
    assert offered("do") == ["doctor"]
    assert offered("nonsense", "") == []


def test_a_graphs_arguments_come_each_once_and_then_their_values() -> None:
    assert offered("up", "koch_t") == ["koch_train"]
    arguments = offered("up", "koch_train", "")
    fields = dataclasses.fields(GRAPHS["koch_train"].arguments)
    assert set(arguments) == {f"{field.name}:=" for field in fields}
    assert "task:=" not in offered("up", "koch_train", "task:=reach", "")
    assert offered("up", "koch_train", "task:=") == [f"task:={task}" for task in TASKS]
    assert offered("up", "koch_train", "task:=p") == ["task:=push_cube", "task:=pick_place"]
    assert offered("up", "koch_train", "rviz:=t") == ["rviz:=true"]
    assert offered("up", "koch_train", "seed:=") == []
    assert offered("up", "koch_fly", "") == []


def test_runs_and_parameter_files_are_named() -> None:
    assert offered("up", "koch_run", "policy:=") == ["policy:=first", "policy:=second"]
    assert offered("up", "koch_train", "demonstrations:=s") == ["demonstrations:=second"]
    assert offered("up", "koch_train", "config:=ta") == ["config:=tasks/"]
    assert offered("up", "koch_train", "config:=tasks/") == ["config:=tasks/fold.yaml"]
    assert offered("up", "koch_train", "config:=nowhere/x") == []


def test_packages_and_their_programs_are_named(stage) -> None:
    assert "hilserl_replay" in completion.packages()
    assert "inspect" in completion.programs_of("hilserl_replay")
    assert {"inspect", "report"} <= set(offered("run", "hilserl_replay", ""))
    assert offered("run", "hilserl_ghost", "") == []


def test_other_commands_have_their_words() -> None:
    assert offered("new-task", "mine", "--from", "r") == ["reach"]
    assert offered("completion", "z") == ["zsh"]


def test_another_shell_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="'fish', choose from: bash, zsh"):
        completion.script("fish")


def in_bash(line: str) -> list[str]:
    """What bash would put in the place of the last word's last part."""
    hilserl = f'hilserl() {{ {shlex.quote(sys.executable)} -m hilserl_bringup.cli "$@"; }}'
    commands = f"""{hilserl}
{completion.script("bash")}
COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
_hilserl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    result = subprocess.run(["bash", "-c", commands], capture_output=True, text=True, check=False)
    assert not result.stderr
    return result.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("hilserl doc", ["doctor"]),
        ("hilserl up koch_r", ["koch_record", "koch_run"]),
        ("hilserl up koch_train tas", ["task:="]),
        # Bash has cut the word at := and replaces what follows.
        ("hilserl up koch_train task:=re", ["reach"]),
        ("hilserl up koch_train task:=", list(TASKS)),
        ("hilserl up koch_run policy:=f", ["first"]),
    ],
)
def test_bash_completes(line: str, replies: list[str]) -> None:
    assert in_bash(line) == replies


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_the_script() -> None:
    commands = (
        f"autoload -U compinit; compinit -D\n{completion.script('zsh')}\nprint $_comps[hilserl]"
    )
    result = subprocess.run(["zsh", "-fc", commands], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "_hilserl", result.stderr
