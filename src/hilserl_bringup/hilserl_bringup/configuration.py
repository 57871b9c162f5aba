"""ROS parameter files: merged with what the arguments set, written for one node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.programs import node_programs
from hilserl_core.errors import UserError
from hilserl_core.parameter_file import ALL_NODES, PARAMETERS, Sections
from hilserl_core.run import write_aside

ARGUMENTS = "graph"
"""The section that holds arguments of the graph; those of the command line go before them."""


def share(folder: str) -> Path:
    """A folder of this package's data: in its sources, or where it is installed."""
    beside = Path(__file__).resolve().parents[1] / folder
    if beside.exists():
        return beside
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("hilserl_bringup"), folder)


def packaged(graph: str) -> Path:
    """The parameter file that comes with a graph."""
    return share("config") / f"{graph}.yaml"


def resolve(nodes: Sequence[NodeSpec], sections: Sections, path: Path) -> tuple[NodeSpec, ...]:
    """Completes every node's parameters from a parameter file's sections.

    A section for a node that only other graphs start is left alone: one file may serve them all.

    Raises:
        UserError: a section names no node, sets a parameter that an argument sets, or holds
            an empty list.
    """
    names = [node.name for node in nodes]
    for section in sections:
        if section not in (ALL_NODES, ARGUMENTS, *names) and section not in node_programs():
            raise UserError(
                f"parameter file {path}: there is no node '{section}', "
                f"choose from: {', '.join([ALL_NODES, *names])}"
            )
    result = []
    for node in nodes:
        own = {**sections.get(ALL_NODES, {}), **sections.get(node.name, {})}
        for key in own.keys() & node.parameters.keys():
            raise UserError(
                f"parameter file {path}: '{key}' of {node.name} is set by the graph's "
                "arguments: give it there and leave it out of the file"
            )
        for key, value in own.items():
            if isinstance(value, list) and not value:
                raise UserError(
                    f"parameter file {path}: '{key}' of {node.name} is an empty list, which "
                    "has no type in ROS: write [''] for no text, or leave it out"
                )
        merged = {**node.defaults, **own, **node.parameters}
        result.append(dataclasses.replace(node, parameters=merged))
    return tuple(result)


def write(path: Path, parameters: Mapping[str, Any]) -> Path:
    """Writes one node's parameters as a ROS parameter file; returns its path."""
    plain = {
        key: list(value) if isinstance(value, tuple) else value for key, value in parameters.items()
    }
    content = {ALL_NODES: {PARAMETERS: plain}}
    try:
        write_aside(path, yaml.safe_dump(content, sort_keys=True).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path
