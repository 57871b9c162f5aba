"""Finds a package's program as ``ros2 run`` does, and the environment to start it in."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hilserl_bringup.node_spec import NodeSpec
from hilserl_core.errors import UserError


def _prefixes() -> list[Path]:
    return [
        Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part
    ]


def _installed(package: str) -> dict[str, list[str]]:
    """Programs in ``PREFIX/lib/PACKAGE``, the first prefix winning."""
    result: dict[str, list[str]] = {}
    for prefix in _prefixes():
        folder = prefix / "lib" / package
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.is_file() and os.access(path, os.X_OK):
                result.setdefault(path.name, [str(path)])
    return result


def _entry_points(package: str) -> dict[str, list[str]]:
    """Console scripts of the Python package, of an environment that colcon did not build."""
    try:
        points = importlib.metadata.distribution(package).entry_points
    except importlib.metadata.PackageNotFoundError:
        return {}
    result = {}
    for point in points.select(group="console_scripts"):
        call = f"import sys; from {point.module} import {point.attr} as main; sys.exit(main())"
        result[point.name] = [sys.executable, "-c", call]
    return result


def programs_of(package: str) -> dict[str, list[str]]:
    """The commands of a package's programs, by name."""
    return {**_entry_points(package), **_installed(package)}


def packages() -> list[str]:
    """This workspace's packages that have programs."""
    folders = [folder for prefix in _prefixes() for folder in prefix.glob("lib/hilserl_*")]
    return sorted({folder.name for folder in folders if folder.is_dir()})


def node_programs() -> set[str]:
    """Programs of this workspace that are nodes."""
    return {
        program
        for package in packages()
        for program in programs_of(package)
        if program.endswith("_node")
    }


def find_program(package: str, program: str) -> list[str]:
    """The command that starts a program.

    Raises:
        UserError: no such package or program; names those there are.
    """
    programs = programs_of(package)
    if program in programs:
        return programs[program]
    if programs:
        known = ", ".join(sorted(programs))
        raise UserError(f"package {package} has no program '{program}', choose from: {known}")
    raise UserError(
        f"no programs of a package '{package}' are installed: build the workspace and "
        "source it, or check the name"
    )


def installed(nodes: Sequence[NodeSpec]) -> tuple[list[NodeSpec], list[str]]:
    """The nodes that there are programs for; and a line for each optional one that is left out."""
    found, left_out = [], []
    for node in nodes:
        if node.optional and node.program not in programs_of(node.package):
            left_out.append(
                f"{node.name} is left out: package {node.package} is not installed here (it comes "
                "with a full ROS 2)"
            )
        else:
            found.append(node)
    return found, left_out


def child_environment(base: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """The environment of a node's process.

    Args:
        base: the inherited one; what the user has set there stays.
        added: what the run and the node add.
    """
    result = {
        # Nodes share few cores: a pool of threads in each would make them wait for each other.
        "OMP_NUM_THREADS": "1",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}",
        "PYTHONUNBUFFERED": "1",
        **base,
        **added,
    }
    # The wheels' Python sets LD_LIBRARY_PATH by running itself once more, unless this
    # guard says that it has; with the guard but without the path nothing is found.
    if not result.get("LD_LIBRARY_PATH"):
        result.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    return result
