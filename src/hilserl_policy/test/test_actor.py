"""Which weights act, and when their actions are samples."""

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec
from hilserl_core.step import Observation, Phase
from hilserl_policy.actor import Actor
from hilserl_policy.encoders import EncoderSpec, make_encoder
from hilserl_policy.networks import Architecture, init_actor
from hilserl_policy.parameters import PolicyParameters, sampled_phases
from hilserl_policy.weights import encode

OBSERVATION = ObservationSpec((Field("place", (-1.0, -1.0), (1.0, 1.0)),))
ACTION = ActionSpec("ee_delta", ("x", "y", "gripper"), (0.02, 0.02, 1.0))


@pytest.mark.parametrize(
    ("phase", "settings", "sampled"),
    [
        (Phase.TRAIN, {}, True),
        (Phase.EVALUATE, {}, True),
        (Phase.RUN, {}, True),
        (Phase.TRAIN, {"mean_action": True}, True),
        (Phase.EVALUATE, {"mean_action": True}, False),
        (Phase.RUN, {"mean_action": True}, False),
        (Phase.TRAIN, {"algorithm": "hg_dagger"}, False),
        (Phase.EVALUATE, {"algorithm": "bc"}, False),
    ],
)
def test_actions_are_samples_in_the_phases_that_the_parameters_name(phase, settings, sampled):
    actor = Actor(OBSERVATION, ACTION, 0, sampled_phases(PolicyParameters(**settings)))
    architecture = Architecture(2, 2, True, (8,))
    actor.load(encode(init_actor(architecture), architecture, actor.spec, version=1))
    actor.begin(phase, 0)
    actions = np.array(
        [actor.act(Observation(0, np.zeros(2, np.float32))).values for _ in range(5)]
    )
    assert (np.ptp(actions[:, :2], axis=0) > 0).all() == sampled


SEEING = ObservationSpec(OBSERVATION.fields, (ImageField("front", 16, 16),))
ENCODER = make_encoder(EncoderSpec.of(SEEING, keypoints=3, foresight=2))
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
SEEN = Observation(0, np.zeros(2, np.float32), (IMAGE,))


def weights(observation, encoder=ENCODER, version=1):
    features = encoder.spec.feature_dim if encoder is not None else 0
    architecture = Architecture(observation.state_dim + features, 2, True, (8,))
    spec = Actor(observation, ACTION, seed=0).spec
    return encode(init_actor(architecture), architecture, spec, version, encoder)


def test_what_acted_on_features_hands_them_on_with_their_encoder():
    actor = Actor(SEEING, ACTION, seed=0)
    actor.load(weights(SEEING))
    actor.begin(Phase.TRAIN, 0)
    proposal = actor.act(SEEN)
    features = np.frombuffer(proposal.features, "<f2")
    expected = ENCODER.encode(ENCODER.prepare(SEEN)[None], np.zeros((1, 2), np.float32))[0]
    np.testing.assert_array_equal(features, expected)
    assert proposal.encoder == ENCODER.hash()
    assert proposal.version == 1


def test_encoder_and_actor_change_between_the_same_two_ticks():
    actor = Actor(SEEING, ACTION, seed=0)
    actor.load(weights(SEEING))
    actor.begin(Phase.TRAIN, 0)
    actor.act(SEEN)
    other = make_encoder(ENCODER.spec, seed=7)
    actor.load(weights(SEEING, other, version=2))
    proposal = actor.act(SEEN)
    assert (proposal.version, proposal.encoder) == (2, other.hash())


def test_while_people_demonstrate_nothing_is_encoded():
    actor = Actor(SEEING, ACTION, seed=0)
    actor.load(weights(SEEING))
    actor.begin(Phase.RECORD, 0)
    proposal = actor.act(SEEN)
    assert (proposal.features, proposal.encoder, proposal.version) == (b"", "", 0)
    assert not proposal.values.any()


def test_weights_that_see_nothing_are_refused_and_the_old_ones_act():
    actor = Actor(SEEING, ACTION, seed=0)
    actor.load(weights(SEEING))
    actor.begin(Phase.TRAIN, 0)
    with pytest.raises(UserError, match=r"read 2 numbers, of which 0 are features.*1 images"):
        actor.load(weights(SEEING, None, version=2))
    assert actor.act(SEEN).version == 1


def test_an_image_that_does_not_fit_is_refused():
    actor = Actor(SEEING, ACTION, seed=0)
    actor.load(weights(SEEING))
    actor.begin(Phase.TRAIN, 0)
    with pytest.raises(UserError, match="do not fit the encoder"):
        actor.act(Observation(0, np.zeros(2, np.float32), (IMAGE[:8],)))


def test_the_age_of_weights_is_counted_from_their_arrival_to_when_they_act():
    now = 0.0
    actor = Actor(OBSERVATION, ACTION, seed=0, clock=lambda: now)
    actor.begin(Phase.TRAIN, 0)
    assert actor.mean_age is None
    now = 10.0
    actor.load(weights(OBSERVATION, encoder=None))
    now = 11.0
    actor.act(Observation(0, np.zeros(2, np.float32)))
    now = 13.0
    actor.act(Observation(0, np.zeros(2, np.float32)))
    assert actor.mean_age == 2.0
    now = 20.0
    actor.load(weights(OBSERVATION, encoder=None, version=2))
    now = 21.0
    actor.begin(Phase.TRAIN, 1)
    actor.act(Observation(0, np.zeros(2, np.float32)))
    assert actor.mean_age == 1.0
