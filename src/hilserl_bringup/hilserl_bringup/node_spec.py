"""One node of a graph: what to start, under which name, with which parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NodeSpec:
    """One node's process.

    Attributes:
        package, program: as for ``ros2 run``.
        name: the node's name; its section in parameter files.
        parameters: what the graph's arguments set; the parameter file adds the rest.
        defaults: what the parameter file may set otherwise.
        ends_run: its exit with code 0 completes the run and stops every other node.
        respawn: whether it is started again after a crash.
        namespace: within which it runs; empty: the run's own.
        arguments: words of its command line before those of ROS.
        remappings: names of topics and services, from the program's to the graph's.
        watches: it only looks on: its end leaves the run as it is, and the run's configuration
            does not mention it.
        optional: where its package is not installed, the run does without.
    """

    package: str
    program: str
    name: str
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ends_run: bool = False
    respawn: bool = True
    namespace: str = ""
    arguments: tuple[str, ...] = ()
    remappings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    watches: bool = False
    optional: bool = False
