"""The parameters that nodes declare, found in their modules: for documents and templates."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any


def parameter_class(package: str, program: str) -> type[Any] | None:
    """The dataclass that a node's module declares; None: the program is no such node's.

    A node's module has the name of its program.
    """
    try:
        module = importlib.import_module(f"{package}.{program}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(package):
            return None
        raise
    found = [
        value
        for name, value in vars(module).items()
        if name.endswith("Parameters") and dataclasses.is_dataclass(value)
    ]
    most = max(found, key=lambda cls: len(dataclasses.fields(cls)), default=None)
    assert most is None or isinstance(most, type)
    return most
