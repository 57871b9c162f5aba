"""What a batch is, and how it is drawn: exact shares by source, from each one's queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
NO_FRAMES = (0,)
"""The shape of an observation's images where none are held."""


class Batch(NamedTuple):
    """A batch of n-step transitions.

    Attributes:
        state: (batch, state_dim + feature_dim) float32: normalised state, then features.
        action: (batch, arm_dim) float32 in [-1, 1].
        gripper: (batch,) int64: 0 close, 1 stay, 2 open.
        reward: (batch,) float32, discounted sum over the transition's steps.
        discount: (batch,) float32, the factor of the value at next_state: 0 after a
            terminal step, else the discount to the power of the steps spanned.
        next_state: (batch, state_dim + feature_dim) float32, likewise.
        source: (batch,) int64, who acted at ``state``.
        frames, next_frames: (batch, *frame_shape) uint8 of the same observations; empty where
            the buffer holds none.
    """

    state: Tensor
    action: Tensor
    gripper: Tensor
    reward: Tensor
    discount: Tensor
    next_state: Tensor
    source: Tensor
    frames: Tensor = torch.empty(NO_FRAMES, dtype=torch.uint8)
    next_frames: Tensor = torch.empty(NO_FRAMES, dtype=torch.uint8)


def quotas(size: int, weights: Sequence[float], available: Sequence[bool]) -> list[int]:
    """Splits a batch by weight among the sources that have steps, exactly.

    The share of an empty source goes to the others in proportion; what rounding leaves
    goes to the largest remainders.
    """
    effective = [w if has else 0.0 for w, has in zip(weights, available, strict=True)]
    total = sum(effective)
    if total <= 0:  # only sources of weight 0 have steps: better those than none
        effective = [float(has) for has in available]
        total = sum(effective)
    shares = [size * w / total for w in effective]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])
    for i in by_remainder[: size - sum(counts)]:
        counts[i] += 1
    return counts


class Queue:
    """Ring positions of one source's transitions, oldest first.

    Transitions enter and leave in the order of the ring, so removal is from an end.

    Args:
        capacity: positions at most.
    """

    BYTES = 4  # a position

    def __init__(self, capacity: int):
        self._slots = np.zeros(capacity, np.int32)
        self._head = 0
        self.size = 0

    @property
    def nbytes(self) -> int:
        return self._slots.nbytes

    @property
    def positions(self) -> Array:
        """(size,) int32, oldest first."""
        return self._slots[(self._head + np.arange(self.size)) % len(self._slots)]

    def replace(self, positions: Array) -> None:
        """Holds ``positions`` (n,), oldest first, and nothing else."""
        self._head, self.size = 0, len(positions)
        self._slots[: self.size] = positions

    def push(self, slot: int) -> None:
        self._slots[(self._head + self.size) % len(self._slots)] = slot
        self.size += 1

    def pop_oldest(self) -> None:
        self._head = (self._head + 1) % len(self._slots)
        self.size -= 1

    def pop_newest(self) -> None:
        self.size -= 1

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """(count,) positions, uniform, with replacement."""
        return self._slots[(self._head + rng.integers(self.size, size=count)) % len(self._slots)]
