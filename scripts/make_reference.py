#!/usr/bin/env python3
"""Writes docs/reference: parameters, graph arguments, messages and curves, from their sources.

Run it in a shell with the workspace (``. scripts/env.sh``): ``python scripts/make_reference.py``.
``make test`` fails where the pages are not what this writes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.declared import parameter_class
from hilserl_core.parameters import describe, types
from hilserl_replay.curves import TAGS

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src"
FOLDER = ROOT / "docs" / "reference"
_MADE = "<!-- Made by scripts/make_reference.py: change the sources, not this page. -->"
_SCRIPT = re.compile(r'"(\w+) = ([\w.]+):(\w+)"')


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _kind(kind: Any) -> str:
    """A parameter's type as ROS names it."""
    names = {bool: "bool", int: "int", float: "double", str: "string"}
    if kind in names:
        return names[kind]
    return f"{names[kind.__args__[0]]}[]"


def _parameters(cls: type[Any]) -> str:
    kinds = types(cls)
    rows = [
        (f"`{name}`", _kind(kinds[name]), f"`{default}`" if default else "", text)
        for name, default, text in describe(cls)
    ]
    return _table(("parameter", "type", "default", "what it is"), rows)


def programs() -> Iterator[tuple[str, str]]:
    """Package and name of every program of the workspace."""
    for setup in sorted(SOURCES.glob("hilserl_*/setup.py")):
        for name, _, _ in _SCRIPT.findall(setup.read_text()):
            yield setup.parent.name, name


def parameters_page() -> str:
    parts = ["# Parameters of the nodes", _MADE]
    parts.append(
        "Given in a parameter file (`config:=FILE`), or to one program as `--ros-args -p "
        "NAME:=VALUE`. A list is `a,b` here and `[a, b]` in a file. All are fixed once a node has "
        "started."
    )
    for package, name in programs():
        cls = (
            parameter_class(package, name)
            if name.endswith("_node") or name == "intervene"
            else None
        )
        if cls is not None:
            parts += [f"## {name}", f"`{package}`", _parameters(cls)]
    return "\n\n".join(parts) + "\n"


def arguments_page() -> str:
    parts = ["# Arguments of the graphs", _MADE]
    parts.append(
        "The same for `hilserl up GRAPH NAME:=VALUE` and `ros2 launch hilserl_bringup "
        "GRAPH.launch.py NAME:=VALUE`."
    )
    alike: dict[tuple[str, str], list[str]] = {}  # each arm has the same
    for name, graph in GRAPHS.items():
        alike.setdefault((graph.description, _parameters(graph.arguments)), []).append(name)
    for (description, table), names in alike.items():
        parts += [f"## {', '.join(names)}", description, table]
    return "\n\n".join(parts) + "\n"


def _messages(folder: str, heading: str) -> list[str]:
    parts = []
    for path in sorted((SOURCES / "hilserl_msgs" / folder).iterdir()):
        parts += [f"## {heading}{path.stem}", f"```\n{path.read_text().strip()}\n```"]
    return parts


def messages_page() -> str:
    parts = ["# Messages and services", _MADE]
    parts.append("Of the package `hilserl_msgs`, as they are defined.")
    return "\n\n".join([*parts, *_messages("msg", ""), *_messages("srv", "Service ")]) + "\n"


def curves_page() -> str:
    rows = [(f"`{tag.name}`", tag.axis, tag.text) for tag in TAGS]
    parts = ["# Curves", _MADE]
    parts.append(
        "The same tags in TensorBoard, in Weights & Biases, and (with each curve's last value) in "
        "`curves` of `report.json`. Episodes and steps are those of training."
    )
    parts.append(_table(("tag", "over", "what it shows"), rows))
    return "\n\n".join(parts) + "\n"


PAGES = {
    "arguments.md": arguments_page,
    "parameters.md": parameters_page,
    "messages.md": messages_page,
    "curves.md": curves_page,
}


def main() -> int:
    """Writes every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())
        print(FOLDER.relative_to(ROOT) / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
