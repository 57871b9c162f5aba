"""Command-line options of a program, made from its parameters."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from hilserl_core.parameters import describe, parse


def add_options(
    parser: argparse.ArgumentParser, cls: type[Any], title: str, without: Collection[str] = ()
) -> None:
    """Gives ``parser`` one option for each parameter of ``cls``, in a group of their own.

    Args:
        title: of the group.
        without: parameters that get none.
    """
    group = parser.add_argument_group(title)
    for name, default, text in describe(cls):
        if name not in without:
            group.add_argument(
                f"--{name.replace('_', '-')}",
                dest=name,
                metavar="VALUE",
                default=argparse.SUPPRESS,
                help=f"{text} [{default}]".replace("%", "%%"),
            )


def given(
    arguments: argparse.Namespace, cls: type[Any], without: Collection[str] = ()
) -> dict[str, Any]:
    """The parameters of ``cls`` that were given, as values.

    Raises:
        ParameterError: a value cannot be read.
    """
    names = [name for name, _, _ in describe(cls) if name not in without]
    texts = vars(arguments)
    return {name: parse(cls, name, texts[name]) for name in names if name in texts}
