"""Typed parameters: one frozen dataclass a node, declared once.

ROS parameters, the command line, a run's ``config.yaml`` and the documentation are all
made from the dataclass. This module is free of ROS; ``ros_parameters`` declares them.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from hilserl_core.errors import UserError

P = TypeVar("P")


class ParameterError(UserError):
    """A parameter is unknown, of the wrong type, or out of its range."""


def parameter(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
    read_only: bool = True,
) -> Any:
    """Declares a field of a parameter dataclass.

    Args:
        default: its value where none is given; its type is the annotation's.
        description: one sentence, with the unit.
        low, high: inclusive bounds, of a number or of every number in a tuple.
        choices: the values allowed.
        read_only: whether it stays fixed after start.
    """
    metadata = {
        "description": description,
        "low": low,
        "high": high,
        "choices": choices,
        "read_only": read_only,
    }
    return dataclasses.field(default=default, metadata=metadata)


def types(cls: type[Any]) -> dict[str, Any]:
    """The annotated type of every parameter of ``cls``."""
    return typing.get_type_hints(cls)


def _coerce(name: str, value: Any, kind: Any) -> Any:
    """Returns ``value`` as ``kind``, where nothing is lost by that."""
    wrong = ParameterError(
        f"parameter '{name}': {value!r} is not a {getattr(kind, '__name__', kind)}"
    )
    if typing.get_origin(kind) is tuple:
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            raise wrong
        return tuple(_coerce(name, item, typing.get_args(kind)[0]) for item in value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise wrong
    return value


def _check(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    """Raises ParameterError where a value is outside its bounds or choices."""
    choices, low, high = (metadata.get(key) for key in ("choices", "low", "high"))
    if choices is not None and value not in choices:
        options = ", ".join(map(str, choices))
        raise ParameterError(f"parameter '{name}': {value!r} is not one of {options}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, str) or (low is None and high is None):
            continue
        if not ((low is None or number >= low) and (high is None or number <= high)):
            bounds = f"{'-inf' if low is None else low} to {'inf' if high is None else high}"
            raise ParameterError(f"parameter '{name}': {number} is out of range, choose {bounds}")


def build(cls: type[P], values: Mapping[str, Any]) -> P:
    """Builds ``cls`` from plain values, checked.

    Raises:
        ParameterError: names the parameter, the value, and what would be right.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    kinds = types(cls)
    for name in values:
        if name not in fields:
            known = ", ".join(sorted(fields))
            raise ParameterError(f"parameter '{name}' is unknown, choose from: {known}")
    result = {}
    for name, field in fields.items():
        value = _coerce(name, values.get(name, field.default), kinds[name])
        _check(name, value, field.metadata)
        result[name] = value
    return cls(**result)


def parse(cls: type[Any], name: str, text: str) -> Any:
    """Reads one parameter's value as typed on a command line (``a,b`` for a tuple)."""
    kind = types(cls).get(name)
    if kind is None:
        known = ", ".join(f.name for f in dataclasses.fields(cls))
        raise ParameterError(f"parameter '{name}' is unknown, choose from: {known}")
    try:
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            return tuple(item(part.strip()) for part in text.split(",") if part.strip())
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        raise ParameterError(
            f"parameter '{name}': '{text}' is not a {getattr(kind, '__name__', kind)}"
        ) from None


def format_value(value: Any) -> str:
    """A value as ``parse`` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(format_value, value))
    return str(value)


def describe(cls: type[Any]) -> list[tuple[str, str, str]]:
    """Name, default and description, with the values allowed, of each parameter."""
    result = []
    for field in dataclasses.fields(cls):
        metadata = field.metadata
        text = metadata["description"]
        if metadata["choices"]:
            text += f" ({', '.join(map(str, metadata['choices']))})"
        elif metadata["low"] is not None or metadata["high"] is not None:
            low = "" if metadata["low"] is None else f"from {metadata['low']}"
            high = "" if metadata["high"] is None else f"to {metadata['high']}"
            text += f" ({' '.join(part for part in (low, high) if part)})"
        result.append((field.name, format_value(field.default), text))
    return result
