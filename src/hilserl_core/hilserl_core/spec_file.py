"""A run's specs in a file, for robots whose observations and actions no arm's model tells."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec, SpecError

FILE = "specs.json"
"""In a run's folder."""


def dump_specs(observation: ObservationSpec, action: ActionSpec) -> bytes:
    """What the file holds."""
    content = {
        "observation": dataclasses.asdict(observation),
        "action": dataclasses.asdict(action),
    }
    return json.dumps(content, indent=1).encode()


def read_specs(path: Path) -> tuple[ObservationSpec, ActionSpec]:
    """Reads what ``dump_specs`` made.

    Raises:
        UserError: the file cannot be read, or holds no specs.
    """
    try:
        content = json.loads(path.read_text())
        return _observation(content["observation"]), _action(content["action"])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (SpecError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} does not say what a run's observations and actions are ({error}): the graph "
            "writes it anew with a new run"
        ) from None


def _observation(content: dict[str, Any]) -> ObservationSpec:
    fields = (
        Field(**{**each, "low": tuple(each["low"]), "high": tuple(each["high"])})
        for each in content["fields"]
    )
    return ObservationSpec(tuple(fields), tuple(ImageField(**each) for each in content["images"]))


def _action(content: dict[str, Any]) -> ActionSpec:
    listed = {key: tuple(content[key]) for key in ("names", "scale", "offset")}
    return ActionSpec(**{**content, **listed})
