"""RLPD: soft actor-critic with an ensemble of critics, on human and own experience.

The update functions take tensors and change tensors in place; they hold no Python branch
on data, and randomness comes in as an argument. Gradients are written out (``losses``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hilserl_learner import silri
from hilserl_learner.acceleration import accelerate
from hilserl_learner.losses import Cloning, cloning, critic_loss, people_share
from hilserl_learner.metrics import critic_record
from hilserl_learner.optimise import Trained, adam, descend
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_policy.distribution import through_tanh
from hilserl_policy.mlp import Masks, Parameters, Tape
from hilserl_policy.networks import (
    Architecture,
    actor_forward,
    critic_forward,
    init_actor,
    init_critics,
)
from hilserl_replay.buffer import Batch

CLONED_GRIPPER = 0.1
"""What the gripper's cross-entropy counts beside the arm's squared error, in cloning alone."""


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
        action, log_density, _ = policy.sample(noise)
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
        settings, critic, tape = self.settings, state.critic, Tape()
        q = critic_forward(
            critic.parameters, batch.state, batch.action, self.architecture, dropout, tape
        )
        loss, taken, gradient = critic_loss(q, batch.gripper, target)
        descend(critic, tape.gradients(gradient), settings.learning_rate, settings.gradient_limit)
        return critic_record(loss, taken, target, batch)

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
        tape, critic_tape = Tape(), Tape()
        policy = actor_forward(state.actor.parameters, batch.state, arch, tape)
        sample, arm = policy.sample(noise), policy.arm
        q = critic_forward(
            state.critic.parameters, batch.state, sample.action, arch, dropout, critic_tape
        )
        # What the gripper's choice costs: less of its value, less of its entropy.
        log_probability = policy.gripper_log_probability
        probability = log_probability.exp()
        costs = probability * torch.sub(alpha[1] * log_probability, q.mean(0))
        value = alpha[0] * sample.log_density + costs.sum(0)
        clone = cloning(policy, arm, batch)
        loss, share, pull = self._held_to_people(state, batch, value, arm, clone)
        loss = loss + settings.gripper_cloning_weight * clone.gripper

        # Each gradient is named as what it belongs to; ``share`` is that of ``value``.
        through_q = (probability * (share / -len(q))).expand(q.shape)
        action = critic_tape.input_gradient(through_q, slice(arch.state_dim, None))
        mean, log_std = sample.gradient(action, alpha[0] * share)
        gripper = (costs + alpha[1] * probability) * share
        gripper = gripper.add_(clone.gripper_gradient, alpha=settings.gripper_cloning_weight)
        gradient = policy.gradient(mean.add_(through_tanh(pull, arm)), log_std, gripper)
        rate, limit = settings.learning_rate, settings.gradient_limit
        descend(state.actor, tape.gradients(gradient), rate, limit)
        entropies = -sample.log_density.mean(), policy.gripper_entropy().mean()
        return torch.stack((loss, clone.arm, *entropies))

    def _held_to_people(
        self, state: State, batch: Batch, value: Tensor, arm: Tensor, clone: Cloning
    ) -> tuple[Tensor, Tensor | float, Tensor]:
        """The loss of the arm; its gradient by ``value`` (batch,) and ``arm`` (batch, arm_dim)."""
        if state.restraint is None:
            weight = self.settings.cloning_weight
            loss = value.mean() + weight * clone.arm
            return loss, 1 / len(value), weight * clone.arm_gradient
        bound = silri.bound(state.restraint, batch, people_share(batch), self.architecture)
        return silri.restrained(value, arm, bound)

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
        settings, tape = self.settings, Tape()
        loss, gradient = self.cloning_loss(state.actor.parameters, batch, tape)
        rate, limit = settings.cloning_learning_rate, settings.gradient_limit
        descend(state.actor, tape.gradients(gradient), rate, limit)
        return loss[None]

    def cloning_loss(
        self, parameters: Parameters, batch: Batch, tape: Tape
    ) -> tuple[Tensor, Tensor]:
        """Error of the actor to people's actions, and the gradient of the actor's outputs."""
        policy = actor_forward(parameters, batch.state, self.architecture, tape)
        arm = policy.arm
        clone = cloning(policy, arm, batch)
        gradient = policy.gradient(
            through_tanh(clone.arm_gradient, arm),
            torch.zeros_like(policy.log_std),
            CLONED_GRIPPER * clone.gripper_gradient,
        )
        return clone.arm + CLONED_GRIPPER * clone.gripper, gradient

    def update_restraint(self, state: State, batch: Batch) -> Tensor:
        """Moves the multipliers of the cloning term and what they rest on; returns their mean.

        The mean is (1,); with a fixed weight nothing moves, and that weight comes back.
        """
        restraint, settings, arch = state.restraint, self.settings, self.architecture
        if restraint is None:
            return torch.full_like(state.actor.updates[None], settings.cloning_weight)
        rate, share = settings.learning_rate, people_share(batch)
        silri.update_people(restraint, batch, share, arch, rate, settings.gradient_limit)
        arm = actor_forward(state.actor.parameters, batch.state, arch).arm
        rate = settings.multiplier_learning_rate
        return silri.update_multiplier(restraint, batch, arm, arch, rate, settings.gradient_limit)

    def update_people(self, state: State, batch: Batch) -> None:
        """Moves the model of people that the cloning term rests on, while the actor is cloned."""
        assert state.restraint is not None
        settings = self.settings
        rate, limit = settings.cloning_learning_rate, settings.gradient_limit
        silri.update_people(
            state.restraint, batch, people_share(batch), self.architecture, rate, limit
        )

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
