"""The update where the critics train the encoder: DrQ's random shift, and one more gradient.

After DrQ and DrQ-v2 (arXiv 2004.13649 and 2107.09645). Each camera's picture is moved by a few
pixels at random, those of an observation and of the next one independently. The critics'
loss reaches the encoder; the actor sees its features as they are, for its own loss would bend
them to what it does already. The target's features come from the encoder as it is now, as
in DrQ-v2: the moving average of the critics alone keeps the target calm, and no second
encoder has to be averaged and run (SERL averages both).

The cloning that comes before the first critic update reaches the encoder too: nothing has
taught it to see by then. It foretells nothing, for no loss would teach it that, and sees the
frames alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from hilserl_learner.losses import critic_loss
from hilserl_learner.metrics import critic_record
from hilserl_learner.optimise import Trained, descend
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac, State
from hilserl_policy.augmentation import random_shift
from hilserl_policy.encoders import Encoder
from hilserl_policy.mlp import Masks, Parameters, Tape
from hilserl_policy.networks import Architecture, critic_forward
from hilserl_replay.buffer import Batch


@dataclass(frozen=True)
class _Look:
    """Features of frames, and the parameters that they came from.

    Attributes:
        columns: of the networks' inputs, where the features stand.
    """

    features: Tensor
    leaves: list[Tensor]
    columns: slice

    def gradients(self, features: Tensor) -> list[Tensor]:
        """Of the encoder's parameters, from the features' (batch, feature_dim)."""
        return list(torch.autograd.grad(self.features, self.leaves, features))


def _with(batch: Batch, features: Tensor) -> Batch:
    return batch._replace(state=torch.cat((batch.state, features), 1))


class PixelSac(Sac):
    """The update on batches with frames, whose states come without features.

    Args:
        architecture: of actor and critics; its states end with the encoder's features.
        settings: everything else.
        encoder: trained in place, so that it is at any time the one to act with.
        shift: pixels of a frame by which pictures are moved, at most.
        seed: of the networks' first parameters and of the noise.
        device: where it learns; the encoder goes there.
    """

    def __init__(
        self,
        architecture: Architecture,
        settings: AlgorithmParameters,
        encoder: Encoder,
        shift: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        super().__init__(architecture, settings, seed, device)
        self.encoder, self._shift = encoder.to(self.device), shift
        parameters = {name: value.detach() for name, value in encoder.named_parameters()}
        with self.device:
            self.state = self.state._replace(vision=Trained.start(parameters))

    # The updates, with features in the place of frames.

    def _see(self, parameters: Parameters, frames: Tensor, state: Tensor) -> Tensor:
        """Features (batch, feature_dim) of frames (batch, cameras, 3, h, w)."""
        seen = self.encoder.normalise(frames), state
        features: Tensor = functional_call(self.encoder, parameters, seen, {"half": True})
        return features

    def _seen(self, state: State, batch: Batch) -> Batch:
        """The batch with the features of its frames in its states."""
        assert state.vision is not None
        features = self._see(state.vision.parameters, batch.frames, batch.state)
        return _with(batch, features)

    def _look(self, vision: Trained, batch: Batch) -> tuple[Batch, _Look]:
        """The same, and how the encoder's gradient follows from that of the features."""
        with torch.enable_grad():
            leaves = {
                name: value.detach().requires_grad_() for name, value in vision.parameters.items()
            }
            features = self._see(leaves, batch.frames, batch.state)
        columns = slice(batch.state.shape[1], batch.state.shape[1] + features.shape[1])
        look = _Look(features, list(leaves.values()), columns)
        return _with(batch, features.detach()), look

    def update_critic(
        self,
        state: State,
        batch: Batch,
        noise: Tensor,
        subset: Tensor,
        target_dropout: Masks = (),
        dropout: Masks = (),
    ) -> Tensor:
        """Moves critics and encoder towards the target; returns its ``critic_record``."""
        assert state.vision is not None
        following = self._see(state.vision.parameters, batch.next_frames, batch.next_state)
        ahead = batch._replace(next_state=torch.cat((batch.next_state, following), 1))
        target = self.critic_target(state, ahead, noise, subset, target_dropout)
        seen, looked = self._look(state.vision, batch)
        tape = Tape()
        q = critic_forward(
            state.critic.parameters, seen.state, batch.action, self.architecture, dropout, tape
        )
        loss, taken, gradient = critic_loss(q, batch.gripper, target)
        own, features = tape.all_gradients(gradient, looked.columns)
        rate, limit = self.settings.learning_rate, self.settings.gradient_limit
        descend(state.critic, own, rate, limit)
        descend(state.vision, looked.gradients(features), rate, limit)
        return critic_record(loss, taken, target, batch)

    def update_by_cloning(self, state: State, batch: Batch) -> Tensor:
        """Moves actor and encoder towards people's actions alone; returns the (1,) loss."""
        assert state.vision is not None
        seen, looked = self._look(state.vision, batch)
        tape = Tape()
        loss, gradient = self.cloning_loss(state.actor.parameters, seen, tape)
        own, features = tape.all_gradients(gradient, looked.columns)
        rate, limit = self.settings.cloning_learning_rate, self.settings.gradient_limit
        descend(state.actor, own, rate, limit)
        descend(state.vision, looked.gradients(features), rate, limit)
        return loss[None]

    def actor_step(self, state: State, batch: Batch, noise: Tensor, dropout: Masks) -> Tensor:
        """As without pixels, on the features as they are."""
        return super().actor_step(state, self._seen(state, batch), noise, dropout)

    def cloning_step(self, state: State, batch: Batch) -> Tensor:
        """Actor and encoder, and the model of people, which sees the features as they are."""
        if state.restraint is not None:
            self.update_people(state, self._seen(state, batch))
        return self.update_by_cloning(state, batch)

    # What callers use: the same, on pictures that have been moved.

    @property
    def acting(self) -> Parameters:
        """The trained actor: an average would read features of encoders that are gone."""
        return self.state.actor.parameters

    def _moved(self, frames: Tensor) -> Tensor:
        """The frames, each picture moved by itself."""
        # What the generator says goes into checkpoints.
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.device))
        rng = np.random.default_rng(seed)
        return torch.from_numpy(random_shift(frames.numpy(), rng, self._shift))

    def critic_update(self, batch: Batch) -> Tensor:
        frames, following = self._moved(batch.frames), self._moved(batch.next_frames)
        return super().critic_update(batch._replace(frames=frames, next_frames=following))

    def actor_update(self, batch: Batch) -> Tensor:
        return super().actor_update(batch._replace(frames=self._moved(batch.frames)))

    def cloning_update(self, batch: Batch) -> Tensor:
        return super().cloning_update(batch._replace(frames=self._moved(batch.frames)))
