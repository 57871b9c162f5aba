"""Any Gymnasium environment as a world: specs from its spaces, seeded resets, steps.

Actions are numbers in [-1, 1] that stand for the environment's own range; observations are
the environment's numbers in one vector, images beside them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec
from hilserl_core.step import Observation

try:
    import gymnasium
    from gymnasium import spaces
except ImportError:
    raise UserError(
        "gymnasium is not installed: pip install gymnasium, or what the environment comes in "
        "(gym-pusht brings it along)"
    ) from None

EXTRAS = {"gym_pusht": "gym-pusht==0.1.8", "gym_hil": "gym-hil"}
"""What to install for an environment whose id begins so."""

SUCCESS = ("is_success", "success", "succeed")
"""Under which names environments say in their info whether the task is done."""

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Transition:
    """What an action led to.

    Attributes:
        reward: the environment's.
        terminal: it ended so that nothing more can be earned.
        truncated: it ended by a limit from outside, of time for example.
        success: what the environment's info says under one of SUCCESS; None where it says
            nothing.
        info: as the environment gave it.
    """

    reward: float
    terminal: bool
    truncated: bool
    success: bool | None
    info: Mapping[str, Any]


def make_environment(name: str, **settings: Any) -> gymnasium.Env[Any, Any]:
    """Makes an environment by its id, as ``gym_pusht/PushT-v0`` or ``MODULE:ID``.

    The package that a namespace names is imported first, which registers what it has.

    Raises:
        UserError: it is unknown, its package is missing, or it refuses its settings.
    """
    module = name.partition("/")[0] if "/" in name and ":" not in name else ""
    try:
        if module:
            importlib.import_module(module)
        return gymnasium.make(name, **settings)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        package = EXTRAS.get(missing.partition(".")[0], missing.partition(".")[0])
        raise UserError(
            f"environment '{name}' needs the Python package '{missing}': pip install {package}"
        ) from None
    except ImportError as error:
        remedy = ": apt install libgl1 libglib2.0-0" if ".so" in str(error) else ""
        raise UserError(f"environment '{name}' cannot be imported: {error}{remedy}") from None
    except (gymnasium.error.Error, TypeError, ValueError, AttributeError) as error:
        # Gymnasium names what is near; one line of it is enough.
        reason = " ".join(str(error).split())
        raise UserError(f"environment '{name}' cannot be made: {reason}") from None


class GymWorld:
    """One environment, played episode by episode.

    Args:
        env: its action space is a Box; its observation space a Box, or a Dict of them, which
            may hold further Dicts.
        ranges: low and high by field, for what the space leaves without bounds. A field is
            a key of the Dict, or ``observation``; of a Dict within, both keys: ``pixels_front``.

    Raises:
        UserError: a space does not fit, or is unbounded and without a stated range.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], ranges: Ranges | None = None) -> None:
        self.env = env
        self.name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        self.action_spec = action_spec(env.action_space, self.name)
        self._keys = _keys(env.observation_space, self.name)
        self.observation_spec = observation_spec(self._keys, ranges or {}, self.name)
        self._shape = env.action_space.shape
        self._dtype = env.action_space.dtype
        self._raw: Any = None
        self.info: Mapping[str, Any] = {}

    def reset(self, seed: int) -> None:
        """Starts an episode; the same seed gives the same one."""
        self._raw, self.info = self.env.reset(seed=seed)

    def observe(self, stamp: int) -> Observation:
        """The newest observation.

        Raises:
            SpecError: it holds a number that is not finite.
        """
        parts = dict(_leaves(self._raw))
        numbers = [
            np.asarray(parts[field.name], np.float32).ravel()
            for field in self.observation_spec.fields
        ]
        state = np.concatenate(numbers) if numbers else np.zeros(0, np.float32)
        self.observation_spec.check_state(state)
        images = tuple(np.asarray(parts[image.name]) for image in self.observation_spec.images)
        return Observation(stamp, state, images)

    def step(self, values: ArrayLike) -> Transition:
        """Takes an action, (dim,) in [-1, 1]."""
        action = self.action_spec.to_box(self.action_spec.check(values))
        action = action.astype(self._dtype).reshape(self._shape)
        self._raw, reward, terminal, truncated, self.info = self.env.step(action)
        said = next((self.info[name] for name in SUCCESS if name in self.info), None)
        success = None if said is None else bool(said)
        return Transition(float(reward), bool(terminal), bool(truncated), success, self.info)

    def render(self) -> NDArray[np.uint8]:
        """What the environment shows, (height, width, 3) uint8.

        Raises:
            UserError: it was not made with ``render_mode="rgb_array"``.
        """
        image = self.env.render()
        if not isinstance(image, np.ndarray):
            raise UserError(
                f"environment '{self.name}' shows no picture: make it with render_mode=rgb_array"
            )
        return image

    def close(self) -> None:
        self.env.close()


def action_spec(space: spaces.Space[Any], name: str) -> ActionSpec:
    """The spec of a bounded Box of actions; of any shape, flattened.

    Raises:
        UserError: it is another space, or a bound is infinite.
    """
    if not isinstance(space, spaces.Box):
        raise UserError(
            f"environment '{name}' has the action space {space}: choose one with a Box, since "
            "actions here are vectors of numbers"
        )
    low, high = space.low.ravel().astype(float), space.high.ravel().astype(float)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UserError(
            f"environment '{name}' has actions without bounds ({space}): wrap it in "
            "gymnasium.wrappers.RescaleAction or ClipAction, which give them some"
        )
    return ActionSpec.box(low.tolist(), high.tolist())


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The spaces in a space, or the values in an observation of it, by name."""
    if not isinstance(tree, Mapping):
        yield name or "observation", tree
        return
    for key, part in tree.items():
        yield from _leaves(part, f"{name}_{key}" if name else key)


def _keys(space: spaces.Space[Any], name: str) -> dict[str, spaces.Box]:
    """The Boxes of an observation by name."""
    keys: dict[str, spaces.Space[Any]] = {}
    for key, part in _leaves(space):
        if key in keys:
            raise UserError(f"environment '{name}' has two observations that become '{key}'")
        keys[key] = part
        if not isinstance(part, spaces.Box):
            raise UserError(
                f"environment '{name}': observation '{key}' is {part}: only a Box, or a Dict of "
                "them, can be learned from; gymnasium.wrappers.FlattenObservation makes one"
            )
    return keys  # type: ignore[return-value]


def is_image(space: spaces.Box) -> bool:
    """Whether a Box holds a picture, (height, width, 3) uint8."""
    return space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3


def observation_spec(keys: Mapping[str, spaces.Box], ranges: Ranges, name: str) -> ObservationSpec:
    """The layout of the vector and the images of an observation, in the order of ``keys``."""
    for key in ranges:
        if key not in keys:
            raise UserError(
                f"environment '{name}' has no observation '{key}' to give a range, choose from: "
                f"{', '.join(keys)}"
            )
    images = tuple(
        ImageField(key, space.shape[0], space.shape[1])
        for key, space in keys.items()
        if is_image(space)
    )
    fields = tuple(
        _field(key, space, ranges.get(key), name)
        for key, space in keys.items()
        if not is_image(space)
    )
    return ObservationSpec(fields, images)


def _field(key: str, space: spaces.Box, stated: tuple[float, float] | None, name: str) -> Field:
    size = math.prod(space.shape)
    if stated is not None:
        low, high = stated
        if not low < high:
            raise UserError(f"range of '{key}': {low} is not below {high}")
        return Field(key, (low,) * size, (high,) * size)
    lows, highs = space.low.ravel().astype(float), space.high.ravel().astype(float)
    # Spaces write "no bound" also as the largest number of their type.
    largest = float(np.finfo(np.float32).max)
    if size and (np.abs((lows, highs)) >= largest).any():
        _refuse_unbounded(key, name)
    return Field(key, tuple(lows.tolist()), tuple(highs.tolist()))


def _refuse_unbounded(key: str, name: str) -> NoReturn:
    raise UserError(
        f"environment '{name}': observation '{key}' has no bounds, and the networks need to know "
        f"its size: state the range of its usual values, as --ranges {key}=-10:10"
    )
