"""Gymnasium environments that this package knows more about than their spaces say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from hilserl_sim.gym_world import GymWorld, Ranges, make_environment

Environment = gymnasium.Env[Any, Any]


class Demonstrator(Protocol):
    """Shows how a task is done."""

    def reset(self) -> None:
        """Forgets what it was about, for a new episode."""

    def act(self, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """An action in [-1, 1]; ``info`` is what the environment said last."""


View = Callable[..., Environment]
"""Makes of an environment, and settings, what a policy learns well from."""


@dataclass(frozen=True)
class GymTask:
    """What is known of an environment.

    Attributes:
        settings: of ``gymnasium.make``, without which the view does not fit.
        view: made of the environment.
        demonstrator: made of the view.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    view: View | None = None
    demonstrator: type[Any] | None = None


def _pusht() -> GymTask:
    # Imported here, since they need what only this environment's package brings.
    from hilserl_sim.pusht_pusher import PushtDemonstrator
    from hilserl_sim.pusht_view import BlockFrame

    return GymTask({"obs_type": "environment_state_agent_pos"}, BlockFrame, PushtDemonstrator)


_KNOWN = {"gym_pusht/PushT-v0": _pusht}


def make_world(
    name: str, settings: Mapping[str, Any], ranges: Ranges, view: Mapping[str, Any] | None
) -> tuple[GymWorld, Demonstrator | None]:
    """The environment ``name`` as a world, and who can demonstrate in it.

    Args:
        settings: of ``gymnasium.make``. Where they contradict those that a known
            environment's view needs, it is taken plain.
        ranges: of observations, as GymWorld takes them.
        view: settings of the view; None: the plain environment.

    Raises:
        UserError: the environment cannot be made, or its spaces do not fit.
    """
    env = make_environment(name, **settings)
    known = _KNOWN.get(name)
    if known is None or view is None:
        return GymWorld(env, ranges), None
    task = known()
    if any(settings.get(key, value) != value for key, value in task.settings.items()):
        return GymWorld(env, ranges), None
    env.close()
    env = make_environment(name, **{**settings, **task.settings})
    if task.view is not None:
        env = task.view(env, **view)
    demonstrator = task.demonstrator(env) if task.demonstrator is not None else None
    return GymWorld(env, ranges), demonstrator
