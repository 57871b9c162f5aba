"""Task scenes: an arm on its table, with what the task needs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import mujoco

from hilserl_core.errors import UserError
from hilserl_description.arm_model import ArmModel
from hilserl_description.koch import KOCH

TASKS = ("reach", "lift_cube", "push_cube", "pick_place", "insert_peg")
CAMERAS = ("front", "wrist")
SCENES = ("plain", "hard")
"""plain: one colour, one light, fixed cameras; hard: all of that varies by episode."""

FLOORS = 8
"""Textured materials of the hard scene's table, ``floor0`` and so on."""
CLUTTER = 10
"""Things that lie about in the hard scene, ``clutter0`` and so on; nothing touches them."""
_CLUTTER_SHAPES = (
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
)
_TEXTURE_SIZE = 256  # pixels


def model_path(name: str) -> Path:
    """Path of a model of this package, such as ``mjcf/koch.xml`` or ``urdf/koch.urdf``."""
    return Path(str(files("hilserl_description"))) / name


def load_robot(arm: ArmModel = KOCH) -> mujoco.MjModel:
    """The arm alone, without table or object: the model of its kinematics."""
    return mujoco.MjModel.from_xml_path(str(model_path(f"mjcf/{arm.name}.xml")))


def load_scene(task: str, scene: str = "plain", arm: ArmModel = KOCH) -> mujoco.MjModel:
    """The scene of a task.

    Args:
        task: one of ``TASKS``.
        scene: one of ``SCENES``; "hard" has textures and clutter for the simulator to vary.
        arm: that stands in it.

    Raises:
        UserError: there is no such task or scene.
    """
    if task not in TASKS:
        raise UserError(f"task '{task}' is unknown, choose from: {', '.join(TASKS)}")
    if scene not in SCENES:
        raise UserError(f"scene '{scene}' is unknown, choose from: {', '.join(SCENES)}")
    parts = "".join(f'<include file="{name}.xml"/>' for name in (arm.name, task))
    xml = f'<mujoco model="{task}">{parts}</mujoco>'
    included = {path.name: path.read_bytes() for path in model_path("mjcf").glob("*.xml")}
    spec = mujoco.MjSpec.from_string(xml, include=included)
    if scene == "plain":
        return spec.compile()
    _add_floors(spec)
    _add_clutter(spec)
    return spec.compile()


def _add_floors(spec: mujoco.MjSpec) -> None:
    """Materials for the table; their textures are grey until the simulator paints them."""
    for i in range(FLOORS):
        spec.add_texture(
            name=f"floor{i}",
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
            rgb1=(0.5, 0.5, 0.5),
            width=_TEXTURE_SIZE,
            height=_TEXTURE_SIZE,
            nchannel=3,
        )
        material = spec.add_material(name=f"floor{i}", texuniform=True, specular=0.0)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"floor{i}"
        material.texrepeat = (2.0 + i, 2.0 + i)
    spec.geom("table").material = "floor0"


def _add_clutter(spec: mujoco.MjSpec) -> None:
    """Shapes that collide with nothing, below the table until the simulator places them."""
    for i in range(CLUTTER):
        spec.worldbody.add_geom(
            name=f"clutter{i}",
            type=_CLUTTER_SHAPES[i % len(_CLUTTER_SHAPES)],
            size=(0.015, 0.015, 0.015),
            pos=(0.0, 0.0, -1.0),
            contype=0,
            conaffinity=0,
        )
