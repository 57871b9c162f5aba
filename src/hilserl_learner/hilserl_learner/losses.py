"""Losses of critics and actor, with their gradients written out.

Each function returns its loss, and the gradient of whatever the networks gave it; their own
``Tape`` takes it from there. The tests hold all of it to autograd over plain modules.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hilserl_core.step import Source
from hilserl_policy.distribution import ActionDistribution
from hilserl_replay.buffer import Batch


def chosen(gripper: Tensor, choices: int) -> Tensor:
    """(choices, batch): 1 where a sample's gripper (batch,) chose so, else 0.

    A sum over such rows instead of a gather: its gradient is a product, not a scatter.
    """
    if choices == 1:  # no gripper
        return torch.ones_like(gripper[None], dtype=torch.float32)
    return (torch.arange(choices, device=gripper.device)[:, None] == gripper).float()


def people_share(batch: Batch) -> Tensor:
    """(batch,): each step of a person's share of them all, 0 of the policy's."""
    people = (batch.source != int(Source.POLICY)).float()
    return people / people.sum().clamp(min=1.0)


def critic_loss(q: Tensor, gripper: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared error of each critic to its target.

    Args:
        q: (ensemble, choices, batch), what the critics say.
        gripper: (batch,), which of the choices was taken.
        target: (batch,).

    Returns:
        The mean over batch and critics; the value of what was taken, (ensemble, batch); the
        gradient of q, of the loss summed over the critics.
    """
    choice = chosen(gripper, q.shape[1])
    taken = (q * choice).sum(1)
    error = taken - target
    gradient = (error * (2 / len(target))).unsqueeze(1) * choice
    return error.square().mean(), taken, gradient


class Cloning(NamedTuple):
    """How far a policy is from people's actions, on their steps.

    Attributes:
        arm: mean squared error of the mean action.
        gripper: mean cross-entropy of the choice.
        arm_gradient: (batch, arm_dim), of ``ActionDistribution.arm``.
        gripper_gradient: (choices, batch), of the gripper's log probability.
    """

    arm: Tensor
    gripper: Tensor
    arm_gradient: Tensor
    gripper_gradient: Tensor


def cloning(policy: ActionDistribution, arm: Tensor, batch: Batch) -> Cloning:
    """The cloning errors of ``policy``, whose mean action is ``arm``, on a batch."""
    share = people_share(batch)
    away = arm - batch.action
    arm_error = (share * away.square().mean(1)).sum()
    log_probability = policy.gripper_log_probability
    choice = share * chosen(batch.gripper, len(log_probability))
    gripper_error = -(choice * log_probability).sum()
    arm_gradient = away * share[:, None] * (2 / away.shape[1])
    return Cloning(arm_error, gripper_error, arm_gradient, choice.neg_())
