"""Task scenes: the arm on its table, with what the task needs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import mujoco

from hilserl_core.errors import UserError

TASKS = ("reach", "lift_cube", "push_cube", "pick_place", "insert_peg")
CAMERAS = ("front", "wrist")


def model_path(name: str) -> Path:
    """Path of a model of this package, such as ``mjcf/koch.xml`` or ``urdf/koch.urdf``."""
    return Path(str(files("hilserl_description"))) / name


def load_robot() -> mujoco.MjModel:
    """The arm alone, without table or object: the model of its kinematics."""
    return mujoco.MjModel.from_xml_path(str(model_path("mjcf/koch.xml")))


def load_scene(task: str) -> mujoco.MjModel:
    """The scene of a task.

    Raises:
        UserError: there is no such task.
    """
    if task not in TASKS:
        raise UserError(f"task '{task}' is unknown, choose from: {', '.join(TASKS)}")
    return mujoco.MjModel.from_xml_path(str(model_path(f"mjcf/{task}.xml")))
