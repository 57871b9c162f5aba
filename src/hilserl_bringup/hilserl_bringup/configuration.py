"""ROS parameter files: read, merged with what the arguments set, written for one node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.programs import node_programs
from hilserl_core.errors import UserError
from hilserl_core.run import write_aside

ALL_NODES = "/**"
ARGUMENTS = "graph"
"""The section that holds arguments of the graph; those of the command line go before them."""
PARAMETERS = "ros__parameters"

Sections = dict[str, dict[str, Any]]


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


def read(path: Path) -> Sections:
    """The parameters of each section (a node's name, or ``/**`` for all) of a parameter file.

    Raises:
        UserError: it cannot be read, or is no parameter file.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"parameter file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"parameter file {path} is not YAML: {error}") from None
    result: Sections = {}
    for name, section in (content or {}).items() if isinstance(content, dict) else [("", None)]:
        if not isinstance(section, dict) or set(section) != {PARAMETERS}:
            raise UserError(
                f"parameter file {path}: section '{name}' needs exactly one key, {PARAMETERS}"
            )
        result[str(name)] = dict(section[PARAMETERS] or {})
    return result


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
