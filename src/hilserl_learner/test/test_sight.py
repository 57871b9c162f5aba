"""A learner that sees: pretraining first, refreshes as it learns, and both after a restart."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from seen_episodes import ACTION, OBSERVATION, SPEC, refresh_of, steps

from hilserl_core.errors import UserError
from hilserl_core.step import Outcome, Phase, Source
from hilserl_learner.learner import CLONING, PRETRAINING, TRAINING, Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.representation import future_dim
from hilserl_policy.encoders import EncoderSpec, make_encoder
from hilserl_policy.weights import decode

ENCODER = EncoderSpec.of(OBSERVATION, keypoints=SPEC.keypoints, foresight=future_dim(OBSERVATION))
FIRST, SECOND = make_encoder(ENCODER, 1), make_encoder(ENCODER, 2)


class Refresher:
    """Answers when told to."""

    progress = 0.5

    def __init__(self):
        self.requests, self.answers = [], deque()

    def request(self, updates, alone):
        self.requests.append((updates, alone))

    def poll(self):
        answer = self.answers.popleft() if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        pass


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    def make() -> tuple[Learner, Refresher]:
        parameters = LearnerParameters(
            run=str(tmp_path),
            observation="cameras",
            keypoints=SPEC.keypoints,
            hidden=(8, 8),
            batch_size=16,
            cloning_steps=2,
            critic_warmup=2,
            pretrain_updates=40,
            refresh_updates=20,
            refresh_seconds=10.0,
            capacity=1000,
        )
        refresher = Refresher()
        return Learner(parameters, OBSERVATION, ACTION, refresher, clock), refresher

    return make


def demonstration(number=0):
    recorded = [replace(step, phase=Phase.RECORD, source=Source.OFFLINE) for step in steps(number)]
    return [*recorded[:-1], replace(recorded[-1], outcome=Outcome.SUCCESS)]


def drain(learner):
    while learner.work():
        pass


def feed(learner, *episodes):
    for episode in episodes:
        for step in episode:
            learner.experience.add(step)


def pretrained(make):
    """A learner that has just cloned what its first encoder shows."""
    learner, refresher = make()
    feed(learner, demonstration())
    learner.phase = Phase.TRAIN
    drain(learner)
    refresher.answers.append(refresh_of(FIRST, demonstration()))
    drain(learner)
    return learner, refresher


def test_nothing_is_cloned_before_the_first_encoder(make):
    learner, refresher = make()
    feed(learner, demonstration())
    learner.phase = Phase.TRAIN
    drain(learner)
    assert learner.stage == PRETRAINING
    assert refresher.requests == [(40, True)]
    assert learner.policy is None
    refresher.answers.append(refresh_of(FIRST, demonstration()))
    learner.work()
    assert learner.stage == CLONING
    drain(learner)
    policy = decode(learner.policy.data, learner.experience.spec)
    assert policy.encoder_hash == FIRST.hash()


def test_a_refresh_is_asked_for_when_time_and_new_steps_make_it_worth_it(make, clock):
    learner, refresher = pretrained(make)
    clock.now += 20
    drain(learner)
    assert len(refresher.requests) == 1  # nothing new to see
    feed(learner, steps(1, 5, FIRST))
    drain(learner)
    assert refresher.requests[1:] == [(20, False)]
    clock.now += 20
    feed(learner, steps(2, 5, FIRST))
    drain(learner)
    assert len(refresher.requests) == 2  # one at a time


def test_learning_goes_on_with_the_old_encoder_until_the_new_set_is_whole(make, clock):
    learner, refresher = pretrained(make)
    clock.now += 20
    feed(learner, steps(1, 5, FIRST))
    drain(learner)
    updates, version = learner.updates, learner.version
    feed(learner, steps(2, 5, FIRST))
    drain(learner)
    assert learner.stage == TRAINING
    assert learner.updates > updates
    assert learner.experience.encoder is FIRST
    refresher.answers.append(refresh_of(SECOND, demonstration(), steps(1)))
    drain(learner)
    policy = decode(learner.policy.data, learner.experience.spec)
    assert policy.encoder_hash == learner.experience.encoder_hash == SECOND.hash()
    assert policy.version > version
    held = learner.buffer.features_of(np.arange(18))
    expected = refresh_of(SECOND, demonstration(), steps(1), steps(2)).features
    np.testing.assert_array_equal(held, expected.astype(np.float32))
    assert learner.metrics()["encoder_refreshes"] == 2


def test_a_restarted_learner_reads_its_bags_with_its_own_encoder(make, clock):
    learner, _ = pretrained(make)
    feed(learner, steps(1, 5, FIRST))
    drain(learner)
    learner.save()
    other, asked = make()
    other.restore_encoder()
    # What was recorded with another encoder, or none, is encoded anew.
    feed(other, demonstration(), steps(1, 5, SECOND))
    assert other.resume()
    drain(other)
    assert asked.requests == []  # no second pretraining
    assert other.experience.encoder_hash == FIRST.hash()
    expected = refresh_of(FIRST, demonstration(), steps(1)).features.astype(np.float32)
    np.testing.assert_array_equal(other.buffer.features_of(np.arange(12)), expected)


def test_an_encoder_that_cannot_be_trained_ends_the_learning(make):
    learner, refresher = make()
    feed(learner, demonstration())
    learner.phase = Phase.TRAIN
    drain(learner)
    refresher.answers.append(UserError("the encoder's training ended: why"))
    with pytest.raises(UserError, match="why"):
        drain(learner)
