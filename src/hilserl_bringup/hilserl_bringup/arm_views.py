"""Nodes of an arm's graphs that only look on: the console, curves, markers, rviz."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from hilserl_bringup import configuration
from hilserl_bringup.arm_console import console_nodes
from hilserl_bringup.arm_hardware import in_lockstep
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.training import curve_nodes

Nodes = Callable[[Any, Path], tuple[NodeSpec, ...]]


def with_views(nodes: Nodes) -> Nodes:
    """A graph's nodes, and those that look on."""

    @functools.wraps(nodes)
    def all_nodes(arguments: Any, run: Path) -> tuple[NodeSpec, ...]:
        planned = nodes(arguments, run)
        there = {node.name for node in planned}  # such as ros2_control's robot_state_publisher
        views = (
            *console_nodes(arguments, run),
            *curve_nodes(arguments, run),
            *_rviz(arguments),
        )
        return (*planned, *(node for node in views if node.name not in there))

    return all_nodes


def _rviz(arguments: Any) -> tuple[NodeSpec, ...]:
    """The arm's description and transforms, markers, and rviz; the ROS ones where they exist."""
    if not arguments.rviz:
        return ()
    time = {"use_sim_time": in_lockstep(arguments)}
    # Not by hilserl_description's own function: its module loads MuJoCo.
    urdf = files("hilserl_description").joinpath(f"urdf/{arguments.arm}.urdf").read_text()
    picture = configuration.share("rviz") / "arm.rviz"
    return (
        NodeSpec(
            "hilserl_teleop", "markers_node", "markers_node", {"arm": arguments.arm}, watches=True
        ),
        NodeSpec(
            "robot_state_publisher",
            "robot_state_publisher",
            "robot_state_publisher",
            {**time, "robot_description": urdf},
            watches=True,
            optional=True,
        ),
        NodeSpec(
            "rviz2",
            "rviz2",
            "rviz2",
            time,
            respawn=False,  # whoever closes the window wants it closed
            arguments=("-d", str(picture)),
            watches=True,
            optional=True,
        ),
    )
