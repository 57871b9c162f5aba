"""``hilserl new-task NAME``: a commented parameter file to start a task of one's own from."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import yaml

from hilserl_bringup.arm_graphs import GRAPHS, TASKS, Common
from hilserl_bringup.configuration import ARGUMENTS, PARAMETERS
from hilserl_bringup.declared import parameter_class
from hilserl_bringup.graph import make_plan
from hilserl_core.errors import UserError
from hilserl_core.parameters import describe
from hilserl_core.run import write_aside

FOLDER = Path("tasks")
_WIDTH = 98
_NOT_OF_A_TASK = ("run", "config", "panel", "rviz", "tensorboard", "wandb", "seed")

# Nodes whose settings are a task's, with what a task usually sets, and why.
_NODES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "hilserl_policy",
        "policy_node",
        "How long an episode is.",
        {
            "episode_seconds": "The policy's time for one attempt.",
            "demonstration_seconds": "A person is slower than what is learned.",
        },
    ),
    (
        "hilserl_teleop",
        "mux_node",
        "Who may take over, and how long an arm holds before they drive.",
        {"countdowns": "One for all devices, or one each."},
    ),
    (
        "hilserl_learner",
        "learner_node",
        "How it learns. The defaults are those of the demo; preset:= sets published ones.",
        {"discount": "Longer episodes want more: 0.97 looks about 3 s ahead at 10 Hz, 0.99 10 s."},
    ),
    ("hilserl_replay", "recorder_node", "What is kept of a run beside its steps.", {}),
    ("hilserl_sim", "mujoco_node", "The simulated arm alone: a real one leaves it out.", {}),
    ("hilserl_sim", "operator_node", "The scripted person, who is there in simulation alone.", {}),
)


def write(name: str, base: str = "lift_cube", folder: Path = FOLDER) -> Path:
    """Writes the file of a new task; returns its path.

    Args:
        name: of the task.
        base: the task whose scene is simulated.

    Raises:
        UserError: the name is no file's, the base is unknown, or the file is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"task name '{name}': use small letters, digits and _, as in 'fold_towel'")
    if base not in TASKS:
        raise UserError(f"task '{base}' is unknown, choose from: {', '.join(TASKS)}")
    path = folder / f"{name}.yaml"
    if path.exists():
        raise UserError(f"{path} exists: choose another name, or edit it")
    try:
        write_aside(path, template(name, base, path).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path


def template(name: str, base: str, path: Path) -> str:
    """The file's text: what a task usually sets, and in comments all that can be set."""
    header = f"""\
# The task {name}. One file for recording, training and the trained policy at work:
#
#   hilserl up koch_record config:={path} demos:=20 run:={name}-demos
#   hilserl up koch_train  config:={path} demonstrations:={name}-demos run:={name}
#   hilserl up koch_run    config:={path} policy:={name}
#
# (so101_ in place of koch_ for an SO-101; ros2 launch hilserl_bringup koch_train.launch.py takes
# the same words.) Settings behind a # are at their defaults: take the # away to change one. A wrong
# name or value is refused with the right ones. What a robot measures and how it acts is in
# hilserl_description: fields of the state in arm_model.py, limits of the joints and of the
# workspace in koch.py and so101.py.

# Arguments of the graph. Words on the command line go before them.
{ARGUMENTS}:
  {PARAMETERS}:
"""
    chosen = {"task": base, "observation": "cameras"}
    why = {
        "task": "The scene that is simulated, and what the scripted person does in it.",
        "observation": "state: the object's pose as well, which a simulator knows.",
    }
    set_by_graphs = _set_by_graphs()
    parts = [header + _parameters(Common, chosen, why, without=_NOT_OF_A_TASK)]
    for package, program, text, usual in _NODES:
        cls = parameter_class(package, program)
        assert cls is not None, f"{program} declares no parameters"
        defaults: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(cls)}
        often = {key: defaults[key] for key in usual}
        comment = "\n".join(textwrap.wrap(text, _WIDTH, initial_indent="# "))
        body = _parameters(cls, often, usual, without=set_by_graphs.get(program, set()))
        parts.append(f"{comment}\n{program}:\n  {PARAMETERS}:\n{body}")
    return "\n".join(parts)


def _set_by_graphs() -> dict[str, set[str]]:
    """By node, the parameters that the graphs' arguments set, and a file therefore may not."""
    # What other arguments than the default ones set.
    result = {"policy_node": {"policy", "episodes"}, "mux_node": {"lockstep_devices"}}
    for graph in ("koch_record", "koch_train"):
        for node in make_plan(GRAPHS[graph], []).nodes:
            result.setdefault(node.name, set()).update(node.parameters)
    return result


def _parameters(
    cls: type[Any], chosen: Mapping[str, Any], why: Mapping[str, str], without: Container[str]
) -> str:
    """Lines of one section: those chosen first, then the others as comments."""
    lines = []
    described = {name: text for name, _, text in describe(cls)}
    for name, value in chosen.items():
        lines += _comment(f"{described[name]}. {why[name]}")
        lines.append(f"    {name}: {_yaml(value)}")
    for field in dataclasses.fields(cls):
        if field.name not in chosen and field.name not in without:
            lines += _comment(described[field.name])
            lines.append(f"    #{field.name}: {_yaml(field.default)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="    # ", subsequent_indent="    # ")


def _yaml(value: Any) -> str:
    """A value as a parameter file has it; no empty list, which has no type in ROS."""
    if isinstance(value, tuple):
        value = list(value) or [""]
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
