"""What encoders are trained on: a frozen trunk sees each frame once, and only heads learn."""

import dataclasses

import numpy as np
import pytest
import torch

from hilserl_learner.material import MapMaterial, Store, make_material
from hilserl_policy import encoders
from hilserl_policy.encoders import EncoderSpec, make_encoder

COMPACT = EncoderSpec(("front", "wrist"), 32, 32, keypoints=4, state_dim=2, foresight=3)
FROZEN = dataclasses.replace(COMPACT, trunk="efficientnet_lite0", reduce=1)
RNG, GENERATOR = np.random.default_rng(0), torch.Generator()


def frames(spec: EncoderSpec, count: int = 5) -> np.ndarray:
    return RNG.integers(0, 256, (count, *spec.frame_shape), np.uint8)


def states(count: int) -> np.ndarray:
    return RNG.normal(size=(count, 2)).astype(np.float32)


@pytest.fixture
def counted(monkeypatch):
    """How many images each forward pass of the backbone saw."""
    encoder, seen = make_encoder(FROZEN), []
    maps = encoders.Encoder.maps

    def count(self, images):
        seen.append(images.shape[:2].numel())
        return maps(self, images)

    monkeypatch.setattr(encoders.Encoder, "maps", count)
    return encoder, seen


def test_a_frozen_trunk_never_sees_a_frame_twice(counted, tmp_path):
    encoder, seen = counted
    material = make_material(encoder, 1, tmp_path)
    material.add(frames(FROZEN, 5))
    material.add(frames(FROZEN, 40))
    for _ in range(3):
        material.look(np.arange(45), RNG, GENERATOR)
        material.features(states(45))
    assert sum(seen) == 2 * 45


@pytest.mark.parametrize("head", encoders.HEADS)
def test_features_from_maps_are_those_of_the_frames(tmp_path, head):
    encoder = make_encoder(dataclasses.replace(FROZEN, head=head))
    material, recorded, with_them = MapMaterial(encoder, tmp_path), frames(FROZEN, 70), states(70)
    material.add(recorded)
    expected = encoder.encode(recorded, with_them)
    assert expected.shape == (70, FROZEN.feature_dim)
    np.testing.assert_allclose(material.features(with_them), expected, atol=2e-3)
    batch = np.array([3, 3, 69])
    seen, pictures = material.look(batch, RNG, GENERATOR)
    np.testing.assert_allclose(
        seen.detach().numpy(), expected[batch, : FROZEN.seen_dim].astype(np.float32), atol=2e-3
    )
    assert pictures.shape == (3, 2 * 3 * 16 * 16)


@pytest.mark.parametrize("spec", [FROZEN, COMPACT])
def test_what_learns_is_reached_by_the_gradient(tmp_path, spec):
    encoder = make_encoder(spec)
    material = make_material(encoder, 1, tmp_path)
    material.add(frames(spec))
    seen, _ = material.look(np.arange(5), RNG, GENERATOR)
    encoder.complete(seen, torch.from_numpy(states(5))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_pictures_show_what_the_encoder_did_not_see(tmp_path):
    """Disturbance is for the encoder alone: the picture to bring back is the true one."""
    encoder = make_encoder(COMPACT)
    material, seen = make_material(encoder, 0, tmp_path), frames(COMPACT)
    material.add(seen)
    batch = np.arange(5)
    first, second = (material.look(batch, RNG, GENERATOR) for _ in range(2))
    assert not torch.equal(first[0], second[0])
    torch.testing.assert_close(first[1], second[1])
    red = first[1].view(5, 2, 3, 16, 16)[1, 0, 0]
    torch.testing.assert_close(red, (torch.from_numpy(seen[1, 0, 0]).float() - 127.5) / 64)


def test_a_store_grows_and_keeps_what_it_has(tmp_path):
    store = Store((2,), np.float16, tmp_path)
    rows = RNG.normal(size=(9000, 2)).astype(np.float16)
    for start in range(0, 9000, 1000):
        store.add(rows[start : start + 1000])
    np.testing.assert_array_equal(store.array, rows)
