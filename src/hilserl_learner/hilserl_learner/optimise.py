"""Gradient descent on parameters that are plain dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hilserl_policy.networks import Parameters

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
        # It walks through memory; gradients of convolutions may lie in another order there.
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


def descend(
    trained: Trained,
    loss: Callable[[Parameters], tuple[Tensor, Any]],
    learning_rate: float,
    limit: float,
) -> tuple[Tensor, Any]:
    """One step down a loss, in place.

    Args:
        trained: what to move.
        loss: of the parameters; a scalar, and whatever else is wanted of its making.
        learning_rate: of Adam.
        limit: norm of the whole gradient beyond which it is scaled down to it; 0: never.

    Returns:
        The loss before the step, and what came with it.
    """
    return descend_together((trained,), loss, learning_rate, limit)


def descend_together(
    trained: Sequence[Trained],
    loss: Callable[..., tuple[Tensor, Any]],
    learning_rate: float,
    limit: float,
) -> tuple[Tensor, Any]:
    """As ``descend``, with a loss of the parameters of several, each limited by itself."""
    with torch.enable_grad():
        leaves = [
            {name: value.detach().requires_grad_() for name, value in each.parameters.items()}
            for each in trained
        ]
        value, other = loss(*leaves)
        wanted = [leaf for each in leaves for leaf in each.values()]
        gradient = list(torch.autograd.grad(value, wanted))
    for each in trained:
        own, gradient = gradient[: len(each.parameters)], gradient[len(each.parameters) :]
        if limit:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(own)))
            torch._foreach_mul_(own, (limit / (norm + 1e-6)).clamp(max=1.0))
        adam(each, own, learning_rate)
    return value.detach(), other
