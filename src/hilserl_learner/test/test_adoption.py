"""A refreshed encoder is taken up whole: features, networks and encoder at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from seen_episodes import ACTION, FIRST, OBSERVATION, SECOND, SPEC, refresh_of, steps

from hilserl_core.errors import UserError
from hilserl_core.step import Episode, Outcome, Step
from hilserl_learner.adoption import Adoption, fit, rebase
from hilserl_learner.encoder_training import Refresh
from hilserl_learner.experience import Experience
from hilserl_learner.parameters import AlgorithmParameters, LearnerParameters
from hilserl_learner.sac import Sac
from hilserl_learner.sight import Sight
from hilserl_policy.encoders import Encoder
from hilserl_policy.networks import Architecture, actor_forward, critic_forward
from hilserl_replay.buffer import ReplayBuffer


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
    marked = [replace(s, features=np.full(8, 0.5, "<f2").tobytes()) for s in steps(0, 5, FIRST)]
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
    with pytest.raises(UserError, match=r"2 features.*makes 8"):
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


class _NeverDone:
    """A refresher that is asked, and does not come to an end."""

    progress = 0.0

    def request(self, updates: int, alone: bool) -> None:
        pass

    def poll(self) -> Refresh | None:
        return None

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("updates", "kept"), [(0, 0), (200, 6)])
def test_frames_are_kept_only_where_another_encoder_will_come(experience, updates, kept):
    p = LearnerParameters(refresh_updates=updates)
    sight = Sight(_NeverDone(), experience, p, OBSERVATION.state_dim, lambda: 0.0)
    experience.use(FIRST)
    add(experience, steps(0, 5, FIRST))
    sight.refresh_if_due()
    assert len(experience.frames) == kept


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


def test_of_what_a_refresh_reads_from_its_bag_no_frame_is_held(experience):
    whole, cut = Episode(tuple(steps(0))), Episode(tuple(steps(1)[:3]))
    experience.add_episode(whole, read_again=True)
    assert not experience.frames
    experience.add_episode(cut, read_again=True)
    assert len(experience.frames) == 3
    take(experience, refresh_of(FIRST, steps(0)))
    expected_ = np.concatenate((expected(FIRST, steps(0)), expected(FIRST, steps(1)[:3])))
    np.testing.assert_array_equal(features(experience, 9), expected_)


def test_where_episodes_lay_is_forgotten_with_them(experience):
    for number in range(40):  # of 6 observations each, in a buffer of 64
        add(experience, steps(number))
    assert len(experience._serials) <= 64 // 6 + 1
    take(experience, refresh_of(FIRST, *map(steps, range(40))))
    newest = refresh_of(FIRST, steps(39)).features.astype(np.float32)
    np.testing.assert_array_equal(experience.buffer.features_of(np.arange(39 * 6, 40 * 6)), newest)
