"""Specs survive a file, and what is none is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec
from hilserl_core.spec_file import dump_specs, read_specs

OBSERVATION = ObservationSpec(
    (Field("place", (0.0, -1.0), (512.0, 0.1), "m"), Field("turn", (-0.3,), (0.3,))),
    (ImageField("pixels", 96, 64),),
)
ACTIONS = [
    ActionSpec.box([-2.0, 0.0], [2.0, 512.0]),
    ActionSpec("ee_delta", ("x", "gripper"), (0.025, 1.0)),
]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_written_is_read(tmp_path: Path, action: ActionSpec) -> None:
    path = tmp_path / "specs.json"
    path.write_bytes(dump_specs(OBSERVATION, action))
    observation, again = read_specs(path)
    assert (observation, again) == (OBSERVATION, action)
    assert (observation.hash, again.hash) == (OBSERVATION.hash, action.hash)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"observation": {"fields": [{"name": "x"}]}, "action": {}}']
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "specs.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"specs.json does not say"):
        read_specs(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.json cannot be read"):
        read_specs(tmp_path / "nothing.json")
