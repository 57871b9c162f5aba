"""Which Gymnasium environment a run is in, as its parameters say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter

if TYPE_CHECKING:
    from hilserl_sim.gym_tasks import Demonstrator
    from hilserl_sim.gym_world import GymWorld


@dataclass(frozen=True)
class GymSettings:
    """Parameters of whoever makes an environment."""

    env: str = parameter("", "Gymnasium environment, as gym_pusht/PushT-v0 or MODULE:ID")
    env_settings: tuple[str, ...] = parameter((), "NAME=VALUE,... of gymnasium.make")
    ranges: tuple[str, ...] = parameter(
        (), "KEY=LOW:HIGH,... of observations that their space leaves without bounds"
    )
    view: str = parameter(
        "auto",
        "auto: a known environment as a policy learns well from it (PushT from the block's "
        "frame, in relative targets); plain: every environment as it is",
        choices=("auto", "plain"),
    )
    view_settings: tuple[str, ...] = parameter((), "NAME=VALUE,... of that view")

    def make(self) -> tuple[GymWorld, Demonstrator | None]:
        """The environment as a world, and who can demonstrate in it.

        Raises:
            UserError: it cannot be made, its spaces do not fit, or a setting is wrong.
        """
        from hilserl_sim.gym_tasks import make_world  # needs Gymnasium

        if not self.env:
            raise UserError("env is missing: name an environment, as gym_pusht/PushT-v0")
        view = _pairs(self.view_settings, "view_settings")
        plain = self.view == "plain"
        return make_world(self.env, self._made_with, _bounds(self.ranges), None if plain else view)

    @property
    def described(self) -> str:
        """What makes the environment what it is, to be compared."""
        view = _pairs(self.view_settings, "view_settings")
        return json.dumps({"env": self.env, "settings": self._made_with, "view": view})

    @property
    def _made_with(self) -> dict[str, Any]:
        pairs = _pairs(self.env_settings, "env_settings")
        return {name: _value(text) for name, text in pairs.items()}


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` words as a dictionary."""
    result = {}
    for word in filter(None, words):
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} '{word}': give NAME=VALUE")
        result[name] = value
    return result


def _value(text: str) -> Any:
    """A value as JSON has it, or else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _bounds(words: Sequence[str]) -> dict[str, tuple[float, float]]:
    """``KEY=LOW:HIGH`` words as numbers."""
    result = {}
    for key, text in _pairs(words, "ranges").items():
        low, _, high = text.partition(":")
        try:
            result[key] = (float(low), float(high))
        except ValueError:
            raise UserError(f"ranges '{key}={text}': give KEY=LOW:HIGH, two numbers") from None
    return result
