"""Declares a parameter dataclass to ROS and reads it back, checked."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from hilserl_core.parameters import ParameterError, build, types

P = TypeVar("P")

_SCALARS = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
_ARRAYS = {
    int: ParameterType.PARAMETER_INTEGER_ARRAY,
    float: ParameterType.PARAMETER_DOUBLE_ARRAY,
    str: ParameterType.PARAMETER_STRING_ARRAY,
}


def descriptor(field: dataclasses.Field[Any], kind: Any) -> ParameterDescriptor:
    """The ROS descriptor of one parameter: description, range, read-only flag."""
    metadata = field.metadata
    array = typing.get_origin(kind) is tuple
    item = typing.get_args(kind)[0] if array else kind
    result = ParameterDescriptor(
        type=(_ARRAYS if array else _SCALARS)[item],
        description=metadata["description"],
        read_only=metadata["read_only"],
    )
    low, high = metadata["low"], metadata["high"]
    if metadata["choices"]:
        result.additional_constraints = "one of " + ", ".join(map(str, metadata["choices"]))
    elif low is not None or high is not None:
        # ROS ranges need both ends, and an array has none: say it in words as well.
        result.additional_constraints = f"from {low} to {high}"
        if not array and low is not None and high is not None:
            if item is int:
                result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
            elif item is float:
                result.floating_point_range = [
                    FloatingPointRange(from_value=float(low), to_value=float(high))
                ]
    return result


def declare(node: Node, cls: type[P]) -> P:
    """Declares every parameter of ``cls`` on ``node`` and returns the values given.

    Raises:
        ParameterError: names the parameter, the value, and what would be right.
    """
    kinds = types(cls)
    values = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        kind = kinds[field.name]
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        described = descriptor(field, kind)
        # rclpy takes an empty list for bytes: declare only its type.
        declared = Parameter.Type(described.type) if default == [] else default
        try:
            value = node.declare_parameter(field.name, declared, described).value
        except InvalidParameterValueException as error:
            raise ParameterError(
                f"parameter '{field.name}' is out of range, "
                f"{described.additional_constraints}: {error}"
            ) from None
        except InvalidParameterTypeException as error:
            raise ParameterError(
                f"parameter '{field.name}' is of the wrong type: {error}"
            ) from None
        values[field.name] = default if value is None else value
    try:
        return build(cls, values)
    except ParameterError as error:
        raise ParameterError(f"{node.get_name()}: {error}") from None
