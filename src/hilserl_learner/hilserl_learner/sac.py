"""RLPD: soft actor-critic with an ensemble of critics, on human and own experience.

The update functions take tensors and change tensors in place; they hold no Python branch
on data, and randomness comes in as an argument.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hilserl_core.step import Source
from hilserl_learner import silri
from hilserl_learner.acceleration import accelerate
from hilserl_learner.metrics import critic_record
from hilserl_learner.optimise import Trained, adam, descend
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_policy.distribution import ActionDistribution
from hilserl_policy.networks import (
    Architecture,
    Masks,
    Parameters,
    actor_forward,
    critic_forward,
    init_actor,
    init_critics,
)
from hilserl_replay.buffer import Batch


class State(NamedTuple):
    """Everything that learning changes.

    Attributes:
        average: of the actor over its last updates: what acts.
    """

    actor: Trained
    average: Parameters
    critic: Trained
    target: Parameters
    temperature: Trained  # "raw" (2,): arm and gripper, before the softplus
    restraint: silri.Restraint | None = None  # where cloning is by state
    vision: Trained | None = None  # the encoder, where the critics train it (``pixels``)


def _taken(values: Tensor, gripper: Tensor) -> Tensor:
    """Of (..., choices, batch), the row of each sample's gripper choice: (..., batch)."""
    if values.shape[-2] == 1:  # no gripper
        return values[..., 0, :]
    choices = torch.arange(values.shape[-2], device=values.device)[:, None]
    # A sum over three rows instead of a gather: its gradient is a product, not a scatter.
    return (values * (choices == gripper)).sum(-2)


def _people(batch: Batch) -> Tensor:
    """(batch,): each step of a person's share of them all, 0 of the policy's."""
    people = (batch.source != int(Source.POLICY)).float()
    return people / people.sum().clamp(min=1.0)


class Sac:
    """The update, for one architecture and one set of settings.

    Args:
        architecture: of actor and critics.
        settings: everything else.
        seed: of the networks' first parameters and of the noise.
        device: where it learns.
    """

    def __init__(
        self,
        architecture: Architecture,
        settings: AlgorithmParameters,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.architecture = architecture
        self.settings = settings
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        with self.device:
            self._allocate()
        compiled = settings.compile
        self._critic_step = accelerate(self.critic_step, compiled, self.device)
        self._actor_step = accelerate(self.actor_step, compiled, self.device)
        self._cloning_step = accelerate(self.cloning_step, compiled, self.device)

    def _allocate(self) -> None:
        """Makes the first state, and memory for what chance decides in an update."""
        architecture, settings = self.architecture, self.settings
        actor = init_actor(architecture, settings.initial_std, self.generator)
        critic = init_critics(architecture, settings.critics, self.generator)
        raw = torch.full((2,), math.log(math.expm1(settings.initial_temperature)))
        self.state = State(
            Trained.start(actor),
            {name: value.clone() for name, value in actor.items()},
            Trained.start(critic),
            {name: value.clone() for name, value in critic.items()},
            Trained.start({"raw": raw}),
            silri.start(architecture, settings, self.generator)
            if settings.cloning == "silri"
            else None,
        )
        self._target_entropy = torch.tensor(
            [settings.target_entropy * architecture.arm_dim, settings.gripper_target_entropy]
        )
        self._noise = torch.zeros(architecture.arm_dim, settings.batch_size)
        self._subset = torch.arange(min(settings.target_subset, settings.critics))
        self._target_dropout = self._masks(len(self._subset))
        self._dropout = self._masks(settings.critics)

    # The algorithm: losses, and the updates that descend them.

    def critic_target(
        self, state: State, batch: Batch, noise: Tensor, subset: Tensor, dropout: Masks = ()
    ) -> Tensor:
        """The value that critics learn for each sample, (batch,).

        The expectation over the gripper's choices is exact; the minimum over the subset
        of target critics is taken choice by choice.
        """
        arch, settings = self.architecture, self.settings
        policy = actor_forward(state.actor.parameters, batch.next_state, arch)
        action, log_density = policy.sample(noise)
        target = state.target
        if settings.target_subset < settings.critics:
            target = {name: value[subset] for name, value in target.items()}
        q = critic_forward(target, batch.next_state, action, arch, dropout).amin(0)
        probability = policy.gripper_log_probability.exp()
        value = (probability * q).sum(0)
        if settings.backup_entropy:
            alpha = F.softplus(state.temperature.parameters["raw"])
            value = value - alpha[0] * log_density + alpha[1] * policy.gripper_entropy()
        return batch.reward + batch.discount * value

    def update_critic(
        self,
        state: State,
        batch: Batch,
        noise: Tensor,
        subset: Tensor,
        target_dropout: Masks = (),
        dropout: Masks = (),
    ) -> Tensor:
        """Moves every critic towards the target; returns its ``critic_record``."""
        target = self.critic_target(state, batch, noise, subset, target_dropout)

        def loss(parameters: Parameters) -> tuple[Tensor, Tensor]:
            return self.critic_loss(parameters, batch, target, dropout)

        settings = self.settings
        value, q = descend(state.critic, loss, settings.learning_rate, settings.gradient_limit)
        return critic_record(value / settings.critics, q, target, batch)

    def critic_loss(
        self,
        parameters: Parameters,
        batch: Batch,
        target: Tensor,
        dropout: Masks,
        features: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Squared error to ``target``, summed over the critics, and their values (ensemble, batch).

        ``features`` are what ``critic_forward`` takes by that name.
        """
        q = critic_forward(
            parameters, batch.state, batch.action, self.architecture, dropout, features
        )
        q = _taken(q, batch.gripper)
        return (q - target).square().mean(1).sum(0), q.detach()

    def update_targets(self, state: State) -> None:
        """Moves the target critics a little towards the critics."""
        torch._foreach_lerp_(
            list(state.target.values()),
            list(state.critic.parameters.values()),
            self.settings.polyak,
        )

    def update_average(self, state: State) -> None:
        """Moves the actor that acts towards the trained one."""
        torch._foreach_lerp_(
            list(state.average.values()),
            list(state.actor.parameters.values()),
            self.settings.actor_average,
        )

    def _cloning_errors(self, policy: ActionDistribution, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean squared error of the arm and cross-entropy of the gripper on people's steps."""
        share = _people(batch)
        arm = (share * (policy.arm - batch.action).square().mean(1)).sum()
        log_probability = _taken(policy.gripper_log_probability, batch.gripper)
        return arm, -(share * log_probability).sum()

    def update_actor(
        self, state: State, batch: Batch, noise: Tensor, dropout: Masks = ()
    ) -> Tensor:
        """Moves the actor towards valuable, random and human actions.

        How much the human ones count is a fixed weight, or learned for each state (``silri``).

        Returns:
            (4,): loss, cloning error of the arm, entropy of arm and of gripper.
        """
        settings, arch = self.settings, self.architecture
        alpha = F.softplus(state.temperature.parameters["raw"])
        bound = None
        if state.restraint is not None:
            bound = silri.bound(state.restraint, batch, _people(batch), arch)

        def loss(parameters: Parameters) -> tuple[Tensor, tuple[Tensor, ...]]:
            policy = actor_forward(parameters, batch.state, arch)
            action, log_density = policy.sample(noise)
            q = critic_forward(state.critic.parameters, batch.state, action, arch, dropout).mean(0)
            log_probability = policy.gripper_log_probability
            probability = log_probability.exp()
            arm, gripper = self._cloning_errors(policy, batch)
            # What the gripper's choice costs: less of its value, less of its entropy.
            cost = (probability * torch.sub(alpha[1] * log_probability, q)).sum(0)
            value = alpha[0] * log_density + cost
            if bound is None:
                total = value.mean() + settings.cloning_weight * arm
            else:
                total = silri.restrained(value, policy.arm, bound)
            return total + settings.gripper_cloning_weight * gripper, (
                arm.detach(),
                -log_density.detach().mean(),
                policy.gripper_entropy().mean(),
            )

        value, metrics = descend(state.actor, loss, settings.learning_rate, settings.gradient_limit)
        return torch.stack((value, *metrics))

    def update_temperature(self, state: State, entropy: Tensor) -> Tensor:
        """Moves the temperatures so that ``entropy`` (2,) comes to its target; returns the arm's.

        The gripper has a temperature of its own: its entropy, of a choice, is bounded and
        positive, the arm's, of a density, is neither, and one weight cannot balance both.
        """
        raw = state.temperature.parameters["raw"]
        # The gradient of softplus(raw) * (entropy - target).
        gradient = torch.sigmoid(raw) * (entropy - self._target_entropy)
        adam(state.temperature, (gradient,), self.settings.temperature_learning_rate)
        return F.softplus(raw[:1])

    def update_by_cloning(self, state: State, batch: Batch) -> Tensor:
        """Moves the actor towards people's actions alone; returns the (1,) loss."""

        def loss(parameters: Parameters) -> tuple[Tensor, None]:
            return self.cloning_loss(parameters, batch), None

        settings = self.settings
        value, _ = descend(
            state.actor, loss, settings.cloning_learning_rate, settings.gradient_limit
        )
        return value[None]

    def cloning_loss(
        self, parameters: Parameters, batch: Batch, features: Tensor | None = None
    ) -> Tensor:
        """Error of the actor to people's actions; ``features`` are as ``actor_forward`` has it."""
        policy = actor_forward(parameters, batch.state, self.architecture, features)
        arm, gripper = self._cloning_errors(policy, batch)
        return arm + 0.1 * gripper

    def update_restraint(self, state: State, batch: Batch) -> Tensor:
        """Moves the multipliers of the cloning term and what they rest on; returns their mean.

        The mean is (1,); with a fixed weight nothing moves, and that weight comes back.
        """
        restraint, settings, arch = state.restraint, self.settings, self.architecture
        if restraint is None:
            return torch.full_like(state.actor.updates[None], settings.cloning_weight)
        rate, share = settings.learning_rate, _people(batch)
        silri.update_people(restraint, batch, share, arch, rate, settings.gradient_limit)
        arm = actor_forward(state.actor.parameters, batch.state, arch).arm
        rate = settings.multiplier_learning_rate
        return silri.update_multiplier(restraint, batch, arm, arch, rate, settings.gradient_limit)

    def update_people(self, state: State, batch: Batch) -> None:
        """Moves the model of people that the cloning term rests on, while the actor is cloned."""
        assert state.restraint is not None
        settings = self.settings
        rate, limit = settings.cloning_learning_rate, settings.gradient_limit
        silri.update_people(state.restraint, batch, _people(batch), self.architecture, rate, limit)

    # Whole steps, as pure as their parts.

    def critic_step(
        self,
        state: State,
        batch: Batch,
        noise: Tensor,
        subset: Tensor,
        target_dropout: Masks,
        dropout: Masks,
    ) -> Tensor:
        """Critics, then targets; returns its ``critic_record``."""
        metrics = self.update_critic(state, batch, noise, subset, target_dropout, dropout)
        self.update_targets(state)
        return metrics

    def actor_step(self, state: State, batch: Batch, noise: Tensor, dropout: Masks) -> Tensor:
        """Actor, temperatures and multipliers; returns ACTOR_METRICS."""
        metrics = self.update_actor(state, batch, noise, dropout)
        self.update_average(state)
        temperature = self.update_temperature(state, metrics[2:])
        return torch.cat((metrics, temperature, self.update_restraint(state, batch)))

    def cloning_step(self, state: State, batch: Batch) -> Tensor:
        """The actor, and the model of people; returns the actor's loss, (1,)."""
        if state.restraint is not None:
            self.update_people(state, batch)
        loss = self.update_by_cloning(state, batch)
        self.update_average(state)
        return loss

    # What callers use: what acts, and the steps on this state, with chance drawn for them.

    @property
    def acting(self) -> Parameters:
        """The actor's parameters that are to act."""
        return self.state.average

    @torch.no_grad()
    def restart_actor(self) -> None:
        """Lets the trained actor act as it is, and forgets how another loss moved it."""
        self.state.actor.restart()
        for name, value in self.state.actor.parameters.items():
            self.state.average[name].copy_(value)

    def _masks(self, ensemble: int) -> Masks:
        """Memory for the dropout masks of critics; none where nothing is dropped."""
        widths = self.settings.hidden if self.settings.dropout else ()
        return tuple(torch.ones(ensemble, self.settings.batch_size, width) for width in widths)

    def _draw(self, masks: Masks) -> Masks:
        """Fills masks anew: 0, or what keeps the mean."""
        keep = 1 - self.settings.dropout
        for mask in masks:
            mask.bernoulli_(keep, generator=self.generator).div_(keep)
        return masks

    @torch.no_grad()
    def critic_update(self, batch: Batch) -> Tensor:
        """One update of critics and targets; returns its ``critic_record``."""
        settings = self.settings
        self._noise.normal_(generator=self.generator)
        if settings.target_subset < settings.critics:
            order = torch.randperm(settings.critics, generator=self.generator, device=self.device)
            self._subset.copy_(order[: settings.target_subset])
        masks = self._draw(self._target_dropout), self._draw(self._dropout)
        return self._critic_step(self.state, batch, self._noise, self._subset, *masks)

    @torch.no_grad()
    def actor_update(self, batch: Batch) -> Tensor:
        """One update of actor and temperatures; returns ACTOR_METRICS as a tensor."""
        self._noise.normal_(generator=self.generator)
        return self._actor_step(self.state, batch, self._noise, self._draw(self._dropout))

    @torch.no_grad()
    def update(self, batch: Batch) -> Tensor:
        """One full update; returns its ``critic_record`` and ACTOR_METRICS as a tensor."""
        return torch.cat((self.critic_update(batch), self.actor_update(batch)))

    @torch.no_grad()
    def cloning_update(self, batch: Batch) -> Tensor:
        """One update of the actor by behaviour cloning; returns its loss, (1,)."""
        return self._cloning_step(self.state, batch)
