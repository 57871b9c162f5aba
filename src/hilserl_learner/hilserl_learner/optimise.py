"""Gradient descent on parameters that are plain dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hilserl_policy.mlp import Parameters

ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8


class Trained(NamedTuple):
    """Parameters with the state of their Adam optimiser.

    Attributes:
        parameters: what is learned.
        first, second: running means of gradient and squared gradient.
        updates: () float32, made so far.
    """

    parameters: Parameters
    first: Parameters
    second: Parameters
    updates: Tensor

    @classmethod
    def start(cls, parameters: Parameters) -> Trained:
        first = {name: torch.zeros_like(value) for name, value in parameters.items()}
        second = {name: torch.zeros_like(value) for name, value in parameters.items()}
        return cls(parameters, first, second, torch.zeros(()))

    def restart(self) -> None:
        """Forgets the running means, which another loss has filled."""
        for tensor in (*self.first.values(), *self.second.values()):
            tensor.zero_()
        self.updates.zero_()


def adam(trained: Trained, gradient: Sequence[Tensor], learning_rate: float) -> None:
    """One Adam step, in place; ``gradient`` in the order of the parameters."""
    trained.updates.add_(1)
    torch._fused_adam_(
        list(trained.parameters.values()),
        # It reads memory in its order: a convolution's gradient may lie channels last, and
        # would silently move the wrong weights.
        [each.contiguous() for each in gradient],
        list(trained.first.values()),
        list(trained.second.values()),
        [],
        [trained.updates] * len(gradient),
        lr=learning_rate,
        beta1=ADAM_BETA1,
        beta2=ADAM_BETA2,
        weight_decay=0.0,
        eps=ADAM_EPSILON,
        amsgrad=False,
        maximize=False,
    )


def descend(trained: Trained, gradient: list[Tensor], learning_rate: float, limit: float) -> None:
    """One step down a loss, in place.

    Args:
        trained: what to move.
        gradient: of the loss, in the order of the parameters; it is changed.
        learning_rate: of Adam.
        limit: norm of the whole gradient beyond which it is scaled down to it; 0: never.
    """
    if limit:
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradient)))
        torch._foreach_mul_(gradient, (limit / (norm + 1e-6)).clamp(max=1.0))
    adam(trained, gradient, learning_rate)
