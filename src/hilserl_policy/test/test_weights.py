"""Weights survive the way, and what does not fit is refused in one line."""

import dataclasses

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_policy.encoders import EncoderSpec, make_encoder
from hilserl_policy.networks import Architecture, PolicyNetwork, init_actor
from hilserl_policy.weights import decode, encode, sha256

ARCHITECTURE = Architecture(5, 3, True, (8, 8))
PARAMETERS = init_actor(ARCHITECTURE)
DATA = encode(PARAMETERS, ARCHITECTURE, "spec", 7)


def _refused(data: bytes, *args: str) -> str:
    with pytest.raises(UserError) as caught:
        decode(data, *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_decoded_acts_as_what_was_encoded():
    network = decode(DATA, "spec", sha256(DATA)).network
    assert network.version == 7
    assert network.architecture == ARCHITECTURE
    state = np.linspace(-1, 1, 5, dtype=np.float32)
    original = PolicyNetwork(ARCHITECTURE, {k: v.numpy() for k, v in PARAMETERS.items()})
    expected = original.act(state, deterministic=True)
    np.testing.assert_array_equal(network.act(state, deterministic=True), expected)


def test_another_checksum_is_refused():
    assert "sha256" in _refused(DATA, "spec", "0" * 64)


def test_another_spec_is_refused_by_name():
    message = _refused(DATA, "other")
    assert "spec" in message
    assert "other" in message


@pytest.mark.parametrize(
    "data",
    [b"", b"garbage", DATA[:-40], DATA[:30]],
    ids=["empty", "garbage", "cut off", "header cut off"],
)
def test_bytes_that_are_not_weights_are_refused(data):
    _refused(data, "spec")


def test_a_tensor_of_another_shape_is_refused():
    bad = {**PARAMETERS, "0.weight": PARAMETERS["0.weight"][:, :2]}
    assert "0.weight" in _refused(encode(bad, ARCHITECTURE, "spec", 1), "spec")


def test_a_number_that_is_not_finite_is_refused():
    bad = {**PARAMETERS, "out.bias": PARAMETERS["out.bias"] * np.nan}
    assert "out.bias" in _refused(encode(bad, ARCHITECTURE, "spec", 1), "spec")


ENCODER = make_encoder(EncoderSpec(("front", "wrist"), 32, 32, keypoints=4, state_dim=2), seed=3)
STATES = np.zeros((3, 2), np.float32)
FRAMES = np.random.default_rng(0).integers(0, 256, (3, *ENCODER.spec.frame_shape), np.uint8)


def test_the_encoder_travels_with_the_actor():
    policy = decode(encode(PARAMETERS, ARCHITECTURE, "spec", 7, ENCODER), "spec")
    assert policy.encoder_hash == ENCODER.hash()
    assert policy.encoder.spec == ENCODER.spec
    np.testing.assert_array_equal(
        policy.encoder.encode(FRAMES, STATES), ENCODER.encode(FRAMES, STATES)
    )


def test_an_encoder_that_is_known_is_not_built_again():
    first = decode(encode(PARAMETERS, ARCHITECTURE, "spec", 1, ENCODER), "spec")
    second = decode(encode(PARAMETERS, ARCHITECTURE, "spec", 2, ENCODER), "spec", None, first)
    assert second.encoder is first.encoder
    assert second.version == 2


@pytest.fixture
def frozen():
    shape = {"keypoints": 4, "reduce": 1, "state_dim": 2}
    spec = EncoderSpec(("front",), 32, 32, "efficientnet_lite0", **shape)
    return make_encoder(spec, seed=3)


def test_a_frozen_trunk_stays_where_it_is(frozen):
    data = encode(PARAMETERS, ARCHITECTURE, "spec", 7, frozen)
    assert len(data) < 4 * sum(p.numel() for p in frozen.backbone.weights.values()) / 10
    policy = decode(data, "spec")
    assert policy.encoder_hash == frozen.hash()
    frames = FRAMES[:, :1].repeat(2, 3).repeat(2, 4)
    np.testing.assert_array_equal(
        policy.encoder.encode(frames, STATES), frozen.encode(frames, STATES)
    )


def test_another_frozen_trunk_is_refused_by_its_hash(frozen):
    frozen.backbone = dataclasses.replace(frozen.backbone, hash="0123456789ab")
    message = _refused(encode(PARAMETERS, ARCHITECTURE, "spec", 1, frozen), "spec")
    assert "efficientnet_lite0" in message
    assert "0123456789ab" in message


def test_a_frozen_trunk_that_is_not_here_is_refused(frozen):
    spec = dataclasses.replace(frozen.spec, backbone_weights="/nowhere/w.safetensors")
    frozen.spec = spec
    assert "/nowhere/w.safetensors" in _refused(
        encode(PARAMETERS, ARCHITECTURE, "spec", 1, frozen), "spec"
    )


def test_an_encoder_of_another_shape_is_refused(monkeypatch):
    other = make_encoder(EncoderSpec(("front", "wrist"), 32, 32, keypoints=6))
    monkeypatch.setattr(other, "spec", ENCODER.spec)
    assert "encoder weights" in _refused(encode(PARAMETERS, ARCHITECTURE, "spec", 1, other), "spec")
