"""Gymnasium environments that this package knows more about than their spaces say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.parameters import build, parse
from hilserl_sim.gym_world import GymWorld, Ranges, make_environment

Environment = gymnasium.Env[Any, Any]


class Demonstrator(Protocol):
    """Shows how a task is done."""

    def reset(self) -> None:
        """Forgets what it was about, for a new episode."""

    def act(self, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """An action in [-1, 1]; ``info`` is what the environment said last."""


@dataclass(frozen=True)
class GymTask:
    """What is known of an environment.

    Attributes:
        settings: of ``gymnasium.make``, without which the view does not fit.
        view: makes of the environment, and its parameters, what a policy learns well from.
        view_parameters: the class of these.
        demonstrator: made of the view.
    """

    settings: Mapping[str, Any]
    view: Callable[[Environment, Any], Environment]
    view_parameters: type[Any]
    demonstrator: Callable[[Any], Demonstrator]

    def fits(self, settings: Mapping[str, Any]) -> bool:
        """Whether settings of ``gymnasium.make`` leave the view what it needs."""
        return all(settings.get(name, value) == value for name, value in self.settings.items())


def _pusht() -> tuple[GymTask, ...]:
    # Imported here, since they need what only this environment's package brings.
    from hilserl_sim.pusht_pusher import PushtDemonstrator
    from hilserl_sim.pusht_view import BlockFrame, PixelView, ViewParameters

    return tuple(
        GymTask({"obs_type": view.OBS_TYPE}, view, ViewParameters, PushtDemonstrator)
        for view in (BlockFrame, PixelView)
    )


_KNOWN: Mapping[str, Callable[[], tuple[GymTask, ...]]] = {"gym_pusht/PushT-v0": _pusht}


def make_world(
    name: str, settings: Mapping[str, Any], ranges: Ranges, view: Mapping[str, str] | None
) -> tuple[GymWorld, Demonstrator | None]:
    """The environment ``name`` as a world, and who can demonstrate in it.

    Args:
        settings: of ``gymnasium.make``. Where they contradict those that a known
            environment's view needs, it is taken plain.
        ranges: of observations, as GymWorld takes them.
        view: settings of the view, as text; None: the plain environment.

    Raises:
        UserError: the environment cannot be made, its spaces do not fit, or a setting is wrong.
    """
    known = _KNOWN.get(name) if view is not None else None
    env = make_environment(name, **settings)  # first, so that a missing package is named
    tasks = known() if known is not None else ()
    task = next((each for each in tasks if each.fits(settings)), None)
    if task is None:
        if view:
            raise UserError(
                f"environment '{name}' has no view with these settings: leave out {', '.join(view)}"
            )
        return GymWorld(env, ranges), None
    env.close()
    cls = task.view_parameters
    values = {key: parse(cls, key, text) for key, text in (view or {}).items()}
    env = task.view(make_environment(name, **{**settings, **task.settings}), build(cls, values))
    return GymWorld(env, ranges), task.demonstrator(env)
