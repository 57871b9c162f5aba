"""From camera images to features: one interface, a trunk of convolutions under a head.

An image is encoded once for a version of the encoder, where it is first seen. The features
travel with the step and are what learning works on, so that an update costs what small
networks cost, whatever the cameras deliver.

Encoders, by the setting ``encoder``:

* ``learned``: a compact trunk under a head, trained on the run's own frames, frozen between
  refreshes. A small trunk learns the run's own objects from a thousand frames.
* ``end_to_end``: the same network, trained by the critic (``hilserl_learner.pixels``). No other
  loss decides what is worth seeing, at the price of convolutions in every update.
* ``pretrained``: a frozen backbone that has seen a million photographs (``backbones``) under a
  head trained as ``learned`` is. It needs the fewest frames of one's own, and the most
  arithmetic a frame.

Heads, by the setting ``encoder_head``; each is a camera's own:

* ``spatial_softmax``: a keypoint says where something is, which is what a hand needs to know.
* ``projection``: a few maps, flattened, and a dense layer: it keeps what is there as well.
* ``spatial_embeddings``: HIL-SERL's, eight learned weightings of the places of every map; a
  dense layer follows. Made for maps of 4 x 4 places, where a softmax has little to point at.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilserl_core.errors import UserError
from hilserl_core.spec import ObservationSpec
from hilserl_core.step import Observation
from hilserl_policy.backbones import DESIGNS, load_backbone
from hilserl_policy.layers import EMBEDDINGS, CompactTrunk, SpatialEmbeddings, SpatialSoftmax, mlp

ENCODERS = ("learned", "end_to_end", "pretrained")
HEADS = ("spatial_softmax", "projection", "spatial_embeddings")
COMPACT = "compact"
_COMPACT_STRIDE = 4
_PROJECTED = 8  # maps that a projection flattens
_FAR = 3.0  # deviations beyond which nothing is foretold
_HAS_BFLOAT16 = torch.cpu._is_avx512_bf16_supported()
_BATCH, _FROZEN_BATCH = 256, 32  # frames encoded at once


class EncoderError(UserError):
    """Images or weights do not fit an encoder."""


@dataclass(frozen=True)
class EncoderSpec:
    """The shapes of an encoder; goes with its weights.

    Attributes:
        cameras: names, in the order of the observation's images.
        height, width: of the policy images, pixels.
        trunk: "compact", or the name of a frozen backbone.
        head: what makes features of the trunk's maps, one of ``HEADS``.
        keypoints: of each camera under a spatial softmax; half its features under any head.
        reduce: images are averaged down by this factor first.
        backbone_weights: where a backbone's weights are, as ``load_backbone`` takes it.
        state_dim: numbers in the normalised state that comes with the images.
        foresight: numbers that the encoder foretells of images and state together.
    """

    cameras: tuple[str, ...]
    height: int = 128
    width: int = 128
    trunk: str = COMPACT
    head: str = "spatial_softmax"
    keypoints: int = 16
    reduce: int = 2
    backbone_weights: str = ""
    state_dim: int = 0
    foresight: int = 0

    @property
    def frozen(self) -> bool:
        """Whether the trunk is a backbone that nothing trains."""
        return self.trunk != COMPACT

    @property
    def frame_shape(self) -> tuple[int, int, int, int]:
        """Of what is encoded: (cameras, 3, height, width) uint8."""
        return (len(self.cameras), 3, self.height // self.reduce, self.width // self.reduce)

    @property
    def stride(self) -> int:
        """Pixels of a frame to one of the maps."""
        return DESIGNS[self.trunk].stride if self.frozen else _COMPACT_STRIDE

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Of a camera's maps: (channels, height, width)."""
        _, _, height, width = self.frame_shape
        channels = DESIGNS[self.trunk].channels if self.frozen else self.keypoints
        return channels, height // self.stride, width // self.stride

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
            EncoderError: the images differ in size, or the maps do not divide them.
        """
        sizes = {(image.height, image.width) for image in observation.images}
        if len(sizes) != 1:
            raise EncoderError(f"policy images of one size are needed, these have {sorted(sizes)}")
        ((height, width),) = sizes
        cameras = tuple(image.name for image in observation.images)
        spec = cls(cameras, height, width, state_dim=observation.state_dim, **settings)
        pixels = spec.stride * spec.reduce
        if height % pixels or width % pixels:
            raise EncoderError(
                f"policy images of {width} x {height} do not divide by {pixels}: "
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


def make_head(spec: EncoderSpec) -> nn.Module:
    """A head: maps (n, channels, height, width) to (n, 2 * keypoints) in [-1, 1].

    Raises:
        EncoderError: the spec names no head that is known.
    """
    channels, height, width = spec.map_shape
    features = 2 * spec.keypoints
    if spec.head == "spatial_softmax":
        softmax = SpatialSoftmax(height, width)
        if channels == spec.keypoints:
            return softmax
        return nn.Sequential(nn.Conv2d(channels, spec.keypoints, 1), softmax)
    if spec.head == "projection":
        body: list[nn.Module] = [nn.Conv2d(channels, _PROJECTED, 1), nn.ReLU(), nn.Flatten()]
        flat = _PROJECTED * height * width
    elif spec.head == "spatial_embeddings":
        # HIL-SERL drops a tenth of these in training; here noise on the features does its work.
        body = [SpatialEmbeddings(channels, height, width)]
        flat = channels * EMBEDDINGS
    else:
        raise EncoderError(f"head '{spec.head}' is unknown, choose from: {', '.join(HEADS)}")
    return nn.Sequential(*body, nn.Linear(flat, features), nn.LayerNorm(features), nn.Tanh())


class Encoder(nn.Module):
    """A trunk and a head for each camera, and foresight over them all.

    What the cameras show says where things are in their pictures; with the joints' angles
    that is where they are for the hand. The encoder learns this from far more frames and
    updates than the actor has when it starts, so it hands on what it foretells as well.

    A frozen trunk is all cameras' and no module of the encoder.

    Args:
        spec: shapes.

    Attributes:
        backbone: the trunk that nothing trains, if there is one: no part of ``state_dict``.

    Raises:
        BackboneError: the backbone's weights cannot be had.
    """

    def __init__(self, spec: EncoderSpec):
        super().__init__()
        self.spec = spec
        self.backbone = load_backbone(spec.trunk, spec.backbone_weights) if spec.frozen else None
        cameras = range(len(spec.cameras))
        self.trunks = nn.ModuleList(
            CompactTrunk(spec.keypoints) for _ in cameras if not spec.frozen
        )
        self.heads = nn.ModuleList(make_head(spec) for _ in cameras)
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
        images = frames.transpose(0, 1).float()
        if self.backbone is None:
            return images.sub_(127.5).mul_(1 / 64)
        design = self.backbone.design
        mean, deviation = torch.tensor(design.mean), torch.tensor(design.deviation)
        return images.sub_(mean[:, None, None]).div_(deviation[:, None, None])

    @property
    def at_once(self) -> int:
        """Frames that are best encoded together."""
        return _FROZEN_BATCH if self.spec.frozen else _BATCH

    def maps(self, images: Tensor) -> list[Tensor]:
        """What the trunks see in normalised images (cameras, n, 3, h, w), one a camera."""
        trunks: list[Callable[[Tensor], Tensor]] = list(self.trunks)
        if self.backbone is not None:
            trunks = [self.backbone.maps] * len(images)
        # On a CPU, convolutions whose channels lie together are half as fast again.
        return [
            trunk(image.contiguous(memory_format=torch.channels_last))
            for trunk, image in zip(trunks, images, strict=True)
        ]

    def read(self, maps: Sequence[Tensor]) -> Tensor:
        """What is seen, (n, seen_dim), in the trunks' maps."""
        return torch.cat([head(each) for head, each in zip(self.heads, maps, strict=True)], 1)

    def see(self, images: Tensor, half: bool = False) -> Tensor:
        """What is seen, (n, seen_dim), in normalised images (cameras, n, 3, h, w).

        Args:
            half: convolutions in bfloat16 where the processor has it, for training.
        """
        # Twice as fast; elsewhere it would be emulated.
        with torch.autocast("cpu", torch.bfloat16, enabled=half and _HAS_BFLOAT16):
            maps = self.maps(images)
        return self.read([each.float() for each in maps])

    def foretell(self, seen: Tensor, state: Tensor) -> Tensor:
        """(n, foresight), of unit size, from (n, seen_dim) and normalised states (n, state_dim)."""
        assert self.ahead is not None
        result: Tensor = self.ahead(torch.cat((seen, state), 1))
        return result

    def complete(self, seen: Tensor, state: Tensor) -> Tensor:
        """Features (n, feature_dim): what is seen, (n, seen_dim), and what is foretold of it."""
        if self.ahead is None:
            return seen
        return torch.cat((seen, self.foretell(seen, state).clamp(-_FAR, _FAR)), 1)

    def forward(self, images: Tensor, state: Tensor, half: bool = False) -> Tensor:
        """Features (n, feature_dim) of normalised images (cameras, n, 3, h, w) and states.

        Args:
            half: as in ``see``.
        """
        return self.complete(self.see(images, half), state)

    @torch.no_grad()
    def encode(self, frames: NDArray[np.uint8], states: NDArray[np.float32]) -> NDArray[np.float16]:
        """Features (n, feature_dim) as they are stored.

        Args:
            frames: (n, cameras, 3, h, w).
            states: (n, state_dim), normalised.
        """
        at_once = self.at_once
        parts = [
            self(
                self.normalise(torch.from_numpy(frames[start : start + at_once])),
                torch.from_numpy(states[start : start + at_once]),
            )
            for start in range(0, len(frames), at_once)
        ]
        if not parts:
            return np.zeros((0, self.spec.feature_dim), np.float16)
        features: NDArray[np.float16] = torch.cat(parts).numpy().astype(np.float16)
        return features

    def hash(self) -> str:
        """Twelve hexadecimal digits of shapes and weights: features carry it."""
        # Where a backbone's weights were found does not matter, what they are does.
        spec = dataclasses.replace(self.spec, backbone_weights="")
        digest = hashlib.sha256(repr(dataclasses.astuple(spec)).encode())
        if self.backbone is not None:
            digest.update(self.backbone.hash.encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
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
