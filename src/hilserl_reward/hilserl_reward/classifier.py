"""The classifier: what the cameras and the servos show, as probabilities of labels.

It sees with an encoder as the policy's is made, an own one: the policy's changes while it
learns, and a judge must not. What the encoder sees of every camera and, where wanted, the
servos' state go through a small network.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor, nn

from hilserl_core.errors import UserError
from hilserl_core.labels import Label
from hilserl_core.run import write_aside
from hilserl_core.step import Observation
from hilserl_policy.encoders import Encoder, EncoderSpec, make_encoder
from hilserl_policy.layers import mlp
from hilserl_policy.weights import encoder_arrays, encoder_metadata, read_encoder, read_metadata

FORMAT = "hilserl-classifier-1"
_LIMIT = 5.0  # deviations at which a state is clipped: a glitch must not decide
_OWN = ("mean", "deviation")


class ClassifierError(UserError):
    """A classifier's file is damaged, or it does not fit what it is to judge."""


@dataclass(frozen=True)
class ClassifierSpec:
    """The shapes of a classifier, and when it is sure.

    Attributes:
        encoder: what it sees with.
        state_dim: numbers in an observation's state.
        use_state: whether it knows the state, or the images alone.
        three: whether failures are a class of their own; else there is success and the rest.
        hidden: units in each of the two layers.
        temperature: by which logits are divided, so that probabilities are right.
        success, failure: least probability of each for it to be said.
    """

    encoder: EncoderSpec
    state_dim: int
    use_state: bool = True
    three: bool = False
    hidden: int = 64
    temperature: float = 1.0
    success: float = 0.5
    failure: float = 0.5

    @property
    def classes(self) -> tuple[Label, ...]:
        """In the order of the probabilities."""
        return tuple(Label) if self.three else (Label.NEITHER, Label.SUCCESS)

    def verdict(self, probabilities: NDArray[np.float32]) -> Label:
        """What probabilities (classes,) say, where they are sure enough."""
        if probabilities[-1] >= self.success:
            return Label.SUCCESS
        if self.three and probabilities[0] >= self.failure:
            return Label.FAILURE
        return Label.NEITHER

    @classmethod
    def read(cls, settings: dict[str, Any]) -> ClassifierSpec:
        """The spec of which ``dataclasses.asdict`` went through JSON."""
        return cls(**{**settings, "encoder": EncoderSpec.read(settings["encoder"])})


class Classifier(nn.Module):
    """Encoder, normalisation of the state, and a small network.

    Args:
        spec: shapes; its numbers may be replaced once they are known.
        encoder: the one that ``spec.encoder`` describes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, spec: ClassifierSpec, encoder: Encoder) -> None:
        super().__init__()
        self.spec, self.encoder = spec, encoder
        self.register_buffer("mean", torch.zeros(spec.state_dim))
        self.register_buffer("deviation", torch.ones(spec.state_dim))
        known = spec.encoder.seen_dim + (spec.state_dim if spec.use_state else 0)
        self.head = mlp(known, (spec.hidden, spec.hidden), len(spec.classes))

    def know(self, state: NDArray[np.float32]) -> None:
        """Takes mean and deviation of states (n, state_dim) to normalise by."""
        self.mean.copy_(torch.from_numpy(state.mean(0)))
        self.deviation.copy_(torch.from_numpy(np.maximum(state.std(0), 1e-3)))

    def normalise(self, state: Tensor) -> Tensor:
        """States (n, state_dim) in physical units, about 0."""
        return ((state - self.mean) / self.deviation).clamp(-_LIMIT, _LIMIT)

    def decide(self, seen: Tensor, state: Tensor) -> Tensor:
        """Logits (n, classes) of what is seen, (n, seen_dim), and normalised states."""
        result: Tensor = self.head(torch.cat((seen, state), 1) if self.spec.use_state else seen)
        return result

    @torch.no_grad()
    def logits(self, images: NDArray[np.uint8], state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, classes) of frames (n, cameras, 3, h, w) and states in physical units."""
        self.eval()
        at_once = self.encoder.at_once
        parts = [np.zeros((0, len(self.spec.classes)), np.float32)]
        for start in range(0, len(images), at_once):
            part = torch.from_numpy(images[start : start + at_once])
            seen = self.encoder.see(self.encoder.normalise(part))
            known = self.normalise(torch.from_numpy(state[start : start + at_once]))
            parts.append(self.decide(seen, known).numpy())
        return np.concatenate(parts)

    def probabilities(
        self, images: NDArray[np.uint8], state: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Probabilities (n, classes), calibrated; arguments as for ``logits``."""
        return softmax(self.logits(images, state) / self.spec.temperature)

    def judge(self, observation: Observation) -> NDArray[np.float32]:
        """Probabilities (classes,) of one observation.

        Raises:
            UserError: its images or its state do not fit.
        """
        state = observation.state
        if state.shape != (self.spec.state_dim,) or not np.isfinite(state).all():
            raise ClassifierError(
                f"a state of {state.size} numbers does not fit the classifier, which knows "
                f"{self.spec.state_dim}, all finite: train it on runs of this robot"
            )
        return self.probabilities(self.encoder.prepare(observation)[None], state[None])[0]


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Along the last axis."""
    exponent = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponent / exponent.sum(-1, keepdims=True)).astype(np.float32)


def make_classifier(spec: ClassifierSpec, seed: int = 0) -> Classifier:
    """An untrained classifier."""
    encoder = make_encoder(spec.encoder, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(spec, encoder)


def save_classifier(path: Path, classifier: Classifier, notes: Mapping[str, str]) -> None:
    """Writes a classifier as safetensors, whole or not at all.

    Args:
        notes: what the file says of itself besides.

    Raises:
        UserError: the file cannot be written.
    """
    spec = classifier.spec
    metadata = {
        **notes,
        **encoder_metadata(classifier.encoder),
        "format": FORMAT,
        "classifier": json.dumps(dataclasses.asdict(spec)),
    }
    own = {
        name: np.ascontiguousarray(value.detach().numpy(), np.float32)
        for name, value in classifier.state_dict().items()
        if not name.startswith("encoder.")
    }
    try:
        write_aside(path, save({**own, **encoder_arrays(classifier.encoder)}, metadata))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None


def load_classifier(path: Path) -> Classifier:
    """Reads what ``save_classifier`` wrote.

    Raises:
        UserError: the file is missing, damaged, or no classifier.
    """
    try:
        data = path.read_bytes()
        metadata, arrays = read_metadata(data), load(data)
    except OSError as error:
        raise ClassifierError(
            f"{path}: {error.strerror or error}: name a file that 'hilserl run hilserl_reward "
            "train' wrote"
        ) from None
    except (SafetensorError, ValueError, AttributeError) as error:
        raise ClassifierError(f"{path}: is damaged ({error}): train again") from None
    if metadata.get("format") != FORMAT:
        raise ClassifierError(f"{path}: is no classifier of this version: train again")
    spec = ClassifierSpec.read(json.loads(metadata["classifier"]))
    encoder = read_encoder(metadata, arrays)
    assert encoder is not None
    if encoder.hash() != metadata["encoder_hash"]:
        raise ClassifierError(f"{path}: is damaged, its encoder is another: train again")
    classifier = Classifier(spec, encoder)
    own = {name: value for name, value in arrays.items() if not name.startswith("encoder.")}
    _fill(classifier, own, path)
    return classifier.eval()


def _fill(classifier: Classifier, own: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Puts weights into a classifier, checked."""
    expected = {
        name: value
        for name, value in classifier.state_dict().items()
        if not name.startswith("encoder.")
    }
    odd = sorted(set(expected) ^ set(own))
    odd += [name for name in expected if name in own and expected[name].shape != own[name].shape]
    odd += [name for name in own if not np.isfinite(own[name]).all()]
    if odd:
        raise ClassifierError(f"{path}: its '{odd[0]}' does not fit: train again")
    classifier.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in own.items()}, strict=False
    )
