"""Teaches an encoder what matters in a run's frames, from what the run itself tells.

Nobody labels anything. What a frame should reveal, together with the servos' state, is what
happened next: the action that was taken and where the hand went shortly after, if a person
drove or the policy needed no help; where the hand was when the gripper closed for good and
when the task was done, in every success, for that is where the object and the goal were;
and how soon that was. A coarse reconstruction keeps in what no label names yet.

A run has thousands of frames but only hundreds of episodes, each with a background of its
own that an encoder could learn by heart. So pictures are laid over one another and patches
are cut out while it learns (``material``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hilserl_core.spec import ActionSpec, ObservationSpec, gripper_choice
from hilserl_core.step import Episode, Outcome, Source
from hilserl_learner.material import COARSE, Material
from hilserl_policy.encoders import Encoder
from hilserl_policy.layers import mlp

Floats = NDArray[np.float32]

AHEAD = (4, 8)
"""Ticks ahead at which the hand's place is asked for; the gripper's last closing and the
episode's end come on top."""
TARGETS = len(AHEAD) + 2
PROGRESS_DISCOUNT = 0.95


@dataclass(frozen=True)
class RepresentationSettings:
    """How an encoder is trained.

    Attributes:
        batch_size: frames in an update.
        learning_rate: of Adam.
        shift: pixels of the reduced frame by which images move at random. A wrist camera
            sees a centimetre in three pixels: more would blur what is to be learned. Under a
            frozen trunk nothing moves (``material.MapMaterial`` says why).
        feature_noise: deviation of noise on features, for they are stored coarsely and
            read by networks that should not depend on their last digit.
        action, future, progress, reconstruction: weights of the losses.
    """

    batch_size: int = 128
    learning_rate: float = 2e-3
    shift: int = 1
    feature_noise: float = 0.01
    action: float = 0.3
    future: float = 1.0
    progress: float = 0.3
    reconstruction: float = 0.3


@dataclass(frozen=True)
class Labels:
    """What an episode of n observations tells of each of its frames.

    Attributes:
        state: (n, state_dim), normalised.
        action: (n, arm_dim); zeros on the last.
        choice: (n,) int64, of the gripper.
        taught: (n,), 1 where the action is worth imitating: a person chose it, or it led to
            success without help.
        future: (n, targets, place_dim), where the hand will be, less where it is.
        foreseen: (n, targets), 1 where that is worth learning: the episode succeeded, or a
            person drove.
        progress: (n,), the discount to the power of the ticks to success.
        succeeded: (n,), 1 in a successful episode.
    """

    state: Floats
    action: Floats
    choice: NDArray[np.int64]
    taught: Floats
    future: Floats
    foreseen: Floats
    progress: Floats
    succeeded: Floats


def _place(observation: ObservationSpec) -> slice:
    """Where in the state the hand's place is; all of the state where no field is named so."""
    return observation.slices.get("tool_position", slice(0, observation.state_dim))


def future_dim(observation: ObservationSpec) -> int:
    """Numbers that are foretold of an observation."""
    place = _place(observation)
    return TARGETS * (place.stop - place.start)


def labels_of(episode: Episode, observation: ObservationSpec, action: ActionSpec) -> Labels:
    """The labels of an episode's observations, the last one included."""
    steps = episode.steps
    n, ticks = len(steps), np.arange(len(steps))
    state = observation.normalise(np.stack([step.observation.state for step in steps]))
    arm, choice = np.zeros((n, action.arm_dim), np.float32), np.ones(n, np.int64)
    people = np.zeros(n, np.float32)
    for i, step in enumerate(steps[:-1]):
        arm[i] = step.action[: action.arm_dim]
        people[i] = step.source != Source.POLICY
        if action.gripper:
            choice[i] = gripper_choice(step.action[-1])
    succeeded = np.full(n, episode.outcome == Outcome.SUCCESS, np.float32)
    targets = [np.minimum(ticks + ahead, n - 1) for ahead in AHEAD]
    targets += [_last_closing(state, observation), np.full(n, n - 1)]
    place = state[:, _place(observation)]
    future = np.stack([place[at] - place for at in targets], 1)
    unaided = float(episode.outcome == Outcome.SUCCESS and not people.any())
    taught = np.maximum(people, unaided).astype(np.float32)
    taught[-1] = 0.0  # the last observation is not acted on
    foreseen = np.stack([taught] * len(AHEAD) + [succeeded] * 2, 1)
    return Labels(
        state=state.astype(np.float32),
        action=arm,
        choice=choice,
        taught=taught,
        future=future.astype(np.float32),
        foreseen=foreseen,
        progress=(PROGRESS_DISCOUNT ** (n - 1 - ticks)).astype(np.float32),
        succeeded=succeeded,
    )


def _last_closing(state: Floats, observation: ObservationSpec) -> NDArray[np.int64]:
    """For each tick, the one at which the gripper is last told to close; the end afterwards."""
    n = len(state)
    at, ticks = observation.slices.get("gripper_command"), np.arange(n)
    if at is None:
        return np.full(n, n - 1)
    closed = state[:, at][:, 0] > 0
    closings = np.flatnonzero(closed[1:] & ~closed[:-1])
    last = closings[-1] if len(closings) else n - 1
    return np.where(ticks <= last, last, n - 1)


class Teacher:
    """Trains one encoder, a batch at a time.

    Args:
        encoder: changed in place.
        observation, action: the run's specs.
        settings: of the training.
        seed: of batches and noise.
    """

    def __init__(
        self,
        encoder: Encoder,
        observation: ObservationSpec,
        action: ActionSpec,
        settings: RepresentationSettings,
        seed: int = 0,
    ):
        self.encoder, self.settings = encoder, settings
        self._arm = action.arm_dim
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._place_dim = future_dim(observation) // TARGETS
        seen, state = encoder.spec.seen_dim, observation.state_dim
        images = len(encoder.spec.cameras) * 3 * COARSE**2
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            # An encoder without foresight learns from the future all the same.
            own = 0 if encoder.spec.foresight else future_dim(observation)
            self._ahead = mlp(seen + state, (128, 128), own) if own else None
            self._head = mlp(seen + state, (128, 128), self._arm + 3 + 1)
            self._decoder = nn.Sequential(nn.Linear(seen, 256), nn.ReLU(), nn.Linear(256, images))
        modules = [encoder, self._head, self._decoder]
        if self._ahead is not None:
            modules.append(self._ahead)
        learned = [p for module in modules for p in module.parameters() if p.requires_grad]
        self._optimiser = torch.optim.Adam(learned, settings.learning_rate)
        self._labels: Labels | None = None
        self._scale = torch.ones(TARGETS, self._place_dim)
        self.losses: dict[str, float] = {}

    def know(self, labels: Sequence[Labels]) -> None:
        """Takes the labels of all frames, in the frames' order."""
        parts = {
            name: np.concatenate([getattr(each, name) for each in labels])
            for name in Labels.__dataclass_fields__
        }
        if self._labels is None:
            spread = np.sqrt((parts["future"] ** 2).mean(0))
            self._scale = torch.from_numpy(1 / np.maximum(spread, 1e-3))
        self._labels = Labels(**parts)

    def update(self, material: Material) -> None:
        """One step of Adam on a batch of the material, all of which is known."""
        assert self._labels is not None
        assert len(material) == len(self._labels.state)
        settings, labels = self.settings, self._labels
        batch = self._rng.integers(len(material), size=settings.batch_size)
        batch.sort()  # what lies near one another on disk is read together
        seen, pictures = material.look(batch, self._rng, self._generator)
        noise = torch.randn(seen.shape, generator=self._generator)
        seen = seen + settings.feature_noise * noise
        state = torch.from_numpy(labels.state[batch])
        both = torch.cat((seen, state), 1)
        out = self._head(both)
        told = self._ahead(both) if self._ahead else self.encoder.foretell(seen, state)
        losses = {
            "action": settings.action * self._action_loss(out, batch),
            "future": settings.future * self._future_loss(told, batch),
            "progress": settings.progress * self._progress_loss(out, batch),
            "reconstruction": settings.reconstruction
            * (self._decoder(seen) - pictures).square().mean(),
        }
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        self._optimiser.step()
        self.losses = {name: float(value.detach()) for name, value in losses.items()}

    def _action_loss(self, out: Tensor, batch: NDArray[np.int64]) -> Tensor:
        assert self._labels is not None
        taught = torch.from_numpy(self._labels.taught[batch])
        share = taught / taught.sum().clamp(min=1.0)
        wanted = torch.from_numpy(self._labels.action[batch])
        error = (out[:, : self._arm] - wanted).square().mean(1)
        choice = torch.from_numpy(self._labels.choice[batch])
        logits = out[:, self._arm : self._arm + 3]
        return (share * (error + 0.3 * F.cross_entropy(logits, choice, reduction="none"))).sum()

    def _future_loss(self, told: Tensor, batch: NDArray[np.int64]) -> Tensor:
        assert self._labels is not None
        foreseen = torch.from_numpy(self._labels.foreseen[batch])
        wanted = torch.from_numpy(self._labels.future[batch]) * self._scale
        told = told.view(-1, TARGETS, self._place_dim)
        error = F.smooth_l1_loss(told, wanted, reduction="none").mean(2)
        return (foreseen * error).sum() / foreseen.sum().clamp(min=1.0)

    def _progress_loss(self, out: Tensor, batch: NDArray[np.int64]) -> Tensor:
        assert self._labels is not None
        succeeded = torch.from_numpy(self._labels.succeeded[batch])
        error = (out[:, self._arm + 3] - torch.from_numpy(self._labels.progress[batch])).square()
        return (succeeded * error).sum() / succeeded.sum().clamp(min=1.0)
