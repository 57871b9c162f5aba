"""Definitions and hashes of message types, as a bag must carry them to be opened anywhere."""

from __future__ import annotations

import functools
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from hilserl_core.errors import UserError

_SEPARATOR = "=" * 80
_PRIMITIVE = re.compile(r"^(bool|byte|char|float32|float64|u?int(8|16|32|64)|w?string(<=\d+)?)$")


@dataclass(frozen=True)
class MessageDefinition:
    """One message type.

    Attributes:
        name: ``package/msg/Type``.
        text: its ``.msg`` text, followed by those of every type it holds.
        hash: the REP-2016 hash, which changes with any field of it or of a type in it.
    """

    name: str
    text: str
    hash: str


# What is recorded of a service whose calls are published.
_EVENT = """service_msgs/ServiceEventInfo info
{service}_Request[<=1] request
{service}_Response[<=1] response
"""


def message_class(name: str) -> type[Any]:
    """The class of ``package/msg/Type``, or of ``package/srv/Type_Event``.

    Raises:
        UserError: the type's package is not installed.
    """
    package, kind, base = name.split("/")
    base, _, part = base.partition("_") if kind == "srv" else (base, "", "")
    try:
        found = getattr(importlib.import_module(f"{package}.{kind}"), base)
        result: type[Any] = getattr(found, part) if part else found
        return result
    except (ImportError, AttributeError):
        raise UserError(
            f"message type '{name}' is not installed: build the workspace and source it"
        ) from None


def _text(name: str) -> str:
    """The ``.msg`` text of one type; of a service's, as rosidl makes it from the ``.srv``."""
    package, kind, base = name.split("/")
    if kind != "srv":
        return _read(name, ".msg")
    base, _, part = base.partition("_")
    if part == "Event":
        return _EVENT.format(service=f"{package}/srv/{base}")
    request, response = re.split(r"^---$", _read(f"{package}/srv/{base}", ".srv"), flags=re.M)
    return request if part == "Request" else response


def _read(name: str, ending: str) -> str:
    package, folder, kind = name.split("/")
    try:
        return Path(get_package_share_directory(package), folder, kind + ending).read_text()
    except (PackageNotFoundError, OSError):
        raise UserError(
            f"message type '{name}' is not installed: build the workspace and source it"
        ) from None


def _types_within(name: str, text: str) -> list[str]:
    """Full names of the message types that a ``.msg`` text names, in order."""
    package = name.split("/")[0]
    result = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2 or "=" in words[1]:
            continue
        kind = re.sub(r"\[.*\]$", "", words[0])
        if _PRIMITIVE.match(kind):
            continue
        parts = kind.split("/")
        folder = parts[1] if len(parts) == 3 else "msg"
        result.append(f"{parts[0] if len(parts) > 1 else package}/{folder}/{parts[-1]}")
    return result


@functools.cache
def message_definition(name: str) -> MessageDefinition:
    """The definition of ``package/msg/Type``, or ``package/srv/Type_Event``, as installed.

    Raises:
        UserError: the type's package is not installed.
    """
    text = _text(name)
    parts, seen, queue = [text], {name}, _types_within(name, text)
    while queue:
        inner = queue.pop(0)
        if inner in seen:
            continue
        seen.add(inner)
        inner_text = _text(inner)
        shown = inner.replace("/msg/", "/")
        parts.append(f"{_SEPARATOR}\nMSG: {shown}\n{inner_text}")
        queue.extend(_types_within(inner, inner_text))
    service = name.rpartition("_")[0] if "/srv/" in name else name
    hashes = json.loads(_read(service, ".json"))["type_hashes"]
    found = next(entry["hash_string"] for entry in hashes if entry["type_name"] == name)
    return MessageDefinition(name, "\n".join(part.rstrip("\n") + "\n" for part in parts), found)
