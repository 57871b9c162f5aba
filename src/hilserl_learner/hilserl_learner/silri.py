"""SiLRI: how closely to follow people, learned for each state.

After Zhao et al., "Real-world Reinforcement Learning from Suboptimal Interventions" (arXiv
2512.24288). The policy is held near a model b of what people do, the more closely the surer
they are:

    max J(pi)   so that   D(s) = |pi(s) - b(s)|^2 <= kappa sigma(s) + c   in every state s

with pi(s) and b(s) the mean actions, and sigma(s) the standard deviation of b, summed over
the action. One multiplier l(s) >= 0 a state turns the bound into a trade:

    actor        E_s [ (-Q(s, pi(s)) + l(s) D(s)) / (1 + l(s)) ]
    multiplier   E_s [ -l(s) (D(s) - kappa sigma(s) - c) ]
    people       E_(s, a) [ -log b(a | s) ]   over people's steps

l is a network with a softplus behind it that starts the same everywhere and learns 100 times
more slowly than the others, because nothing bounds it from above; c is 0.1, and kappa is 1.

Chosen here: -Q is SAC's, the entropy in it; the gripper, a choice without a distance, keeps
the fixed weight of its cross-entropy; b is a Gaussian that the tanh does not bend, since
people's actions lie on the bounds; and its deviation is at least 0.05, below which its loss
knows nothing but a few repeated actions. The paper's success earns 10, ours 1: the multiplier
starts at a tenth of its 0.7.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hilserl_learner.optimise import Trained, descend
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_policy.distribution import ActionDistribution, through_tanh
from hilserl_policy.mlp import Parameters, Tape
from hilserl_policy.networks import (
    Architecture,
    actor_forward,
    critic_forward,
    init_actor,
    init_critics,
)
from hilserl_replay.buffer import Batch

KAPPA, SLACK = 1.0, 0.1
LEAST_STD = 0.05  # action units


class Restraint(NamedTuple):
    """What is learned beside actor and critics.

    Attributes:
        people: what they would do.
        multiplier: how much that counts.
    """

    people: Trained
    multiplier: Trained


def _people(architecture: Architecture) -> Architecture:
    return replace(architecture, gripper=False)


def _of_state(architecture: Architecture) -> Architecture:
    """Of a critic that sees the state alone, for the multiplier."""
    return replace(architecture, gripper=False, arm_dim=0)


def start(
    architecture: Architecture, settings: AlgorithmParameters, generator: torch.Generator
) -> Restraint:
    """Knows nothing of people yet; the multiplier is the same in every state."""
    people = init_actor(_people(architecture), settings.initial_std, generator)
    multiplier = init_critics(_of_state(architecture), 1, generator)
    multiplier["out.weight"].zero_()
    multiplier["out.bias"].fill_(math.log(math.expm1(settings.initial_multiplier)))
    return Restraint(Trained.start(people), Trained.start(multiplier))


def people_at(
    parameters: Parameters, state: Tensor, architecture: Architecture
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of what people would do, (batch, arm_dim) action units each."""
    policy = actor_forward(parameters, state, _people(architecture))
    return policy.arm, _deviation(policy)


def _deviation(policy: ActionDistribution) -> Tensor:
    return policy.log_std.clamp(min=math.log(LEAST_STD)).exp().mT


def multiplier_at(parameters: Parameters, state: Tensor, architecture: Architecture) -> Tensor:
    """The multiplier of each state, (batch,)."""
    return F.softplus(_raw_multiplier(parameters, state, architecture))[0, 0]


def _raw_multiplier(
    parameters: Parameters, state: Tensor, architecture: Architecture, tape: Tape | None = None
) -> Tensor:
    """(1, 1, batch), before the softplus."""
    return critic_forward(parameters, state, state[:, :0], _of_state(architecture), tape=tape)


class Bound(NamedTuple):
    """What the actor is held to: people's mean action (batch, arm_dim), and how much (batch,)."""

    arm: Tensor
    multiplier: Tensor


def bound(restraint: Restraint, batch: Batch, share: Tensor, architecture: Architecture) -> Bound:
    """The bound at a batch's states; none where nobody has shown anything.

    Args:
        restraint: what is learned of people.
        batch: with the states.
        share: (batch,), each step's share of people's steps; all 0 without any.
        architecture: the actor's.
    """
    arm, _ = people_at(restraint.people.parameters, batch.state, architecture)
    multiplier = multiplier_at(restraint.multiplier.parameters, batch.state, architecture)
    return Bound(arm, multiplier * share.sum())


def restrained(value: Tensor, arm: Tensor, bound: Bound) -> tuple[Tensor, Tensor, Tensor]:
    """The actor's loss, and its gradients.

    Args:
        value: (batch,), -Q.
        arm: (batch, arm_dim), the actor's mean action.
        bound: what it is held to.

    Returns:
        The loss; the gradient of ``value`` and that of ``arm``, in their shapes.
    """
    away, held = arm - bound.arm, bound.multiplier
    weight = 1 / (len(value) * (1 + held))
    loss = (weight * (value + held * away.square().sum(1))).sum()
    return loss, weight, away * (2 * weight * held)[:, None]


def update_people(
    restraint: Restraint,
    batch: Batch,
    share: Tensor,
    architecture: Architecture,
    learning_rate: float,
    limit: float,
) -> None:
    """Makes the actions likelier that people took; ``share`` (batch,) weighs the samples."""
    tape = Tape()
    policy = actor_forward(restraint.people.parameters, batch.state, _people(architecture), tape)
    arm, std = policy.arm, _deviation(policy)
    # The loss is share * (0.5 z^2 + log std), summed.
    z = (batch.action - arm) / std
    mean = through_tanh(-share[:, None] * z / std, arm)
    learns = policy.log_std > math.log(LEAST_STD)
    log_std = learns * (share * (1 - z.square().mT))
    gradient = policy.gradient(mean, log_std, policy.gripper_log_probability)
    descend(restraint.people, tape.gradients(gradient), learning_rate, limit)


def update_multiplier(
    restraint: Restraint,
    batch: Batch,
    arm: Tensor,
    architecture: Architecture,
    learning_rate: float,
    limit: float,
) -> Tensor:
    """Raises the multiplier where the actor's mean ``arm`` (batch, arm_dim) strays too far.

    Returns:
        (1,): the multiplier's mean over the batch, before.
    """
    mean, std = people_at(restraint.people.parameters, batch.state, architecture)
    excess = (arm - mean).square().sum(1) - KAPPA * std.sum(1) - SLACK
    tape = Tape()
    raw = _raw_multiplier(restraint.multiplier.parameters, batch.state, architecture, tape)
    # The loss is -(softplus(raw) * excess), its mean.
    gradient = torch.sigmoid(raw) * excess / -len(excess)
    descend(restraint.multiplier, tape.gradients(gradient), learning_rate, limit)
    return F.softplus(raw).mean()[None]
