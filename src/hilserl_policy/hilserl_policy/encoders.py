"""From camera images to features: one interface, a trunk of convolutions under a head.

An image is encoded once for a version of the encoder, where it is first seen. The features
travel with the step and are what learning works on, so that an update costs what small
networks cost, whatever the cameras deliver.

Encoders, by the setting ``encoder``:

* ``learned``: a compact trunk under a spatial softmax, trained on the run's own frames,
  frozen between refreshes. A keypoint says where something is, which is what a hand needs
  to know; a small trunk learns the run's own objects from a thousand frames.
* ``end_to_end``: the same network, trained by the critic. No other loss decides what is worth
  seeing, at the price of convolutions in every update.
* ``pretrained``: a frozen backbone that has seen a million photographs under a head trained
  as ``learned`` is. It needs the fewest frames of one's own, and the most arithmetic a frame.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hilserl_core.errors import UserError
from hilserl_core.spec import ObservationSpec
from hilserl_core.step import Observation

ENCODERS = ("learned", "end_to_end", "pretrained")
HEADS = ("spatial_softmax", "projection", "spatial_embeddings")
_BATCH = 256  # frames encoded at once
_FAR = 3.0  # deviations beyond which nothing is foretold


class EncoderError(UserError):
    """Images or weights do not fit an encoder."""


@dataclass(frozen=True)
class EncoderSpec:
    """The shapes of an encoder; goes with its weights.

    Attributes:
        cameras: names, in the order of the observation's images.
        height, width: of the policy images, pixels.
        trunk: "compact", or the name of a pretrained backbone.
        head: what makes features of the trunk's maps, one of ``HEADS``.
        keypoints: of each camera under a spatial softmax; half the features otherwise.
        reduce: images are averaged down by this factor first.
        state_dim: numbers in the normalised state that comes with the images.
        foresight: numbers that the encoder foretells of images and state together.
    """

    cameras: tuple[str, ...]
    height: int = 128
    width: int = 128
    trunk: str = "compact"
    head: str = "spatial_softmax"
    keypoints: int = 16
    reduce: int = 2
    state_dim: int = 0
    foresight: int = 0

    @property
    def frame_shape(self) -> tuple[int, int, int, int]:
        """Of what is encoded: (cameras, 3, height, width) uint8."""
        return (len(self.cameras), 3, self.height // self.reduce, self.width // self.reduce)

    @property
    def seen_dim(self) -> int:
        """Numbers that the cameras' heads make of the images alone."""
        return 2 * self.keypoints * len(self.cameras)

    @property
    def feature_dim(self) -> int:
        """Numbers in the features of an observation."""
        return self.seen_dim + self.foresight

    @classmethod
    def of(cls, observation: ObservationSpec, **settings: Any) -> EncoderSpec:
        """The encoder of a run's images.

        Raises:
            EncoderError: the images differ in size, or do not divide by ``reduce``.
        """
        sizes = {(image.height, image.width) for image in observation.images}
        if len(sizes) != 1:
            raise EncoderError(f"policy images of one size are needed, these have {sorted(sizes)}")
        ((height, width),) = sizes
        cameras = tuple(image.name for image in observation.images)
        spec = cls(cameras, height, width, state_dim=observation.state_dim, **settings)
        if height % (4 * spec.reduce) or width % (4 * spec.reduce):
            raise EncoderError(
                f"policy images of {width} x {height} do not divide by {4 * spec.reduce}: "
                "choose another camera size"
            )
        return spec

    @classmethod
    def read(cls, settings: dict[str, Any]) -> EncoderSpec:
        """The spec of which ``dataclasses.asdict`` went through JSON."""
        return cls(**{**settings, "cameras": tuple(settings["cameras"])})


def reduce_images(images: Sequence[NDArray[np.uint8]], factor: int) -> NDArray[np.uint8]:
    """Averages images down, exactly and everywhere alike.

    Args:
        images: (height, width, 3) each, of one size.
        factor: pixels to average along each axis.

    Returns:
        (cameras, 3, height / factor, width / factor).
    """
    stacked = np.stack(images)
    cameras, height, width, _ = stacked.shape
    if factor > 1:
        blocks = stacked.reshape(cameras, height // factor, factor, width // factor, factor, 3)
        total = blocks.sum((2, 4), dtype=np.uint16)
        stacked = ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))


class CompactTrunk(nn.Module):
    """Three convolutions, each followed by a ReLU but the last; 1/4 of the resolution.

    Args:
        channels: of the maps that come out.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.third = nn.Conv2d(32, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Maps (n, 3, h, w) to (n, channels, h / 4, w / 4)."""
        x = F.relu(self.first(image), inplace=True)
        x = F.relu(self.second(x), inplace=True)
        result: Tensor = self.third(x)
        return result


class SpatialSoftmax(nn.Module):
    """Keypoints: the expected place of each map's softmax, after Finn et al. (arXiv 1509.06113).

    Args:
        height, width: of the maps.
    """

    places: Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        # An even softmax would say the centre, whatever it sees, and learn slowly.
        self.sharpness = nn.Parameter(torch.tensor(5.0))
        rows = torch.linspace(-1, 1, height).repeat_interleave(width)
        columns = torch.linspace(-1, 1, width).repeat(height)
        self.register_buffer("places", torch.stack((columns, rows), 1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (n, channels, height, width) to (n, 2 * channels) in [-1, 1]: x, y of each."""
        weights = torch.softmax(maps.flatten(2) * self.sharpness, 2)
        return (weights @ self.places).flatten(1)


def mlp(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Layers with LayerNorm and ReLU, and a linear one at the end."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.LayerNorm(size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Encoder(nn.Module):
    """A trunk and a head for each camera, and foresight over them all.

    What the cameras show says where things are in their pictures; with the joints' angles
    that is where they are for the hand. The encoder learns this from far more frames and
    updates than the actor has when it starts, so it hands on what it foretells as well.

    Args:
        spec: shapes.
    """

    def __init__(self, spec: EncoderSpec):
        super().__init__()
        self.spec = spec
        _, _, height, width = spec.frame_shape
        cameras = range(len(spec.cameras))
        self.trunks = nn.ModuleList(CompactTrunk(spec.keypoints) for _ in cameras)
        self.heads = nn.ModuleList(SpatialSoftmax(height // 4, width // 4) for _ in cameras)
        self.ahead: nn.Module | None = None
        if spec.foresight:
            self.ahead = mlp(spec.seen_dim + spec.state_dim, (128, 128), spec.foresight)

    def prepare(self, observation: Observation) -> NDArray[np.uint8]:
        """The frame of an observation, ``spec.frame_shape``.

        Raises:
            EncoderError: an image is missing or has another size.
        """
        expected = (self.spec.height, self.spec.width, 3)
        shapes = [image.shape for image in observation.images]
        if shapes != [expected] * len(self.spec.cameras):
            raise EncoderError(
                f"images of {shapes} do not fit the encoder: it needs {expected} of each of "
                f"{', '.join(self.spec.cameras)}"
            )
        return reduce_images(observation.images, self.spec.reduce)

    def normalise(self, frames: Tensor) -> Tensor:
        """Frames (n, cameras, 3, h, w) uint8 as (cameras, n, 3, h, w) float32 about 0."""
        return frames.transpose(0, 1).float().sub_(127.5).mul_(1 / 64)

    def maps(self, images: Tensor) -> list[Tensor]:
        """What the trunks see in normalised images (cameras, n, 3, h, w), one a camera."""
        # On a CPU, convolutions whose channels lie together are half as fast again.
        return [
            trunk(image.contiguous(memory_format=torch.channels_last))
            for trunk, image in zip(self.trunks, images, strict=True)
        ]

    def read(self, maps: Sequence[Tensor]) -> Tensor:
        """What is seen, (n, seen_dim), in the trunks' maps."""
        return torch.cat([head(each) for head, each in zip(self.heads, maps, strict=True)], 1)

    def foretell(self, seen: Tensor, state: Tensor) -> Tensor:
        """(n, foresight), of unit size, from (n, seen_dim) and normalised states (n, state_dim)."""
        assert self.ahead is not None
        result: Tensor = self.ahead(torch.cat((seen, state), 1))
        return result

    def forward(self, images: Tensor, state: Tensor) -> Tensor:
        """Features (n, feature_dim) of normalised images (cameras, n, 3, h, w) and states."""
        seen = self.read(self.maps(images))
        if self.ahead is None:
            return seen
        return torch.cat((seen, self.foretell(seen, state).clamp(-_FAR, _FAR)), 1)

    @torch.no_grad()
    def encode(self, frames: NDArray[np.uint8], states: NDArray[np.float32]) -> NDArray[np.float16]:
        """Features (n, feature_dim) as they are stored.

        Args:
            frames: (n, cameras, 3, h, w).
            states: (n, state_dim), normalised.
        """
        parts = [
            self(
                self.normalise(torch.from_numpy(frames[start : start + _BATCH])),
                torch.from_numpy(states[start : start + _BATCH]),
            )
            for start in range(0, len(frames), _BATCH)
        ]
        if not parts:
            return np.zeros((0, self.spec.feature_dim), np.float16)
        features: NDArray[np.float16] = torch.cat(parts).numpy().astype(np.float16)
        return features

    def hash(self) -> str:
        """Twelve hexadecimal digits of shapes and weights: features carry it."""
        digest = hashlib.sha256(repr(dataclasses.astuple(self.spec)).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.detach().numpy()).tobytes())
        return digest.hexdigest()[:12]


def make_encoder(spec: EncoderSpec, seed: int = 0) -> Encoder:
    """An untrained encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Encoder(spec)


def load_encoder(spec: EncoderSpec, tensors: dict[str, NDArray[np.float32]]) -> Encoder:
    """An encoder with the weights of another's ``state_dict``.

    Raises:
        EncoderError: a tensor is missing, misshapen or not finite.
    """
    encoder = make_encoder(spec)
    own = encoder.state_dict()
    odd = sorted(set(own) ^ set(tensors))
    odd += [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    odd += [name for name in tensors if not np.isfinite(tensors[name]).all()]
    if odd:
        raise EncoderError(f"encoder weights '{odd[0]}' do not fit {spec}: train again")
    encoder.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in tensors.items()})
    return encoder


def random_shift(
    frames: NDArray[np.uint8], rng: np.random.Generator, pad: int
) -> NDArray[np.uint8]:
    """Frames moved by up to ``pad`` pixels, edges repeated, as in DrQ (arXiv 2004.13649).

    Args:
        frames: (n, cameras, 3, h, w); every image of every camera moves by itself.
        rng: draws the moves.
        pad: pixels.

    Returns:
        The same shape; slices are copied, which on a CPU is ten times faster than a gather.
    """
    n, cameras, _, height, width = frames.shape
    padded = np.pad(frames, ((0, 0), (0, 0), (0, 0), (pad, pad), (pad, pad)), mode="edge")
    moves = rng.integers(0, 2 * pad + 1, (n, cameras, 2))
    result = np.empty_like(frames)
    for i in range(n):
        for camera in range(cameras):
            y, x = moves[i, camera]
            result[i, camera] = padded[i, camera, :, y : y + height, x : x + width]
    return result
