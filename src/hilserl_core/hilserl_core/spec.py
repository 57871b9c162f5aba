"""What a run's observations and actions are: names, order, bounds, normalisation.

Every node of a run builds the same specs from the same parameters; steps and weights
carry their hash, so that a mismatch is refused where it first shows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError

# Normalised state beyond this is clipped: a sensor glitch must not dominate a batch.
NORMALISED_LIMIT = 3.0


class SpecError(UserError):
    """A value does not fit the run's spec."""


@dataclass(frozen=True)
class Field:
    """One named part of the state vector, in physical units.

    ``low`` and ``high`` are the values that normalisation maps to -1 and 1; they hold
    one number an element. A low above its high turns the direction round.
    """

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    unit: str = ""

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise SpecError(f"field '{self.name}': low and high need one number an element each")
        if any(not abs(hi - lo) > 0 for lo, hi in zip(self.low, self.high, strict=True)):
            raise SpecError(f"field '{self.name}': every low must differ from its high")

    @property
    def size(self) -> int:
        return len(self.low)


@dataclass(frozen=True)
class ImageField:
    """One policy image: rgb8, (height, width, 3) uint8, from ``camera/NAME/policy``."""

    name: str
    height: int = 128
    width: int = 128


class _Hashed:
    """Gives a frozen spec its content hash."""

    @cached_property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any part of the spec."""
        content = json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]
        return hashlib.sha256(content.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ObservationSpec(_Hashed):
    """Layout of ``Observation.state`` and ``Observation.images``."""

    fields: tuple[Field, ...]
    images: tuple[ImageField, ...] = ()

    @cached_property
    def state_dim(self) -> int:
        return sum(field.size for field in self.fields)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each field lies in the state vector."""
        result, start = {}, 0
        for field in self.fields:
            result[field.name] = slice(start, start + field.size)
            start += field.size
        return result

    @cached_property
    def _centre_and_scale(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        low = np.concatenate([field.low for field in self.fields])
        high = np.concatenate([field.high for field in self.fields])
        return ((low + high) / 2).astype(np.float32), (2 / (high - low)).astype(np.float32)

    def normalise(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps states (..., state_dim) in physical units to about [-1, 1], clipped at 3."""
        centre, scale = self._centre_and_scale
        return np.clip((state - centre) * scale, -NORMALISED_LIMIT, NORMALISED_LIMIT)

    def check_state(self, state: NDArray[np.floating[Any]]) -> None:
        """Raises SpecError where a state has the wrong size or a number that is not finite."""
        if state.shape != (self.state_dim,):
            names = ", ".join(f"{f.name} {f.size}" for f in self.fields)
            raise SpecError(
                f"a state of {state.shape} does not fit the run's {self.state_dim} values "
                f"({names}): start every node with the same task and observation"
            )
        if not np.isfinite(state).all():
            bad = [f.name for f in self.fields if not np.isfinite(state[self.slices[f.name]]).all()]
            raise SpecError(f"the state's {', '.join(bad)} holds a number that is not finite")


@dataclass(frozen=True)
class ActionSpec(_Hashed):
    """Layout of ``Action.values``: one number in [-1, 1] a name.

    ``scale`` gives what 1 means: metres of tool motion a tick in ``ee_delta``, radians
    a tick in ``joint_delta``. The gripper, where there is one, comes last and is
    discrete: below -1/3 closes, above 1/3 opens, between stays; its scale is unused.

    The third kind, ``box``, is any bounded vector of numbers, without a gripper:
    ``offset`` is what 0 means there, and ``offset + scale`` what 1 means.
    """

    kind: str
    names: tuple[str, ...]
    scale: tuple[float, ...]
    gripper: bool = True
    offset: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("ee_delta", "joint_delta", "box"):
            raise SpecError(f"action space '{self.kind}': choose ee_delta, joint_delta or box")
        if len(self.names) != len(self.scale):
            raise SpecError("an action spec needs one scale a name")
        if len(self.offset) != (self.dim if self.kind == "box" else 0):
            raise SpecError("an action spec needs one offset a name in a box, and none elsewhere")
        if self.kind == "box" and (self.gripper or min(self.scale, default=0.0) <= 0):
            raise SpecError("a box of actions needs a size above 0, and no gripper")

    @classmethod
    def box(cls, low: Sequence[float], high: Sequence[float], name: str = "action") -> ActionSpec:
        """The spec of actions between ``low`` and ``high``, one number an element each."""
        low_, high_ = (np.asarray(limit, np.float64) for limit in (low, high))
        names = tuple(f"{name}_{i}" for i in range(len(low_)))
        offset, scale = (high_ + low_) / 2, (high_ - low_) / 2
        return cls("box", names, tuple(scale.tolist()), False, tuple(offset.tolist()))

    def to_box(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """The action (..., dim) of a box, in its own units, that ``values`` in [-1, 1] mean."""
        return np.asarray(self.offset) + np.asarray(self.scale) * values

    def from_box(self, action: ArrayLike) -> NDArray[np.float32]:
        """The values in [-1, 1] that mean an action (..., dim) of a box; clipped to it."""
        values = (np.asarray(action, np.float64) - self.offset) / self.scale
        return values.clip(-1.0, 1.0).astype(np.float32)

    @property
    def dim(self) -> int:
        """Numbers in an action, the gripper's included."""
        return len(self.names)

    @property
    def arm_dim(self) -> int:
        """Numbers in an action without the gripper's."""
        return self.dim - int(self.gripper)

    def check(self, values: ArrayLike) -> NDArray[np.float32]:
        """Returns the action as float32 clipped to [-1, 1].

        Raises:
            SpecError: it has another size, or holds a number that is not finite.
        """
        array = np.asarray(values, np.float32)
        if array.shape != (self.dim,):
            raise SpecError(
                f"an action of {array.shape} does not fit {self.kind} ({self.dim} values)"
            )
        if not np.isfinite(array).all():
            raise SpecError(f"an action holds a number that is not finite: {array.tolist()}")
        return np.clip(array, -1.0, 1.0)


GRIPPER_CLOSE, GRIPPER_STAY, GRIPPER_OPEN = 0, 1, 2


def gripper_choice(value: ArrayLike) -> NDArray[np.int64]:
    """The discrete choice that an action's gripper number stands for: close, stay or open."""
    value = np.asarray(value)
    return (value > -1 / 3).astype(np.int64) + (value > 1 / 3)


def run_spec_hash(observation: ObservationSpec, action: ActionSpec) -> str:
    """The hash that a run's steps and weights carry."""
    return f"{observation.hash}-{action.hash}"
