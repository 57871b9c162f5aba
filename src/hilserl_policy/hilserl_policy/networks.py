"""Actor and critics as pure functions of stacked parameters (``mlp``), and the actor that acts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilserl_core.spec import GRIPPER_STAY
from hilserl_policy.distribution import LOG_STD_HIGH, LOG_STD_LOW, ActionDistribution
from hilserl_policy.mlp import LAYER_NORM_EPSILON, Masks, Parameters, Tape, init_mlp, mlp_forward


@dataclass(frozen=True)
class Architecture:
    """The shapes that the networks of a run share.

    Attributes:
        state_dim: numbers in the normalised state.
        arm_dim: numbers in an action without the gripper's.
        gripper: whether a choice of close, stay or open comes with each action.
        hidden: width of each hidden layer.
        activation: "relu" or "tanh", after the LayerNorm of each hidden layer.
    """

    state_dim: int
    arm_dim: int
    gripper: bool = True
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"

    @property
    def choices(self) -> int:
        """Gripper choices that a critic values: 3, or 1 where there is no gripper."""
        return 3 if self.gripper else 1

    @property
    def actor_outputs(self) -> int:
        """Mean and log std of each arm dimension, and a logit for each gripper choice."""
        return 2 * self.arm_dim + (3 if self.gripper else 0)


def init_actor(
    architecture: Architecture, initial_std: float = 0.3, generator: torch.Generator | None = None
) -> Parameters:
    """An actor whose mean is near 0, whose std is ``initial_std``, and whose gripper is even."""
    parameters = init_mlp(
        1,
        architecture.state_dim,
        architecture.hidden,
        architecture.actor_outputs,
        0.01,
        generator,
    )
    arm = architecture.arm_dim
    parameters["out.bias"][:, arm : 2 * arm] = math.log(initial_std)
    return parameters


def init_critics(
    architecture: Architecture, ensemble: int, generator: torch.Generator | None = None
) -> Parameters:
    """An ensemble of critics, each with weights of its own."""
    inputs = architecture.state_dim + architecture.arm_dim
    return init_mlp(ensemble, inputs, architecture.hidden, architecture.choices, 0.1, generator)


def actor_forward(
    parameters: Parameters,
    state: Tensor,
    architecture: Architecture,
    tape: Tape | None = None,
) -> ActionDistribution:
    """The action distribution at normalised states.

    Args:
        state: (batch, state_dim) float32, normalised.
        tape: is filled, for gradients.
    """
    out = mlp_forward(parameters, state, architecture.activation, tape=tape)[0]
    return ActionDistribution.of(out, architecture.arm_dim)


def critic_forward(
    parameters: Parameters,
    state: Tensor,
    arm_action: Tensor,
    architecture: Architecture,
    dropout: Masks = (),
    tape: Tape | None = None,
) -> Tensor:
    """Q-values of every critic in the ensemble, for each gripper choice.

    Args:
        state: (batch, state_dim) float32, normalised.
        arm_action: (batch, arm_dim) float32 in [-1, 1].
        dropout: a mask for each hidden layer, as in DroQ (Hiraoka et al. 2022, arXiv
            2110.02034): between its product and its LayerNorm.
        tape: is filled, for gradients; its inputs are the state's columns, then the action's.

    Returns:
        (ensemble, choices, batch) float32, discounted sum of rewards.
    """
    assert state.shape[1] == architecture.state_dim
    assert arm_action.shape[1] == architecture.arm_dim
    inputs = torch.cat((state, arm_action), 1)
    return mlp_forward(parameters, inputs, architecture.activation, dropout, tape)


class PolicyNetwork:
    """The actor as the policy node runs it: NumPy, one observation at a time.

    At batch 1 a forward is two small matrix-vector products, and torch's dispatch would
    cost more than they do.
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, NDArray[np.float32]],
        version: int = 0,
    ):
        self.architecture = architecture
        self.version = version
        self._layers = [
            tuple(
                np.ascontiguousarray(parameters[f"{layer}.{part}"][0])
                for part in ("weight", "bias")
            )
            for layer in range(len(architecture.hidden))
        ]
        self._out_weight = np.ascontiguousarray(parameters["out.weight"][0])
        self._out_bias = np.ascontiguousarray(parameters["out.bias"][0, :, 0])

    @classmethod
    def untrained(cls, architecture: Architecture, seed: int = 0) -> PolicyNetwork:
        """Version 0: what acts before any weights have arrived."""
        generator = torch.Generator().manual_seed(seed)
        parameters = init_actor(architecture, generator=generator)
        return cls(architecture, {name: value.numpy() for name, value in parameters.items()})

    def _forward(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """(state_dim,) to (actor_outputs,)."""
        x = state
        for weight, bias in self._layers:
            x = x @ weight + bias[0]
            x = x - x.mean()
            x *= 1 / math.sqrt(float(x @ x) / x.size + LAYER_NORM_EPSILON)
            x = np.tanh(x) if self.architecture.activation == "tanh" else np.maximum(x, 0)
        return self._out_weight @ x + self._out_bias

    def act(
        self,
        state: NDArray[np.float32],
        rng: np.random.Generator | None = None,
        deterministic: bool = False,
    ) -> NDArray[np.float32]:
        """An action for one normalised state.

        Args:
            state: (state_dim,) float32, normalised.
            rng: draws the sample; needed unless ``deterministic``.
            deterministic: take the mean of the arm and the likeliest gripper choice.

        Returns:
            (arm_dim + gripper,) float32 in [-1, 1]; the gripper's is -1 close, 0 stay, 1 open.
        """
        out = self._forward(state)
        arm = self.architecture.arm_dim
        before, logits = out[:arm].copy(), out[2 * arm :].copy()
        if not deterministic:
            assert rng is not None, "a sampled action needs a random generator"
            std = np.exp(np.clip(out[arm : 2 * arm], LOG_STD_LOW, LOG_STD_HIGH))
            before += std * rng.standard_normal(arm, np.float32)
            logits += rng.gumbel(size=logits.size)  # the largest is a sample of the softmax
        values = np.empty(arm + self.architecture.gripper, np.float32)
        values[:arm] = np.tanh(before)
        if self.architecture.gripper:
            values[arm] = int(np.argmax(logits)) - GRIPPER_STAY
        return values
