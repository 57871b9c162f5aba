"""What all steps of a data set have in common, and the check that a step has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hilserl_core.errors import UserError
from hilserl_core.step import Episode
from hilserl_replay.layout import layout


@dataclass(frozen=True)
class Shapes:
    """What every step of a data set has.

    Attributes:
        state: names of the state's elements.
        action: names of the action's elements.
        images: (height, width) by camera.
    """

    state: tuple[str, ...]
    action: tuple[str, ...]
    images: Mapping[str, tuple[int, int]]


def shapes_of(name: str, episode: Episode) -> Shapes:
    """Of a data set whose first episode this is; ``name`` is said of it in errors."""
    names = layout(episode)
    if not names.action:
        raise UserError(f"{name}: its steps have no actions")
    images = episode.steps[0].observation.images
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    return Shapes(names.state, names.action, dict(zip(names.images, sizes, strict=True)))


def check(name: str, episode: Episode, shapes: Shapes) -> None:
    """Refuses an episode that a data set of ``shapes`` cannot hold.

    Raises:
        UserError: names the step, what is wrong with it, and the remedy.
    """
    expected = list(shapes.images.values())
    for step in episode.steps:
        where = f"{name}, step {step.index}"
        seen, last = step.observation, step is episode.steps[-1]
        vectors = {"state": (seen.state, len(shapes.state), False)}
        vectors["action"] = (step.action, len(shapes.action), last)
        vectors["policy_action"] = (step.policy_action, len(shapes.action), True)
        for part, (values, size, optional) in vectors.items():
            if values.size != size and not (optional and values.size == 0):
                raise UserError(
                    f"{where}: {part} has {values.size} numbers, the first episode's has {size}: "
                    "a data set has one task, observation and action space"
                )
            if not np.isfinite(values).all():
                raise UserError(
                    f"{where}: {part} holds a number that is not finite: {values.tolist()}: "
                    "leave the episode out (--episodes), or discard it where it was recorded"
                )
        if not np.isfinite(step.reward):
            raise UserError(f"{where}: its reward is {step.reward}: leave it out")
        sizes = [(image.shape[0], image.shape[1]) for image in seen.images]
        if sizes != expected:
            raise UserError(
                f"{where}: images of {_sizes(sizes)}, the first episode's are {_sizes(expected)}: "
                "a data set has one set of cameras"
            )


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{width} x {height}" for height, width in sizes) or "no camera"
