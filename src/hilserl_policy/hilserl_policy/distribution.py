"""What the actor would do: a tanh-Gaussian arm, and a categorical gripper beside it.

The gradients are written out: a dozen operations on few numbers, and autograd would keep and
walk each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_STD_LOW, LOG_STD_HIGH = math.log(1e-5), math.log(5.0)
_CONSTANT = 2 * math.log(2) + 0.5 * math.log(2 * math.pi)


class Sample(NamedTuple):
    """A sample of the arm's actions.

    Attributes:
        action: (batch, arm_dim) in [-1, 1].
        log_density: (batch,).
        spread: (arm_dim, batch), what the noise has added to the mean before the tanh.
    """

    action: Tensor
    log_density: Tensor
    spread: Tensor

    def gradient(self, action: Tensor, log_density: Tensor | float) -> tuple[Tensor, Tensor]:
        """The gradients of the distribution's mean and log std, (arm_dim, batch) each.

        Args:
            action: (batch, arm_dim), the action's gradient.
            log_density: (batch,) or one for all, the density's.
        """
        result, given = self.action.mT, action.mT
        # The action moves by 1 - action^2 with its argument, the density by 2 action.
        mean = torch.addcmul(given, given * result, result, value=-1.0)
        mean = mean.add_(result * log_density, alpha=2.0)
        return mean, mean * self.spread - log_density


@dataclass(frozen=True)
class ActionDistribution:
    """The actor's distribution at each sample of a batch.

    Attributes:
        mean: (arm_dim, batch), before the tanh.
        log_std: (arm_dim, batch), within LOG_STD_LOW and LOG_STD_HIGH.
        gripper_log_probability: (3, batch); (1, batch) of zeros without a gripper.
    """

    mean: Tensor
    log_std: Tensor
    gripper_log_probability: Tensor

    @classmethod
    def of(cls, output: Tensor, arm_dim: int) -> ActionDistribution:
        """That of an actor's outputs, (2 arm_dim, batch), and 3 more rows for a gripper."""
        mean, log_std, logits = output.tensor_split((arm_dim, 2 * arm_dim))
        if len(logits):
            log_probability = torch.log_softmax(logits, 0)
        else:
            log_probability = torch.zeros_like(output[:1])
        return cls(mean, log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH), log_probability)

    @property
    def arm(self) -> Tensor:
        """The mean action of the arm, (batch, arm_dim) in [-1, 1]."""
        return torch.tanh(self.mean).mT

    def gripper_entropy(self) -> Tensor:
        """(batch,), of the gripper's choice."""
        log_probability = self.gripper_log_probability
        return -(log_probability.exp() * log_probability).sum(0)

    def sample(self, noise: Tensor) -> Sample:
        """An arm action and its log density.

        Args:
            noise: (arm_dim, batch), standard normal.
        """
        spread = self.log_std.exp() * noise
        before = self.mean + spread
        # log(1 - tanh(x)^2) = 2 (log 2 - x - log(1 + exp(-2 x))), finite far from 0; the last
        # part is what torch's softplus of slope -2 halves and takes the negative of.
        squash = torch.sub(before, F.softplus(before, -2.0), alpha=2.0)
        surprise = torch.addcmul(self.log_std, noise, noise, value=0.5).sub_(squash, alpha=2.0)
        log_density = -len(noise) * _CONSTANT - surprise.sum(0)
        return Sample(torch.tanh(before).mT, log_density, spread)

    def gradient(self, mean: Tensor, log_std: Tensor, gripper: Tensor) -> Tensor:
        """The gradient of the actor's outputs, (1, outputs, batch), from those of its attributes.

        The log std has none where it is held within its limits.
        """
        aten = torch.ops.aten
        parts = [
            mean,
            aten.hardtanh_backward.default(log_std, self.log_std, LOG_STD_LOW, LOG_STD_HIGH),
        ]
        log_probability = self.gripper_log_probability
        if len(log_probability) > 1:
            dtype = log_probability.dtype
            softmax = aten._log_softmax_backward_data.default(gripper, log_probability, 0, dtype)
            parts.append(softmax)
        return torch.cat(parts)[None]


def through_tanh(gradient: Tensor, arm: Tensor) -> Tensor:
    """The gradient of a mean (arm_dim, batch), from that of its ``arm``; (batch, arm_dim) both."""
    result: Tensor = torch.ops.aten.tanh_backward.default(gradient.mT, arm.mT)
    return result
