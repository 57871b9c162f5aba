"""What the numbers of a run's states and actions are called, found by its spec."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from hilserl_core.spec import ActionSpec, ObservationSpec, run_spec_hash
from hilserl_core.step import Episode
from hilserl_description.arm_model import JOINT_NAMES, OBSERVATIONS, action_spec
from hilserl_description.models import MODELS


@dataclass(frozen=True)
class Layout:
    """Names, in the order of the numbers and images that a step holds.

    Attributes:
        state: one name an element, such as ``joint_position.shoulder_pan``.
        action: one name an element.
        images: one name a policy image.
        joints: where in the state the joint positions (rad) lie, where that is known.
    """

    state: tuple[str, ...]
    action: tuple[str, ...]
    images: tuple[str, ...]
    joints: slice | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of a state and of an action, and images."""
        return len(self.state), len(self.action), len(self.images)


def layout(episode: Episode) -> Layout:
    """The layout of an episode's steps.

    Where its spec is not known, it is taken from a known one of the same sizes: bounds change
    a spec's hash, and not its names. Where there is none, the names are numbers.
    """
    first = episode.steps[0]
    seen = first.observation
    action = max(step.action.size for step in episode.steps)
    sizes = (seen.state.size, action, len(seen.images))
    known = _known()
    for candidate in (known.get(first.spec), *known.values()):
        if candidate is not None and candidate.sizes == sizes:
            return candidate
    return Layout(
        tuple(f"state_{i}" for i in range(seen.state.size)),
        tuple(f"action_{i}" for i in range(action)),
        tuple(f"image_{i}" for i in range(len(seen.images))),
    )


@functools.cache
def _known() -> dict[str, Layout]:
    """The layouts of the specs that an arm's runs can have, by their hash."""
    result = {}
    for arm, seen in itertools.product(MODELS.values(), OBSERVATIONS):
        observation = arm.observation_spec(seen)
        for action in (action_spec("ee_delta"), action_spec("joint_delta")):
            result[run_spec_hash(observation, action)] = _named(observation, action)
    return result


def _named(observation: ObservationSpec, action: ActionSpec) -> Layout:
    names: list[str] = []
    for field in observation.fields:
        if field.size == len(JOINT_NAMES):
            names += [f"{field.name}.{joint}" for joint in JOINT_NAMES]
        elif field.size == 1:
            names.append(field.name)
        else:
            axes = "xyz" if field.size == 3 else range(field.size)
            names += [f"{field.name}.{axis}" for axis in axes]
    images = tuple(image.name for image in observation.images)
    return Layout(tuple(names), action.names, images, observation.slices.get("joint_position"))
