"""Which weights act, and their samples; free of ROS."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Container
from pathlib import Path

import numpy as np

from hilserl_core.episode_loop import Proposal
from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, ObservationSpec, run_spec_hash
from hilserl_core.step import Observation, Phase
from hilserl_policy.weights import Policy, decode

EVALUATED = "evaluated.safetensors"
"""The policy that a run ended with, in its checkpoints folder."""


class Actor:
    """Proposes actions; takes new weights up between two episodes' ticks.

    While an evaluation is under way its weights stay as they were at its start.

    Args:
        observation, action: the run's specs.
        seed: of the samples.
        sampled: phases in which actions are samples; in the others they are the mean.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        observation: ObservationSpec,
        action: ActionSpec,
        seed: int,
        sampled: Container[Phase] = (Phase.TRAIN,),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observation = observation
        self._action = action
        self._seed = seed
        self._sampled = sampled
        self._policy: Policy | None = None
        self._waiting: tuple[Policy, bytes] | None = None
        self._clock = clock
        self._arrived = clock()  # when the weights did that were taken last, or are waiting
        self._taken = clock()  # the same of those that act
        self._ages: list[float] = []
        self._phase = Phase.TRAIN
        self._rng = np.random.default_rng(seed)
        self.data = b""

    @property
    def spec(self) -> str:
        return run_spec_hash(self._observation, self._action)

    @property
    def version(self) -> int:
        """Version of the weights that act; 0 before the first."""
        return self._policy.version if self._policy else 0

    @property
    def mean_age(self) -> float | None:
        """s since the acting weights arrived, the mean over the episode's steps."""
        return statistics.fmean(self._ages) if self._ages else None

    @property
    def ready(self) -> bool:
        return self._policy is not None or self._waiting is not None

    def load(self, data: bytes, checksum: str | None = None) -> None:
        """Takes weights for the next tick that may change them.

        Raises:
            UserError: they are damaged or of another run; the old ones go on acting.
        """
        known = self._waiting[0] if self._waiting is not None else self._policy
        policy = decode(data, self.spec, checksum, known)
        sees = bool(self._observation.images)
        expected = policy.encoder.spec.feature_dim if policy.encoder is not None else 0
        inputs = policy.network.architecture.state_dim
        if sees != (policy.encoder is not None) or inputs != self._observation.state_dim + expected:
            raise UserError(
                f"weights read {inputs} numbers, of which {expected} are features; this run's "
                f"observation has a state of {self._observation.state_dim} numbers and "
                f"{len(self._observation.images)} images: use what they were trained with"
            )
        self._waiting, self._arrived = (policy, data), self._clock()

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
        self._ages.clear()
        if not frozen or self._policy is None:
            self._take()
        evaluation = int(phase == Phase.EVALUATE)
        self._rng = np.random.default_rng((self._seed, evaluation, episode))

    def act(self, observation: Observation) -> Proposal:
        """What the policy proposes; zeros without weights, and while people demonstrate.

        Raises:
            UserError: an image does not fit the encoder.
        """
        if self._phase not in (Phase.EVALUATE, Phase.RECORD):
            self._take()
        policy = self._policy
        if policy is None or self._phase == Phase.RECORD:
            return Proposal(np.zeros(self._action.dim, np.float32))
        self._ages.append(self._clock() - self._taken)
        mean = self._phase not in self._sampled
        values, features = policy.act(self._observation, observation, self._rng, mean)
        return Proposal(values, features, policy.encoder_hash, policy.version)

    def _take(self) -> None:
        if self._waiting is not None:
            (self._policy, self.data), self._waiting = self._waiting, None
            self._taken = self._arrived
