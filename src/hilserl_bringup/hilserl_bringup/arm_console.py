"""The operator's console in a graph: a page that any run of the arm can have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Protocol

from hilserl_bringup.node_spec import NodeSpec


class WithConsole(Protocol):
    """The arguments that the console needs."""

    @property
    def arm(self) -> str: ...
    @property
    def console(self) -> bool: ...
    @property
    def console_port(self) -> int: ...
    @property
    def console_host(self) -> str: ...
    @property
    def camera_config(self) -> str: ...


def console_nodes(arguments: WithConsole, run: Path) -> tuple[NodeSpec, ...]:
    """The console's node, where it is wanted; a run does without it where it fails."""
    if not arguments.console:
        return ()
    parameters: dict[str, Any] = {
        "run": str(run),
        "arm": arguments.arm,
        "port": arguments.console_port,
        "host": arguments.console_host,
    }
    if arguments.camera_config:
        parameters["region_file"] = arguments.camera_config
    # This Python's own runner, so that the console finds programs also where PATH has none.
    defaults = {"starter": [sys.executable, "-m", "hilserl_bringup.cli", "run"]}
    return (
        NodeSpec(
            "hilserl_teleop",
            "console_node",
            "console_node",
            parameters,
            defaults,
            watches=True,
        ),
    )
