"""A graph of nodes as a launch description, for ``ros2 launch``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.substitutions import EnvironmentVariable
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from hilserl_bringup.graph import (
    Graph,
    Plan,
    find_graph,
    make_plan,
)
from hilserl_bringup.graphs import GRAPHS
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.programs import installed
from hilserl_bringup.runner import run_environment
from hilserl_core import parameters

RESPAWN_SECONDS = 1.0
RESPAWNS = 20


def describe(name: str) -> LaunchDescription:
    """The launch description of a graph, with the graph's arguments."""
    graph = find_graph(GRAPHS, name)
    declared = []
    for field, (argument, default, text) in zip(
        dataclasses.fields(graph.arguments), parameters.describe(graph.arguments), strict=True
    ):
        choices = field.metadata["choices"]
        declared.append(
            DeclareLaunchArgument(
                argument,
                default_value=default,
                description=text,
                choices=[str(choice) for choice in choices] if choices else None,
            )
        )
    discovery = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    return LaunchDescription(
        [
            *declared,
            SetEnvironmentVariable(
                discovery, EnvironmentVariable(discovery, default_value="LOCALHOST")
            ),
            SetEnvironmentVariable(
                "OMP_NUM_THREADS", EnvironmentVariable("OMP_NUM_THREADS", default_value="1")
            ),
            OpaqueFunction(function=_start, args=[graph]),
        ]
    )


def _start(context: LaunchContext, graph: Graph) -> list[Any]:
    """The actions that start a graph's nodes, for the arguments given."""
    plan = make_plan(graph, given_words(context, graph))
    files = plan.save()
    variables = run_environment(plan.run)
    actions: list[Any] = [SetEnvironmentVariable(key, text) for key, text in variables.items()]
    actions.append(LogInfo(msg=f"{graph.name}: {plan.run}"))
    nodes, left_out = installed(plan.nodes)
    actions += [LogInfo(msg=line) for line in left_out]
    for node in nodes:
        if node.ends_run:
            actions += _end_with(node, files[node.name], plan)
        else:
            actions.append(make_node(node, files[node.name]))
    if plan.arguments.panel:
        actions.append(
            Node(
                package="hilserl_bringup",
                executable="panel_node",
                parameters=[{"output": "plain"}],
                output="screen",
            )
        )
    return actions


def given_words(context: LaunchContext, graph: Graph) -> list[str]:
    """The graph's arguments that somebody gave, and those of the command line launch ignored.

    A default that nobody gave yields to the parameter file.
    """
    defaults = {name: default for name, default, _ in parameters.describe(graph.arguments)}
    names = list(defaults)
    typed = {word.partition(":=")[0] for word in context.argv}
    configurations = context.launch_configurations
    words = [
        f"{name}:={configurations[name]}"
        for name in names
        if name in typed or configurations[name] != defaults[name]
    ]
    ignored = (word for word in context.argv if ":=" in word and word.split(":=")[0] not in names)
    return [*words, *ignored]


def make_node(node: NodeSpec, parameters: Path, respawn: bool | None = None) -> Node:
    """A node's process under launch."""
    return Node(
        package=node.package,
        executable=node.program,
        name=node.name,
        namespace=node.namespace or None,
        remappings=list(node.remappings.items()),
        parameters=[str(parameters)],
        arguments=list(node.arguments),
        output="screen",
        emulate_tty=True,
        respawn=node.respawn if respawn is None else respawn,
        respawn_delay=RESPAWN_SECONDS,
        respawn_max_retries=RESPAWNS,
    )


def _end_with(node: NodeSpec, parameters: Path, plan: Plan, starts: int = 0) -> list[Any]:
    """The node whose clean end completes the run; after a crash it is started again.

    Launch's own respawn would also start it again after a clean end.
    """
    action = make_node(node, parameters, respawn=False)

    def on_exit(event: Any, context: LaunchContext) -> list[Any]:
        if context.is_shutdown:
            return []
        if event.returncode == 0:
            return [_report(plan)]
        if starts >= RESPAWNS or not node.respawn:
            return [Shutdown(reason=f"{node.name} ended with code {event.returncode}")]
        again = _end_with(node, parameters, plan, starts + 1)
        return [TimerAction(period=RESPAWN_SECONDS, actions=again)]

    # The handler comes first, so that no exit can be missed.
    return [
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=on_exit)),
        action,
    ]


def _report(plan: Plan) -> ExecuteProcess:
    """The program that reports on the complete run; everything stops after it."""
    package, program = plan.graph.report
    return ExecuteProcess(
        cmd=[ExecutableInPackage(package=package, executable=program), str(plan.run)],
        output="screen",
        on_exit=Shutdown(reason="the run is complete"),
    )
