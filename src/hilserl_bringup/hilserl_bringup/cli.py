"""The ``hilserl`` program: starts graphs and programs, and helps whoever uses it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hilserl_bringup import completion
from hilserl_bringup.graph import RUNS, Graph, find_graph, make_plan
from hilserl_bringup.graphs import GRAPHS
from hilserl_bringup.programs import child_environment, find_program
from hilserl_core.errors import UserError
from hilserl_core.parameters import describe


def _graphs() -> str:
    width = max(map(len, GRAPHS))
    return "\n".join(f"  {name:{width}}  {graph.description}" for name, graph in GRAPHS.items())


_EXAMPLES = """\
examples:
  hilserl doctor                                       is this machine ready?
  hilserl up koch_train run:=first                     simulate, demonstrate, train, evaluate
  hilserl up koch_train --show-args                    every argument of a graph
  hilserl up so101_train                               the same with an SO-101
  hilserl up koch_run policy:=first                    let the trained policy work
  hilserl run hilserl_teleop intervene                 take over, in a second terminal
  hilserl new-task fold_towel                          a commented configuration of your own
  eval "$(hilserl completion bash)"                    complete all that with the tab key"""


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="hilserl",
        description="Human-in-the-loop reinforcement learning on ROS 2.",
        epilog=f"graphs:\n{_graphs()}\n\n{_EXAMPLES}",
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up",
        help="start a graph of nodes, as ros2 launch does",
        epilog=f"graphs:\n{_graphs()}\n\nexample: hilserl up koch_train task:=reach run:=first",
        formatter_class=raw,
    )
    up.add_argument("graph", metavar="GRAPH", help="which graph")
    up.add_argument("words", nargs="*", metavar="name:=value", help="arguments of the graph")
    up.add_argument("-s", "--show-args", action="store_true", help="list the graph's arguments")
    run = commands.add_parser(
        "run",
        help="run a package's program, as ros2 run does",
        epilog="example: hilserl run hilserl_replay inspect runs/first",
    )
    run.add_argument("package", metavar="PACKAGE", help="one of hilserl_*")
    run.add_argument("program", metavar="PROGRAM", help="a wrong one lists those there are")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="its arguments")
    doctor = commands.add_parser(
        "doctor",
        help="check this machine, and say what to do",
        description="Looks at ROS 2, ports, cameras, clock, disk, memory and CPU. Ends with code 1 "
        "where something is to be mended.",
        epilog="example: hilserl doctor --runs /data/runs",
    )
    doctor.add_argument("--runs", type=Path, default=RUNS, help="where runs go [runs]")
    task = commands.add_parser(
        "new-task",
        help="write a commented configuration for a task of your own",
        epilog="example: hilserl new-task fold_towel --from pick_place",
    )
    task.add_argument("name", metavar="NAME", help="of the task; the file is tasks/NAME.yaml")
    task.add_argument(
        "--from", dest="base", default="lift_cube", help="the task whose scene to simulate"
    )
    complete = commands.add_parser(
        "completion",
        help="print the completion script of a shell",
        epilog='example: eval "$(hilserl completion bash)"',
    )
    complete.add_argument("shell", metavar="SHELL", help="bash or zsh")
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


def _do(options: argparse.Namespace) -> int:
    """Carries a command out; returns the exit code."""
    if options.command == "up":
        return _up(options.graph, options.words, options.show_args)
    if options.command == "doctor":
        from hilserl_bringup import doctor

        return doctor.main(options.runs)
    if options.command == "new-task":
        return _new_task(options.name, options.base)
    if options.command == "completion":
        print(completion.script(options.shell), end="")
        return 0
    return _run(options.package, options.program, options.words)


def _new_task(name: str, base: str) -> int:
    # Loads every node's module, for its parameters.
    from hilserl_bringup import new_task

    path = new_task.write(name, base)
    print(f"{path} is yours to edit. To try it: hilserl up koch_train config:={path}")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    words = sys.argv[1:] if words is None else list(words)
    if words[:2] == ["complete", "--"]:  # asked by a shell, at every press of the tab key
        print("\n".join(completion.complete(words[2:], GRAPHS)))
        return 0
    options = _parser().parse_args(words)
    try:
        code = _do(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever reads the output, such as head, has read enough; nor may the interpreter's end
        # try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
