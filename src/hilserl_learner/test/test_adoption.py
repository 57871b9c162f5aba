"""A refreshed encoder is taken up whole: features, networks and encoder at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec, run_spec_hash
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_learner.adoption import Adoption, fit, rebase
from hilserl_learner.encoder_training import Refresh
from hilserl_learner.experience import Experience
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.encoders import Encoder, EncoderSpec, make_encoder
from hilserl_policy.networks import Architecture, actor_forward, critic_forward
from hilserl_replay.buffer import ReplayBuffer

OBSERVATION = ObservationSpec(
    (Field("place", (-1.0,), (1.0,)), Field("gripper_command", (-1.0,), (1.0,))),
    (ImageField("front", 16, 16),),
)
ACTION = ActionSpec("ee_delta", ("x", "gripper"), (0.01, 1.0))
SPEC = EncoderSpec.of(OBSERVATION, keypoints=3)
FIRST, SECOND = make_encoder(SPEC, 1), make_encoder(SPEC, 2)


def steps(number: int, length: int = 5, encoder: Encoder | None = None) -> list[Step]:
    """An episode whose images differ from one another, its features made by ``encoder``."""
    result = []
    for index in range(length + 1):
        rng = np.random.default_rng([number, index])
        image = rng.integers(0, 256, (16, 16, 3), np.uint8)
        observation = Observation(index, np.float32([0, 1]), (image,))
        step = Step(
            observation,
            action=np.float32([0.1, 0.0]),
            source=Source.POLICY,
            run="r",
            phase=Phase.TRAIN,
            episode=number,
            index=index,
            spec=run_spec_hash(OBSERVATION, ACTION),
        )
        if encoder is not None:
            features = encoder.encode(encoder.prepare(observation)[None])[0]
            step = replace(step, features=features.tobytes(), encoder=encoder.hash())
        result.append(step)
    end = {"action": np.zeros(0, np.float32), "is_last": True, "outcome": Outcome.TIMEOUT}
    result[-1] = replace(result[-1], **end)
    return result


def refresh_of(encoder: Encoder, *episodes: list[Step]) -> Refresh:
    frames = [encoder.prepare(step.observation) for episode in episodes for step in episode]
    return Refresh(
        encoder,
        encoder.hash(),
        tuple(("r", episode[0].episode, len(episode)) for episode in episodes),
        np.array([step.index for episode in episodes for step in episode], np.int32),
        encoder.encode(np.stack(frames)),
    )


@pytest.fixture
def experience() -> Experience:
    buffer = ReplayBuffer(64, 2, 1, feature_dim=SPEC.feature_dim, batch_size=8)
    return Experience(buffer, OBSERVATION, ACTION, -0.02, SPEC)


def add(experience: Experience, episode: list[Step]) -> None:
    for step in episode:
        experience.add(step)


def features(experience: Experience, count: int) -> np.ndarray:
    return experience.buffer.features_of(np.arange(count))


def expected(encoder: Encoder, *episodes: list[Step]) -> np.ndarray:
    return refresh_of(encoder, *episodes).features.astype(np.float32)


def take(experience: Experience, refresh: Refresh) -> None:
    adoption = Adoption(refresh, experience)
    while adoption.catch_up():
        pass
    adoption.complete(None, OBSERVATION.state_dim)


def test_steps_before_the_first_encoder_get_their_features_with_it(experience):
    add(experience, steps(0))
    assert not features(experience, 6).any()
    take(experience, refresh_of(FIRST, steps(0)))
    np.testing.assert_array_equal(features(experience, 6), expected(FIRST, steps(0)))
    assert experience.encoder is FIRST
    assert not experience.frames


def test_what_came_while_the_encoder_was_trained_is_encoded_too(experience):
    add(experience, steps(0))
    adoption = Adoption(refresh_of(FIRST, steps(0)), experience)
    add(experience, steps(1))
    adoption.complete(None, OBSERVATION.state_dim)
    np.testing.assert_array_equal(features(experience, 12), expected(FIRST, steps(0), steps(1)))


def test_features_of_the_current_encoder_are_taken_as_they_come(experience):
    experience.use(FIRST)
    marked = [replace(s, features=np.full(6, 0.5, "<f2").tobytes()) for s in steps(0, 5, FIRST)]
    add(experience, marked)
    assert (features(experience, 6) == 0.5).all()


def test_features_of_another_encoder_are_made_anew_from_the_images(experience):
    experience.use(SECOND)
    add(experience, steps(0, 5, FIRST))
    np.testing.assert_array_equal(features(experience, 6), expected(SECOND, steps(0)))


def test_features_of_another_encoder_without_images_are_refused(experience):
    experience.use(SECOND)
    step = steps(0, 5, FIRST)[0]
    bare = replace(step, observation=replace(step.observation, images=()))
    with pytest.raises(UserError, match=rf"{FIRST.hash()}.*{SECOND.hash()}.*no images"):
        experience.add(bare)


def test_features_of_the_wrong_size_are_refused(experience):
    experience.use(FIRST)
    with pytest.raises(UserError, match=r"2 features.*makes 6"):
        experience.add(replace(steps(0, 5, FIRST)[0], features=b"abcd"))


def test_an_episode_that_was_thrown_away_is_not_waited_for(experience):
    discarded = steps(0)
    discarded[-1] = replace(discarded[-1], outcome=Outcome.ABORTED)
    add(experience, discarded)
    assert not experience.frames
    add(experience, steps(1))
    take(experience, refresh_of(FIRST, discarded, steps(1)))
    np.testing.assert_array_equal(features(experience, 6), expected(FIRST, steps(1)))


def test_a_step_missing_from_the_bag_does_not_shift_the_others(experience):
    add(experience, steps(0))
    whole = steps(0)
    take(experience, refresh_of(FIRST, [*whole[:2], *whole[3:]]))
    np.testing.assert_array_equal(features(experience, 6), expected(FIRST, whole))


def test_networks_say_of_new_features_what_they_said_of_the_old():
    rng = np.random.default_rng(0)
    new = rng.normal(size=(500, 6)).astype(np.float32)
    mixing, shift = rng.normal(size=(6, 6)), rng.normal(size=6)
    old = (new @ mixing + shift).astype(np.float32)
    matrix, offset, explained = fit(old, new)
    assert explained > 0.999
    architecture = Architecture(2 + 6, 1, True, (8, 8))
    sac = Sac(architecture, AlgorithmParameters(hidden=(8, 8), critics=3), 0)
    state = torch.from_numpy(rng.normal(size=(500, 2)).astype(np.float32))
    action = torch.zeros(500, 1)

    def said(seen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.cat((state, torch.from_numpy(seen)), 1)
        actor, critic = sac.state.actor.parameters, sac.state.critic.parameters
        mean = actor_forward(actor, inputs, architecture).mean
        return mean, critic_forward(critic, inputs, action, architecture)

    before = said(old)
    for network in (sac.state.actor.parameters, sac.state.critic.parameters):
        rebase(network, slice(2, 8), matrix, offset)
    after = said(new)
    for was, now in zip(before, after, strict=True):
        torch.testing.assert_close(now, was, atol=0.02, rtol=0.02)


def test_features_without_a_linear_relation_explain_little():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(2, 2000, 4)).astype(np.float32)
    assert fit(old, new)[2] < 0.05
