"""Command-line options from parameters."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest

from hilserl_core.options import add_options, given
from hilserl_core.parameters import ParameterError, build, parameter


@dataclass(frozen=True)
class Settings:
    step_size: float = parameter(0.5, "of 100 % of something", low=0.0)
    widths: tuple[int, ...] = parameter((1, 2), "of layers")
    fast: bool = parameter(False, "hurry")
    hidden: str = parameter("", "not for everyone")


def read(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_options(parser, Settings, "settings", without=("hidden",))
    return given(parser.parse_args(words), Settings, without=("hidden",))


def test_only_what_was_given_is_returned():
    assert read() == {}
    assert read("--step-size", "2", "--widths", "3,4,5") == {"step_size": 2.0, "widths": (3, 4, 5)}
    assert build(Settings, read("--fast", "true")).fast is True


def test_help_tells_the_defaults(capsys):
    with pytest.raises(SystemExit):
        read("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "of 100 % of something (from 0.0) [0.5]" in text
    assert "hidden" not in text


def test_a_value_that_cannot_be_read_is_named():
    with pytest.raises(ParameterError, match=r"step_size.*'fast'"):
        read("--step-size", "fast")
