"""Every program says what it is for, what it takes, and how it is called."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilserl_bringup import cli

SOURCES = Path(__file__).parents[2]
SCRIPT = re.compile(r'"(\w+) = ([\w.]+):(\w+)"')


def programs() -> Iterator[tuple[str, str, str]]:
    """Name, module and function of each program of the workspace."""
    for setup in sorted(SOURCES.glob("hilserl_*/setup.py")):
        yield from SCRIPT.findall(setup.read_text())


def help_of(
    module: str, function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    # argparse ends the process after the help; nodes return.
    with contextlib.suppress(SystemExit):
        getattr(importlib.import_module(module), function)()
    return capsys.readouterr().out


@pytest.mark.parametrize(("name", "module", "function"), list(programs()))
def test_a_programs_help_explains_it_and_has_an_example(
    name: str, module: str, function: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    text = help_of(module, function, monkeypatch, capsys)
    assert re.search(r"^examples?:", text, re.MULTILINE), f"{name} --help shows no example"
    example = re.split(r"^examples?:", text, flags=re.MULTILINE)[1]
    assert name in example, f"the example of {name} does not call it"
    # An option or parameter without a word of explanation is a line that ends with its name.
    assert not re.search(r"^  (--?[\w-]+( [A-Z]+)?|\w+:=\S*)\n(?!   )", text, re.MULTILINE), text


@pytest.mark.parametrize("command", ["up", "run", "doctor", "new-task", "completion"])
def test_a_commands_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert "example: " in (text := capsys.readouterr().out)
    assert f"hilserl {command}" in text.split("example: ")[1]
