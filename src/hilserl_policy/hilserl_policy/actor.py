"""Which weights act, and their samples; free of ROS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, ObservationSpec, run_spec_hash
from hilserl_core.step import Phase
from hilserl_policy.networks import PolicyNetwork
from hilserl_policy.weights import decode

EVALUATED = "evaluated.safetensors"
"""The policy that a run ended with, in its checkpoints folder."""


class Actor:
    """Proposes actions; takes new weights up between two episodes' ticks.

    While an evaluation is under way its weights stay as they were at its start.

    Args:
        observation, action: the run's specs.
        seed: of the samples.
        explore: sample actions in training; a policy that only imitates has nothing to find out.
    """

    def __init__(
        self, observation: ObservationSpec, action: ActionSpec, seed: int, explore: bool = True
    ) -> None:
        self._observation = observation
        self._action = action
        self._seed = seed
        self._explore = explore
        self._network: PolicyNetwork | None = None
        self._waiting: tuple[PolicyNetwork, bytes] | None = None
        self._phase = Phase.TRAIN
        self._rng = np.random.default_rng(seed)
        self.data = b""

    @property
    def spec(self) -> str:
        return run_spec_hash(self._observation, self._action)

    @property
    def version(self) -> int:
        """Version of the weights that act; 0 before the first."""
        return self._network.version if self._network else 0

    @property
    def ready(self) -> bool:
        return self._network is not None or self._waiting is not None

    def load(self, data: bytes, checksum: str | None = None) -> None:
        """Takes weights for the next tick that may change them.

        Raises:
            UserError: they are damaged or of another run; the old ones go on acting.
        """
        self._waiting = (decode(data, self.spec, checksum), data)

    def load_run(self, run: Path) -> None:
        """Takes the policy that a run ended with.

        Raises:
            UserError: the run has none, or it does not fit.
        """
        path = run / "checkpoints" / EVALUATED
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}): name a run that was trained to its end"
            ) from None
        try:
            self.load(data)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def begin(self, phase: Phase, episode: int) -> None:
        """Starts an episode: its samples depend on nothing but seed, phase and number."""
        frozen = phase == Phase.EVALUATE and self._phase == Phase.EVALUATE
        self._phase = phase
        if not frozen or self._network is None:
            self._take()
        evaluation = int(phase == Phase.EVALUATE)
        self._rng = np.random.default_rng((self._seed, evaluation, episode))

    def act(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the policy proposes for a state in physical units; zeros without weights."""
        if self._phase not in (Phase.EVALUATE, Phase.RECORD):
            self._take()
        if self._network is None or self._phase == Phase.RECORD:
            return np.zeros(self._action.dim, np.float32)
        deterministic = not self._explore or self._phase in (Phase.EVALUATE, Phase.RUN)
        normalised = self._observation.normalise(state)
        return self._network.act(normalised, self._rng, deterministic=deterministic)

    def _take(self) -> None:
        if self._waiting is not None:
            (self._network, self.data), self._waiting = self._waiting, None
