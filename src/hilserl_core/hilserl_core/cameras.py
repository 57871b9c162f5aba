"""What cameras are called: their nodes, and their sections in a ROS parameter file."""

from __future__ import annotations

from typing import Any

from hilserl_core.parameter_file import ALL_NODES, Sections

OF_ALL = "camera_node"
"""The section that every camera takes; its own goes before it."""


def node_name(camera: str) -> str:
    """Name of a camera's node, and so of its own section."""
    return f"{camera}_camera"


def settings(sections: Sections, node: str) -> dict[str, Any]:
    """What a parameter file says of one camera's node: of all nodes, of all cameras, its own."""
    merged: dict[str, Any] = {}
    for section in (ALL_NODES, OF_ALL, node):
        merged.update(sections.get(section, {}))
    return merged
