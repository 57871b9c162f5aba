"""An encoder's training over a growing run: episodes in, refreshed encoders out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_core.spec import ActionSpec, ObservationSpec
from hilserl_core.step import Episode
from hilserl_learner.material import make_material
from hilserl_learner.representation import Labels, RepresentationSettings, Teacher, labels_of
from hilserl_policy.encoders import Encoder
from hilserl_policy.weights import encoder_arrays, encoder_metadata, read_encoder, read_metadata

_FEATURES, _INDICES = "features", "indices"

Key = tuple[str, int, int]
"""A run's name, an episode's number, and how many of its observations were encoded."""


@dataclass(frozen=True)
class Refresh:
    """A new version of the encoder, with the features that it makes of what was recorded.

    Attributes:
        encoder: with its ``hash``.
        keys: the episodes encoded, in the order of what follows.
        indices: (observations,) int32, of each step in its episode.
        features: (observations, feature_dim) float16.
    """

    encoder: Encoder
    hash: str
    keys: tuple[Key, ...]
    indices: NDArray[np.int32]
    features: NDArray[np.float16]


def write_refresh(path: Path, refresh: Refresh) -> None:
    """Writes a refresh, whole or not at all."""
    metadata = {**encoder_metadata(refresh.encoder), "keys": json.dumps(refresh.keys)}
    made = {_FEATURES: refresh.features, _INDICES: refresh.indices}
    write_aside(path, save({**encoder_arrays(refresh.encoder), **made}, metadata))


def read_refresh(path: Path) -> Refresh:
    """Reads what ``write_refresh`` wrote.

    Raises:
        UserError: the file is damaged.
    """
    try:
        data = path.read_bytes()
        metadata, arrays = read_metadata(data), load(data)
        features, indices = arrays.pop(_FEATURES), arrays.pop(_INDICES)
        keys = tuple((str(run), int(at), int(n)) for run, at, n in json.loads(metadata["keys"]))
        encoder = read_encoder(metadata, arrays)
    except (OSError, SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no refreshed encoder ({error}): delete it") from None
    if encoder is None or encoder.hash() != metadata["encoder_hash"]:
        raise UserError(f"{path} is damaged: its encoder does not match its hash: delete it")
    return Refresh(encoder, metadata["encoder_hash"], keys, indices, features)


class EncoderTraining:
    """Holds what a run's frames show and their labels, and one encoder that learns from them.

    Args:
        encoder: to start from.
        observation, action: the run's specs.
        settings: of the training.
        folder: for the files that hold what the frames show.
        seed: of batches and noise.
    """

    def __init__(
        self,
        encoder: Encoder,
        observation: ObservationSpec,
        action: ActionSpec,
        settings: RepresentationSettings,
        folder: Path,
        seed: int = 0,
    ):
        self.encoder = encoder
        self._observation, self._action = observation, action
        self._material = make_material(encoder, settings.shift, folder)
        self._labels: list[Labels] = []
        self._known = 0  # labels that the teacher has
        self._keys: list[Key] = []
        self._indices: list[int] = []
        self._teacher = Teacher(encoder, observation, action, settings, seed)

    def __len__(self) -> int:
        return len(self._material)

    @property
    def losses(self) -> dict[str, float]:
        """Of the newest update, by name."""
        return self._teacher.losses

    def add_episode(self, episode: Episode) -> None:
        """Takes an episode that has ended."""
        observations = [step.observation for step in episode.steps]
        self._material.add(np.stack([self.encoder.prepare(each) for each in observations]))
        self._labels.append(labels_of(episode, self._observation, self._action))
        first = episode.steps[0]
        self._keys.append((first.run, first.episode, len(observations)))
        self._indices += [step.index for step in episode.steps]

    def train(self, updates: int, tell: Callable[[int], None] = lambda done: None) -> None:
        """Makes updates on all frames so far; ``tell`` hears how many are done."""
        if self._known != len(self._labels):
            self._teacher.know(self._labels)
            self._known = len(self._labels)
        for update in range(updates):
            self._teacher.update(self._material)
            tell(update + 1)

    def refresh(self) -> Refresh:
        """The encoder as it is now, with the features of all frames."""
        states = np.concatenate([labels.state for labels in self._labels])
        features, indices = self._material.features(states), np.array(self._indices, np.int32)
        return Refresh(self.encoder, self.encoder.hash(), tuple(self._keys), indices, features)
