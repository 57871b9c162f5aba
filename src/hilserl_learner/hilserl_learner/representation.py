"""Teaches an encoder what matters in a run's frames, from what the run itself tells.

Nobody labels anything. What a frame should reveal, together with the servos' state, is what
happened next: the action that a person took, where the hand went shortly after, where it
was when the gripper next changed and when the task was done, and how soon that was. Where
the hand closed is where the object was. A coarse reconstruction keeps in what no label
names yet.
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

Floats = NDArray[np.float32]

AHEAD = (4, 8)
"""Ticks ahead at which the hand's place is asked for; the gripper's next change and the
episode's end come on top."""
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
    learning_rate: float = 1e-3
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
        taught: (n,), 1 where a person chose the action.
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


def labels_of(episode: Episode, observation: ObservationSpec, action: ActionSpec) -> Labels:
    """The labels of an episode's observations, the last one included."""
    steps = episode.steps
    n, ticks = len(steps), np.arange(len(steps))
    state = observation.normalise(np.stack([step.observation.state for step in steps]))
    arm, choice = np.zeros((n, action.arm_dim), np.float32), np.ones(n, np.int64)
    taught = np.zeros(n, np.float32)
    for i, step in enumerate(steps[:-1]):
        arm[i] = step.action[: action.arm_dim]
        taught[i] = step.source != Source.POLICY
        if action.gripper:
            choice[i] = gripper_choice(step.action[-1])
    succeeded = np.full(n, episode.outcome == Outcome.SUCCESS, np.float32)
    targets = [np.minimum(ticks + ahead, n - 1) for ahead in AHEAD]
    targets += [_next_change(state, observation), np.full(n, n - 1)]
    place = state[:, _place(observation)]
    future = np.stack([place[at] - place for at in targets], 1)
    # Of what a person did, the near future alone is known to have been meant.
    near = np.array([1.0] * len(AHEAD) + [0.0, 0.0], np.float32)
    foreseen = np.maximum(succeeded[:, None], taught[:, None] * near)
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


def _next_change(state: Floats, observation: ObservationSpec) -> NDArray[np.int64]:
    """For each tick, the last tick before the gripper is told otherwise, or the episode's last."""
    n = len(state)
    at = observation.slices.get("gripper_command")
    if at is None:
        return np.full(n, n - 1)
    closed = state[:, at][:, 0] > 0
    result, change = np.empty(n, np.int64), n - 1
    for i in range(n - 1, -1, -1):
        if i < n - 1 and closed[i + 1] != closed[i]:
            change = i
        result[i] = change
    return result


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
        place = _place(observation)
        self._targets, self._place_dim = len(AHEAD) + 2, place.stop - place.start
        features, state = encoder.spec.feature_dim, observation.state_dim
        outputs = self._arm + 3 + 1 + self._targets * self._place_dim
        images = len(encoder.spec.cameras) * 3 * COARSE**2
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._head = _mlp(features + state, (128, 128), outputs)
            self._decoder = nn.Sequential(
                nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, images)
            )
        modules = (encoder, self._head, self._decoder)
        learned = [p for module in modules for p in module.parameters() if p.requires_grad]
        self._optimiser = torch.optim.Adam(learned, settings.learning_rate)
        self._labels: Labels | None = None
        self._scale = torch.ones(self._targets, self._place_dim)
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
        features, pictures = material.look(batch, self._rng, self._generator)
        noise = torch.randn(features.shape, generator=self._generator)
        features = features + settings.feature_noise * noise
        state = torch.from_numpy(labels.state[batch])
        out = self._head(torch.cat((features, state), 1))
        losses = {
            "action": settings.action * self._action_loss(out, batch),
            "future": settings.future * self._future_loss(out, batch),
            "progress": settings.progress * self._progress_loss(out, batch),
            "reconstruction": settings.reconstruction
            * (self._decoder(features) - pictures).square().mean(),
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

    def _future_loss(self, out: Tensor, batch: NDArray[np.int64]) -> Tensor:
        assert self._labels is not None
        foreseen = torch.from_numpy(self._labels.foreseen[batch])
        wanted = torch.from_numpy(self._labels.future[batch]) * self._scale
        told = out[:, self._arm + 4 :].view(-1, self._targets, self._place_dim)
        error = F.smooth_l1_loss(told, wanted, reduction="none").mean(2)
        return (foreseen * error).sum() / foreseen.sum().clamp(min=1.0)

    def _progress_loss(self, out: Tensor, batch: NDArray[np.int64]) -> Tensor:
        assert self._labels is not None
        succeeded = torch.from_numpy(self._labels.succeeded[batch])
        error = (out[:, self._arm + 3] - torch.from_numpy(self._labels.progress[batch])).square()
        return (succeeded * error).sum() / succeeded.sum().clamp(min=1.0)


def _mlp(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Layers with LayerNorm and ReLU, and a linear one at the end."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.LayerNorm(size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
