"""Trains a classifier on labelled frames.

Frames are few, so they are shown moved, lit otherwise and partly covered. Classes are drawn
equally often, whatever there is of each. The servos' state alone says much of a success, and a
classifier that listened to it alone would be pleased by a gripper closed on anything: so some
frames from the first half of an episode are shown with the state of a success, and stay what they
are. Later ones are not: a cube that is all but high enough looks, from the hand, as one that is,
and only the state tells.

How far it may be believed is found by the module ``validation``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_policy.augmentation import disturb, random_shift
from hilserl_policy.encoders import HEADS, EncoderSpec
from hilserl_reward.classifier import Classifier, ClassifierSpec, make_classifier
from hilserl_reward.frames import LabelledFrames, counts

_HARD = 4  # times that a frame is drawn which a person has overruled
_STATE_NOISE = 0.05  # deviations
_SEEN_NOISE = 0.01


@dataclass(frozen=True)
class TrainingSettings:
    """How a classifier is made."""

    classes: int = parameter(
        2, "2: success, or not; 3: failure is a class of its own, and earns -1", choices=(2, 3)
    )
    encoder: str = parameter(
        "learned",
        "a compact network trained on these frames, or a frozen backbone under a trained head",
        choices=("learned", "pretrained"),
    )
    head: str = parameter("projection", "what makes features of the trunk's maps", choices=HEADS)
    backbone: str = parameter("efficientnet_lite0", "of the pretrained encoder")
    backbone_weights: str = parameter("", "where its weights are, if not where they usually are")
    reduce: int = parameter(2, "images are averaged down by this factor", low=1, high=8)
    state: bool = parameter(True, "the classifier knows the servos' state as well as the images")
    mismatch: float = parameter(
        0.25,
        "share of the early frames without success that are shown with the state of one",
        low=0.0,
        high=1.0,
    )
    updates: int = parameter(600, "steps of Adam", low=1, high=1_000_000)
    batch_size: int = parameter(96, "frames in each", low=2, high=4096)
    learning_rate: float = parameter(1e-3, "of Adam, at its highest", low=1e-6, high=1.0)
    shift: int = parameter(3, "pixels of the reduced image by which it moves", low=0, high=32)
    views: int = parameter(
        4, "versions of each frame that a frozen backbone sees, made once", low=1, high=64
    )
    folds: int = parameter(
        3,
        "parts that the episodes are divided into to validate: each is judged by a classifier "
        "that has learned from the others alone",
        low=3,
        high=20,
    )
    false_positives: float = parameter(
        0.002, "share of unseen frames without it that may pass for a success", low=0.0, high=0.5
    )
    seed: int = parameter(0, "of everything random", low=0)


def encoder_spec(settings: TrainingSettings, frames: LabelledFrames) -> EncoderSpec:
    """The encoder of a classifier of these frames."""
    cameras, height, width = frames.size
    frozen = settings.encoder == "pretrained"
    own: dict[str, Any] = {
        "trunk": settings.backbone,
        "backbone_weights": settings.backbone_weights,
    }
    return EncoderSpec(
        cameras=tuple(f"image {number}" for number in range(cameras)),
        height=height,
        width=width,
        head=settings.head,
        reduce=settings.reduce,
        **(own if frozen else {}),
    )


class Source(Protocol):
    """Frames as training sees them."""

    def see(self, batch: NDArray[np.int64]) -> Tensor:
        """What is seen, (n, seen_dim), of some frames, differently each time."""


class _Frames:
    """Frames that all of the encoder learns from, varied anew each time."""

    def __init__(self, classifier: Classifier, images: NDArray[np.uint8], shift: int, seed: int):
        self._encoder, self._images, self._shift = classifier.encoder, images, shift
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)

    def images(self, batch: NDArray[np.int64]) -> Tensor:
        """Varied normalised images (cameras, n, 3, h, w)."""
        moved = random_shift(self._images[batch], self._rng, self._shift)
        return disturb(self._encoder.normalise(torch.from_numpy(moved)), self._generator)

    def see(self, batch: NDArray[np.int64]) -> Tensor:
        return self._encoder.see(self.images(batch), half=True)


class _Maps:
    """A frozen trunk's maps of some versions of each frame, made once: the head alone learns."""

    def __init__(self, classifier: Classifier, frames: _Frames, count: int, views: int, seed: int):
        self._encoder = classifier.encoder
        self._rng = np.random.default_rng(seed)
        self._views = [self._view(frames, count) for _ in range(views)]

    @torch.no_grad()
    def _view(self, frames: _Frames, count: int) -> NDArray[np.float16]:
        """(count, cameras, channels, height, width)."""
        parts = []
        for start in range(0, count, self._encoder.at_once):
            batch = np.arange(start, min(start + self._encoder.at_once, count))
            maps = self._encoder.maps(frames.images(batch))
            parts.append(torch.stack(maps, 1).half().numpy())
        return np.concatenate(parts)

    def see(self, batch: NDArray[np.int64]) -> Tensor:
        view = self._rng.integers(len(self._views), size=len(batch))
        maps = np.stack([self._views[v][i] for v, i in zip(view, batch, strict=True)])
        return self._encoder.read(list(torch.from_numpy(maps).float().unbind(1)))


def targets_of(frames: LabelledFrames, spec: ClassifierSpec) -> NDArray[np.int64]:
    """(n,), the class of each frame; with two classes a failure is no success and no more."""
    order = {int(label): number for number, label in enumerate(spec.classes)}
    return np.array([order.get(int(label), 0) for label in frames.label], np.int64)


def check_classes(frames: LabelledFrames, spec: ClassifierSpec) -> None:
    """Refuses frames of one class only.

    Raises:
        UserError: a class has no frame.
    """
    target = targets_of(frames, spec)
    for number, label in enumerate(spec.classes):
        if not (target == number).any():
            have = ", ".join(f"{n} {each.name}" for each, n in counts(frames.label).items())
            raise UserError(
                f"the labels hold no {label.name} ({have}): a classifier needs frames of every "
                "class: record or label some"
            )


def first_halves(frames: LabelledFrames) -> NDArray[np.bool_]:
    """Which frames are of the first half of what is labelled of their episode, (n,)."""
    index = np.array([place.index for place in frames.places])
    last = np.zeros(int(frames.episode.max()) + 1)
    np.maximum.at(last, frames.episode, index)
    return index < last[frames.episode] / 2


class Training:
    """One classifier's training.

    Args:
        classifier: changed in place.
        frames: to learn from.
        settings: of the training.
    """

    def __init__(self, classifier: Classifier, frames: LabelledFrames, settings: TrainingSettings):
        self._classifier, self._settings = classifier, settings
        self._target = targets_of(frames, classifier.spec)
        self._state = classifier.normalise(torch.from_numpy(frames.state))
        self._early = first_halves(frames)
        self._rng = np.random.default_rng(settings.seed)
        self._generator = torch.Generator().manual_seed(settings.seed)
        weight = np.where(frames.overruled, float(_HARD), 1.0)
        self._members = [
            (at, weight[at] / weight[at].sum())
            for at in (
                np.flatnonzero(self._target == number)
                for number in range(len(classifier.spec.classes))
            )
        ]
        varied = _Frames(classifier, frames.images, settings.shift, settings.seed)
        frozen = classifier.encoder.backbone is not None
        self._source: Source = (
            _Maps(classifier, varied, len(frames), settings.views, settings.seed)
            if frozen
            else varied
        )
        learned = [p for p in classifier.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(learned, settings.learning_rate, weight_decay=1e-3)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, settings.learning_rate, total_steps=settings.updates + 1
        )

    def run(self, tell: Callable[[float], None] = lambda loss: None) -> None:
        """Makes all updates; ``tell`` hears the loss of each."""
        self._classifier.train()
        for _ in range(self._settings.updates):
            tell(self._update())
        self._classifier.eval()

    def _update(self) -> float:
        batch = self._draw()
        target = torch.from_numpy(self._target[batch])
        seen = self._source.see(batch)
        seen = seen + _SEEN_NOISE * torch.randn(seen.shape, generator=self._generator)
        state = self._mismatched(batch)
        state = state + _STATE_NOISE * torch.randn(state.shape, generator=self._generator)
        loss = F.cross_entropy(self._classifier.decide(seen, state), target)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        return float(loss.detach())

    def _draw(self) -> NDArray[np.int64]:
        """A batch with as many frames of every class."""
        size = -(-self._settings.batch_size // len(self._members))
        parts = [self._rng.choice(at, size, p=weight) for at, weight in self._members]
        return np.concatenate(parts)

    def _mismatched(self, batch: NDArray[np.int64]) -> Tensor:
        """States (n, state_dim), some of early frames without success replaced by those of one."""
        success = len(self._members) - 1
        free = self._early[batch] & (self._target[batch] != success)
        given = free & (self._rng.random(len(batch)) < self._settings.mismatch)
        at, weight = self._members[success]
        batch = np.where(given, self._rng.choice(at, len(batch), p=weight), batch)
        return self._state[torch.from_numpy(batch)]


def new_classifier(frames: LabelledFrames, settings: TrainingSettings) -> Classifier:
    """An untrained classifier that fits the frames."""
    spec = ClassifierSpec(
        encoder=encoder_spec(settings, frames),
        state_dim=frames.state.shape[1],
        use_state=settings.state,
        three=settings.classes == 3,
    )
    classifier = make_classifier(spec, settings.seed)
    classifier.know(frames.state)
    return classifier
