"""A graph of nodes: what to start, with which parameters, from which arguments.

One graph serves both ways to start it, ROS 2's launch and the stand-alone runner: they
take the same arguments, make the same ``Plan`` of them, and start its nodes.
"""

from __future__ import annotations

import dataclasses
import difflib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilserl_bringup import configuration
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core import parameter_file, parameters
from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory, write_aside

RUNS = Path("runs")
VIEWS = ("rviz", "tensorboard", "wandb", "console", "console_port", "console_host")
"""Arguments that say how a run is looked at."""


@dataclass(frozen=True)
class Graph:
    """Nodes that make one kind of run.

    Attributes:
        name: of the graph, its launch file and its parameter file.
        description: one sentence.
        arguments: a frozen dataclass of ``hilserl_core.parameters``.
        nodes: the nodes for arguments and a run's folder.
        report: the program, (package, program), run on the folder of a complete run.
        files: what its nodes read beside their parameters, by name in the run's folder.
    """

    name: str
    description: str
    arguments: type[Any]
    nodes: Callable[[Any, Path], tuple[NodeSpec, ...]]
    report: tuple[str, str]
    files: Callable[[Any], Mapping[str, bytes]] = lambda arguments: {}


@dataclass(frozen=True)
class Plan:
    """A graph with its arguments and every node's parameters resolved."""

    graph: Graph
    arguments: Any
    run: Path
    nodes: tuple[NodeSpec, ...]

    def config(self) -> dict[str, Any]:
        """What the run's ``config.yaml`` holds."""
        # How a run is shown, and from which file its parameters came, is not part of it.
        left_out = {"run", "panel", "config", *VIEWS}
        given = dataclasses.asdict(self.arguments)
        return {
            "graph": self.graph.name,
            "arguments": {key: value for key, value in given.items() if key not in left_out},
            "nodes": {
                node.name: {
                    "package": node.package,
                    "program": node.program,
                    "parameters": dict(node.parameters),
                }
                for node in self.nodes
                if not node.watches
            },
        }

    def save(self) -> dict[str, Path]:
        """Makes the run's folder, or checks it; returns each node's parameter file.

        Raises:
            UserError: the folder holds another configuration, or cannot be written.
        """
        files = self.graph.files(self.arguments)  # a mistake found here leaves no folder behind
        RunDirectory.create_or_resume(self.run, self.config())
        for name, content in files.items():
            write_aside(self.run / name, content)
        folder = self.run / "parameters"
        return {
            node.name: configuration.write(folder / f"{node.name}.yaml", node.parameters)
            for node in self.nodes
        }


def named_run(text: str) -> Path:
    """A run's folder by its name in ``runs/``, or by its path."""
    path = Path(text)
    return path if len(path.parts) > 1 or text in (".", "..") else RUNS / path


def default_run(arguments: Any) -> Path:
    """A new run's folder: task, observation, seed and the time."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return RUNS / f"{arguments.task}-{arguments.observation}-seed{arguments.seed}-{stamp}"


def parse_arguments(
    graph: Graph, words: Iterable[str], given: Mapping[str, Any] | None = None
) -> Any:
    """Reads ``name:=value`` words into the graph's arguments.

    Args:
        words: as typed.
        given: values of those that are not among the words.

    Raises:
        UserError: a word is no ``name:=value``, or its name or value is not right.
    """
    known = [field.name for field in dataclasses.fields(graph.arguments)]
    values: dict[str, Any] = dict(given or {})
    for word in words:
        name, separator, text = word.partition(":=")
        if not separator:
            raise UserError(f"'{word}' is not an argument: write name:=value")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise UserError(
                f"{graph.name} has no argument '{name}'{meant}, choose from: {', '.join(known)}"
            )
        values[name] = _value(graph, name, text)
    try:
        return parameters.build(graph.arguments, values)
    except parameters.ParameterError as error:
        raise _of_argument(graph, error) from None


def _value(graph: Graph, name: str, text: str) -> Any:
    """One argument's value, as typed."""
    try:
        return parameters.parse(graph.arguments, name, text)
    except parameters.ParameterError as error:
        raise _of_argument(graph, error) from None


def _of_argument(graph: Graph, error: Exception) -> UserError:
    """The same complaint, about an argument of the graph."""
    return UserError(f"{graph.name}: {str(error).replace('parameter', 'argument', 1)}")


def make_plan(graph: Graph, words: Iterable[str]) -> Plan:
    """Resolves a graph's arguments, run folder and node parameters; starts and writes nothing.

    Raises:
        UserError: names the argument or parameter that is wrong, and the remedy.
    """
    words = list(words)
    arguments = parse_arguments(graph, words)
    path = Path(arguments.config) if arguments.config else configuration.packaged(graph.name)
    sections = parameter_file.read(path)
    if configuration.ARGUMENTS in sections:
        arguments = parse_arguments(graph, words, _of_file(graph, sections, path))
    run = named_run(arguments.run) if arguments.run else default_run(arguments)
    nodes = graph.nodes(arguments, run)
    return Plan(graph, arguments, run, configuration.resolve(nodes, sections, path))


def _of_file(graph: Graph, sections: parameter_file.Sections, path: Path) -> dict[str, Any]:
    """The arguments that a parameter file holds.

    Raises:
        UserError: the graph has no such argument, or it is about the file itself.
    """
    known = {field.name for field in dataclasses.fields(graph.arguments)} - {"config", "run"}
    values = sections[configuration.ARGUMENTS]
    for name in values:
        if name not in known:
            raise UserError(
                f"parameter file {path}: {graph.name} has no argument '{name}' for section "
                f"'{configuration.ARGUMENTS}', choose from: {', '.join(sorted(known))}"
            )
    return values


def find_graph(graphs: Mapping[str, Graph], name: str) -> Graph:
    """The graph of that name.

    Raises:
        UserError: there is none.
    """
    if name not in graphs:
        raise UserError(f"there is no graph '{name}', choose from: {', '.join(graphs)}")
    return graphs[name]


def given_arguments(plan: Plan) -> list[str]:
    """The ``name:=value`` words that resume a plan's run."""
    words = [f"run:={plan.run}"]
    for field in dataclasses.fields(plan.arguments):
        value = getattr(plan.arguments, field.name)
        if field.name != "run" and value != field.default:
            words.append(f"{field.name}:={parameters.format_value(value)}")
    return words
