"""ROS parameter files: read, and one parameter changed while all else stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside

ALL_NODES = "/**"
PARAMETERS = "ros__parameters"

Sections = dict[str, dict[str, Any]]


def read(path: Path) -> Sections:
    """The parameters of each section (a node's name, or ``/**`` for all) of a parameter file.

    Raises:
        UserError: it cannot be read, or is no parameter file.
    """
    try:
        return parse(path, path.read_text())
    except UnicodeDecodeError:
        raise UserError(f"parameter file {path} is no text") from None
    except OSError as error:
        raise UserError(f"parameter file {path}: {error.strerror}") from None


def parse(path: Path, text: str) -> Sections:
    """The sections of a parameter file's text; ``path`` is for errors, which ``read`` lists."""
    try:
        content = yaml.safe_load(text)
        content = {} if content is None else content
    except yaml.YAMLError as error:
        raise UserError(f"parameter file {path} is not YAML: {error}") from None
    result: Sections = {}
    for name, section in content.items() if isinstance(content, dict) else [("", None)]:
        if not isinstance(section, dict) or set(section) != {PARAMETERS}:
            raise UserError(
                f"parameter file {path}: section '{name}' needs exactly one key, {PARAMETERS}"
            )
        result[str(name)] = dict(section[PARAMETERS] or {})
    return result


def set_numbers(path: Path, node: str, name: str, numbers: Sequence[int]) -> None:
    """Sets a parameter of a node in a file, which is made where there is none.

    Comments and the order of the other keys stay.

    Raises:
        UserError: the file cannot be read or written, or is no parameter file.
    """
    wanted = read(path) if path.exists() else {}
    text = path.read_text() if path.exists() else ""
    wanted.setdefault(node, {})[name] = list(numbers)
    edited = _edited(text, node, name, list(numbers))
    if not _holds(path, edited, wanted):
        # Written in a way that is not edited in place: its comments go, the rest stays.
        content = {section: {PARAMETERS: own} for section, own in wanted.items()}
        edited = yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
    try:
        write_aside(path, edited.encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _holds(path: Path, text: str, sections: Sections) -> bool:
    try:
        return parse(path, text) == sections
    except UserError:
        return False


def _edited(text: str, node: str, name: str, numbers: list[int]) -> str:
    """The file's text with the parameter changed where it stands, or added."""
    if text and not text.endswith("\n"):
        text += "\n"
    section = _value(yaml.compose(text), node)
    if section is None:
        return f"{text}{node}:\n  {PARAMETERS}:\n    {name}: {numbers}\n"
    parameters = _value(section, PARAMETERS)
    old = _value(parameters, name)
    if old is not None:
        # A block itself reaches to the next key, over comments and the line's end.
        block = isinstance(old, yaml.CollectionNode) and not old.flow_style
        end = (old.value[-1] if block else old).end_mark.index
        return f"{text[: old.start_mark.index]}{numbers}{text[end:]}"
    if not isinstance(parameters, yaml.MappingNode) or parameters.flow_style:
        return text
    first = parameters.value[0][0].start_mark
    return f"{text[: first.index]}{name}: {numbers}\n{' ' * first.column}{text[first.index :]}"


def _value(mapping: yaml.Node | None, key: str) -> Any:
    """The node of a key's value; None where there is none."""
    if not isinstance(mapping, yaml.MappingNode):
        return None
    return next((value for name, value in mapping.value if name.value == key), None)
