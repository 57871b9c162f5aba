"""The cameras of a real arm as nodes of a graph."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from hilserl_bringup.arm_hardware import REAL
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core import parameter_file
from hilserl_core.cameras import OF_ALL, node_name, settings
from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter

FRONT, WRIST = "front", "wrist"
TOPIC = "topic:"


class CameraArguments(Protocol):
    """What a graph's arguments hold of cameras."""

    @property
    def kind(self) -> str: ...

    @property
    def front_camera(self) -> str: ...

    @property
    def wrist_camera(self) -> str: ...

    @property
    def camera_config(self) -> str: ...


def camera_parameter(name: str) -> Any:
    """The argument that names a camera."""
    return parameter(
        "",
        f"the real arm's {name} camera: a device or a file as camera_node takes it, or "
        f"{TOPIC}NAME of the images of another package's node",
    )


def config_parameter() -> Any:
    """The argument that names the cameras' parameter file."""
    return parameter(
        "",
        "a ROS parameter file of the real arm's cameras, as select_roi writes it: sections "
        f"{OF_ALL} for all, {node_name(FRONT)} and {node_name(WRIST)} for one",
    )


def camera_nodes(arguments: CameraArguments, needed: Collection[str]) -> tuple[NodeSpec, ...]:
    """One node a camera: of its device, or a crop of what another package publishes.

    There are none where the scene is simulated: the simulator renders it.

    Args:
        needed: names of the cameras that the policy sees; others may be given to look at.

    Raises:
        UserError: a camera that is needed is not given, one is given where the scene is
            simulated, or the parameter file is wrong.
    """
    devices = {FRONT: arguments.front_camera, WRIST: arguments.wrist_camera}
    if arguments.kind != REAL:
        for name in ("front_camera", "wrist_camera", "camera_config"):
            if getattr(arguments, name):
                raise UserError(f"argument '{name}' is of the real arm: give sim:=false as well")
        return ()
    names = [name for name, device in devices.items() if device or name in needed]
    sections: parameter_file.Sections = {}
    if arguments.camera_config:
        path = Path(arguments.camera_config)
        sections = parameter_file.read(path)
        known = (parameter_file.ALL_NODES, OF_ALL, *map(node_name, devices))
        for section in sections:
            if section not in known:
                raise UserError(
                    f"parameter file {path}: there is no camera '{section}', choose from: "
                    f"{', '.join(known)}"
                )
    return tuple(_camera(name, devices[name], sections) for name in names)


def _camera(name: str, device: str, sections: parameter_file.Sections) -> NodeSpec:
    node = node_name(name)
    if not device:
        raise UserError(
            f"argument '{node}' is needed to see with the real arm: {node}:=/dev/video0, or "
            f"{node}:={TOPIC}/image_raw where another package drives it"
        )
    kept = settings(sections, node)
    own = {"name": name}
    if device.startswith(TOPIC):
        program, own["topic"] = "crop_node", device.removeprefix(TOPIC)
    else:
        program, own["device"] = "camera_node", device
    defaults = {key: value for key, value in kept.items() if key not in own}
    return NodeSpec("hilserl_camera", program, node, own, defaults)
