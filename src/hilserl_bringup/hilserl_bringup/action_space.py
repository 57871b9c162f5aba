"""In which space the arm is driven: one argument of a graph, the same for every node."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hilserl_bringup.node_spec import NodeSpec

ACTION_SPACES = EE_DELTA, JOINT_DELTA = ("ee_delta", "joint_delta")

ACTING = (
    "console_node",
    "jog_node",
    "leader_node",
    "learner_node",
    "markers_node",
    "mux_node",
    "operator_node",
    "policy_node",
)
"""Programs that have the parameter ``action_space``."""

Nodes = Callable[[Any, Path], tuple[NodeSpec, ...]]


def in_action_space(nodes: Nodes) -> Nodes:
    """The nodes of a graph, those that act in the space that its arguments name.

    The default is the nodes' own, and left to them: a parameter file may say otherwise.
    """

    def with_space(arguments: Any, run: Path) -> tuple[NodeSpec, ...]:
        planned = nodes(arguments, run)
        if arguments.action_space == EE_DELTA:
            return planned
        space = {"action_space": arguments.action_space}
        return tuple(
            dataclasses.replace(node, parameters={**node.parameters, **space})
            if node.program in ACTING
            else node
            for node in planned
        )

    return with_space
