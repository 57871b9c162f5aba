"""The ``hilserl`` program: ``hilserl up GRAPH name:=value``, ``hilserl run PACKAGE PROGRAM``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hilserl_bringup.graph import Graph, find_graph, make_plan
from hilserl_bringup.koch import GRAPHS
from hilserl_bringup.programs import child_environment, find_program
from hilserl_core.errors import UserError
from hilserl_core.parameters import describe


def _graphs() -> str:
    width = max(map(len, GRAPHS))
    return "\n".join(f"  {name:{width}}  {graph.description}" for name, graph in GRAPHS.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hilserl",
        description="Human-in-the-loop reinforcement learning on ROS 2.",
        epilog=f"graphs:\n{_graphs()}\n\nhilserl up GRAPH --show-args lists a graph's arguments.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="up | run")
    up = commands.add_parser(
        "up",
        help="start a graph of nodes, as ros2 launch does",
        epilog=f"graphs:\n{_graphs()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    up.add_argument("graph", metavar="GRAPH", help="which graph")
    up.add_argument("words", nargs="*", metavar="name:=value", help="arguments of the graph")
    up.add_argument("-s", "--show-args", action="store_true", help="list the graph's arguments")
    run = commands.add_parser("run", help="run a package's program, as ros2 run does")
    run.add_argument("package", metavar="PACKAGE")
    run.add_argument("program", metavar="PROGRAM")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="its arguments")
    return parser


def show_arguments(graph: Graph) -> str:
    """A graph's arguments as text."""
    lines = [f"{graph.name}: {graph.description}", ""]
    for name, default, description in describe(graph.arguments):
        lines.append(f"  {name}:={default}" if default else f"  {name}:=''")
        lines.append(f"      {description}")
    return "\n".join(lines)


def _up(name: str, words: Sequence[str], show: bool) -> int:
    from hilserl_bringup.runner import run_plan

    graph = find_graph(GRAPHS, name.removesuffix(".launch.py"))
    if show:
        print(show_arguments(graph))
        return 0
    return run_plan(make_plan(graph, words))


def _run(package: str, program: str, words: Sequence[str]) -> int:
    """Becomes the program: its terminal, signals and exit code are the caller's."""
    command = [*find_program(package, program), *words]
    sys.stdout.flush()
    try:
        os.execve(command[0], command, child_environment(os.environ, {}))
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}") from None


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(words)
    try:
        if options.command == "up":
            return _up(options.graph, options.words, options.show_args)
        return _run(options.package, options.program, options.words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
