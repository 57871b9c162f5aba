"""What the actor would do: a tanh-Gaussian arm, and a categorical gripper beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_CONSTANT = 2 * math.log(2) + 0.5 * math.log(2 * math.pi)


class _Squash(torch.autograd.Function):
    """A sample of a tanh-Gaussian and its log density.

    The backward pass is written out: the density is a dozen operations on few numbers, and
    autograd would keep and walk each of them.
    """

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (arm_dim, batch) each to an action (arm_dim, batch) and a density (batch,)."""
        spread = log_std.exp() * noise
        before = mean + spread
        action = torch.tanh(before)
        # log(1 - tanh(x)^2) = 2 (log 2 - x - log(1 + exp(-2 x))), finite far from 0; the last
        # part is what torch's softplus of slope -2 halves and takes the negative of.
        squash = torch.sub(before, F.softplus(before, -2.0), alpha=2.0)
        surprise = torch.addcmul(log_std, noise, noise, value=0.5).sub_(squash, alpha=2.0).sum(0)
        ctx.save_for_backward(action, spread)
        return action, -mean.shape[0] * _CONSTANT - surprise

    @staticmethod
    def backward(
        ctx: Any, action_gradient: Tensor, density_gradient: Tensor
    ) -> tuple[Tensor, Tensor, None]:
        action, spread = ctx.saved_tensors
        # The action moves by 1 - action^2 with its argument, the density by 2 action.
        slope = torch.addcmul(action_gradient, action_gradient * action, action, value=-1.0)
        mean = slope.addcmul_(action, density_gradient, value=2.0)
        return mean, mean * spread - density_gradient, None


@dataclass(frozen=True)
class ActionDistribution:
    """The actor's distribution at each sample of a batch.

    Attributes:
        mean: (arm_dim, batch), before the tanh.
        log_std: (arm_dim, batch).
        gripper_log_probability: (3, batch); (1, batch) of zeros without a gripper.
    """

    mean: Tensor
    log_std: Tensor
    gripper_log_probability: Tensor

    @property
    def arm(self) -> Tensor:
        """The mean action of the arm, (batch, arm_dim) in [-1, 1]."""
        return torch.tanh(self.mean).mT

    def gripper_entropy(self) -> Tensor:
        """(batch,), of the gripper's choice; nothing to differentiate."""
        log_probability = self.gripper_log_probability.detach()
        return -(log_probability.exp() * log_probability).sum(0)

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """An arm action and its log density, differentiable in the distribution.

        Args:
            noise: (arm_dim, batch), standard normal.

        Returns:
            (batch, arm_dim) in [-1, 1], and (batch,) log density.
        """
        action, log_density = _Squash.apply(self.mean, self.log_std, noise)
        return action.mT, log_density
