"""``hilserl up``: starts a graph's nodes on this machine, without ROS 2's launch."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hilserl_bringup.exclusive import domain_lock, hold
from hilserl_bringup.graph import Plan, given_arguments
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.panel import Screen, make_screen
from hilserl_bringup.programs import child_environment, find_program, installed
from hilserl_bringup.status import Status
from hilserl_bringup.supervisor import (
    INTERRUPTED,
    Ending,
    Patience,
    Program,
    Supervisor,
)
from hilserl_core.errors import UserError

WATCHER = "panel_node"
REPORT_SECONDS = 600.0


@dataclass(frozen=True)
class Options:
    """How a plan is run, as against what is run.

    Attributes:
        watch: start the node that tells the runner where the run stands.
        patience: with nodes that crash or do not end.
    """

    watch: bool = True
    patience: Patience = dataclasses.field(default_factory=Patience)


def node_arguments(node: NodeSpec, parameters: Path) -> list[str]:
    """What follows a node's program on its command line."""
    names = [f"__node:={node.name}"]
    if node.namespace:
        names.append(f"__ns:=/{node.namespace}")
    names += [f"{old}:={new}" for old, new in node.remappings.items()]
    remappings = [word for name in names for word in ("-r", name)]
    return [*node.arguments, "--ros-args", *remappings, "--params-file", str(parameters)]


def run_environment(run: Path) -> dict[str, str]:
    """Variables of every process of a run."""
    return {"ROS_LOG_DIR": str((run / "log" / "ros").absolute())}


def run_plan(plan: Plan, options: Options | None = None) -> int:
    """Runs a plan to its end; returns the exit code.

    Raises:
        UserError: a program is missing, the run's folder holds another configuration, or
            another run has the folder or the ROS domain.
    """
    options = options or Options()
    nodes, left_out = installed(plan.nodes)
    commands = {node.name: find_program(node.package, node.program) for node in nodes}
    report = [*find_program(*plan.graph.report), str(plan.run)]
    domain = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            hold(
                domain_lock(),
                f"another run (process {{pid}}) is under way in ROS domain {domain}: stop it, or "
                "set ROS_DOMAIN_ID to another number",
            )
        )
        files = plan.save()
        stack.enter_context(
            hold(
                plan.run / ".lock",
                f"{plan.run} is in use by another run (process {{pid}})",
            )
        )
        programs = [_program(node, commands[node.name], files, plan.run) for node in nodes]
        ending = _show_and_supervise(plan, programs, left_out, options)
        return _close(plan, ending, report)


def _program(node: NodeSpec, command: list[str], files: Mapping[str, Path], run: Path) -> Program:
    return Program(
        name=node.name,
        command=[*command, *node_arguments(node, files[node.name])],
        environment=child_environment(os.environ, run_environment(run)),
        ends_run=node.ends_run,
        respawn=node.respawn,
        watches=node.watches,
    )


def _show_and_supervise(
    plan: Plan, programs: list[Program], left_out: list[str], options: Options
) -> Ending:
    """Runs the programs with their output on the terminal."""
    screen = make_screen(plan.arguments.panel)
    if options.watch:
        programs = [*programs, _watcher(plan.run)]

    def log(name: str, text: str) -> None:
        if name != WATCHER or not _update(screen, text):
            screen.log(name, text)

    try:
        screen.tell(f"{plan.graph.name}: {plan.run}")
        for line in left_out:
            screen.tell(line)
        supervisor = Supervisor(programs, plan.run / "log", log, screen.tell, options.patience)
        return asyncio.run(supervisor.run())
    finally:
        screen.close()


def _watcher(run: Path) -> Program:
    """The node that listens for the runner.

    A process of its own, so that neither a fault in a ROS library nor its threads can
    harm the process that must end all others.
    """
    command = find_program("hilserl_bringup", "panel_node")
    return Program(
        name=WATCHER,
        command=[*command, "--ros-args", "-p", "output:=json"],
        environment=child_environment(os.environ, run_environment(run)),
    )


def _update(screen: Screen, text: str) -> bool:
    """Shows a line of the watcher as status; False where it is none."""
    try:
        status = Status.from_json(text)
    except (ValueError, TypeError):
        return False
    screen.update(status)
    return True


def _close(plan: Plan, ending: Ending, report: list[str]) -> int:
    """Says how the run ended, and reports on a complete one; returns the exit code."""
    if ending.code == INTERRUPTED:
        words = " ".join(given_arguments(plan))
        print(f"stopped. To go on: hilserl up {plan.graph.name} {words}", flush=True)
        return ending.code
    if ending.code:
        raise UserError(f"{ending.reason} (logs: {plan.run / 'log'})")
    try:
        result = subprocess.run(
            report,
            env=child_environment(os.environ, {}),
            check=False,
            timeout=REPORT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"the report of {plan.run} took over {REPORT_SECONDS:.0f} s") from None
    return result.returncode
