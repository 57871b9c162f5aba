"""The learner whose critics train its encoder, from the step that comes to the policy that goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec, run_spec_hash
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_learner.learner import CLONING, TRAINING, Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.representation import future_dim
from hilserl_learner.sight import encoder_spec, trained_apart
from hilserl_policy.actor import Actor
from hilserl_policy.encoders import reduce_images
from hilserl_policy.weights import decode

OBSERVATION = ObservationSpec(
    (Field("place", (-1.0,), (1.0,)), Field("gripper_command", (-1.0,), (1.0,))),
    (ImageField("front", 16, 16),),
)
ACTION = ActionSpec("ee_delta", ("x", "gripper"), (0.01, 1.0))
SPEC = run_spec_hash(OBSERVATION, ACTION)


def episode(number: int, phase: Phase = Phase.TRAIN, length: int = 5) -> list[Step]:
    source = Source.OFFLINE if phase == Phase.RECORD else Source.POLICY
    steps = []
    for index in range(length + 1):
        rng = np.random.default_rng([number, index])
        image = rng.integers(0, 256, (16, 16, 3), np.uint8)
        steps.append(
            Step(
                Observation(index, np.float32([0, 1]), (image,)),
                action=np.float32([0.1, 0.0]),
                source=source,
                run="r",
                phase=phase,
                episode=number,
                index=index,
                spec=SPEC,
            )
        )
    end = {"action": np.zeros(0, np.float32), "is_last": True, "outcome": Outcome.SUCCESS}
    steps[-1] = replace(steps[-1], **end)
    return steps


@pytest.fixture
def learner(tmp_path) -> Learner:
    parameters = LearnerParameters(
        run=str(tmp_path),
        encoder="end_to_end",
        keypoints=4,
        hidden=(8, 8),
        batch_size=16,
        capacity=1000,
        cloning_steps=3,
        critic_warmup=4,
        publish_updates=5,
    )
    return Learner(parameters, OBSERVATION, ACTION)


def feed(learner: Learner, steps: list[Step]) -> None:
    for step in steps:
        learner.experience.add(step)


def train(learner: Learner) -> None:
    feed(learner, episode(0, Phase.RECORD))
    learner.phase = Phase.TRAIN
    assert learner.work()
    assert learner.stage == CLONING  # no encoder has to be waited for
    feed(learner, episode(1))
    while learner.work():
        pass


def test_every_policy_brings_the_encoder_as_it_is(learner):
    train(learner)
    assert learner.stage == TRAINING
    assert learner.updates == 4 + 2 * 5
    first = decode(learner.policy.data, SPEC)
    feed(learner, episode(2))
    while learner.work():
        pass
    second = decode(learner.policy.data, SPEC)
    assert second.version > first.version
    assert second.encoder_hash != first.encoder_hash
    frame = reduce_images(episode(3)[0].observation.images, 2)[None]
    state = np.zeros((1, 2), np.float32)
    before, after = (each.encoder.encode(frame, state) for each in (first, second))
    assert np.abs(after - before).max() > 0


def test_the_policy_node_acts_with_it(learner):
    train(learner)
    actor = Actor(OBSERVATION, ACTION, seed=0)
    actor.load(learner.policy.data)
    actor.begin(Phase.TRAIN, 0)
    proposal = actor.act(episode(3)[0].observation)
    assert proposal.version == learner.version
    assert np.abs(proposal.values).sum() > 0


def test_the_buffer_holds_each_frame_once_and_no_features(learner):
    feed(learner, episode(0))
    batch = learner.buffer.sample()
    assert batch.state.shape == (16, 2)
    assert batch.frames.shape == (16, 1, 3, 8, 8)
    known = {reduce_images(s.observation.images, 2).tobytes() for s in episode(0)}
    assert {frame.tobytes() for frame in batch.frames.numpy()} <= known
    assert not learner.experience.frames
    assert learner.buffer.bytes >= 1000 * 3 * 8 * 8


def test_steps_without_images_are_refused(learner):
    step = episode(0)[0]
    bare = replace(step, observation=replace(step.observation, images=()))
    with pytest.raises(UserError, match=r"no images.*end to end"):
        learner.experience.add(bare)


def test_a_resumed_learner_sees_as_before(learner):
    train(learner)
    learner.save()
    other = Learner(learner.parameters, OBSERVATION, ACTION)
    other.restore_encoder()
    feed(other, episode(0, Phase.RECORD))
    feed(other, episode(1))
    assert other.resume()
    assert other.encoder.hash() == learner.encoder.hash()
    assert decode(other.policy.data, SPEC).encoder_hash == learner.encoder.hash()


def test_the_setting_chooses_trunk_head_and_teacher():
    def chosen(**settings) -> LearnerParameters:
        return LearnerParameters(**settings)

    wide = replace(OBSERVATION, images=(ImageField("front", 64, 64),))
    learned = encoder_spec(chosen(encoder_head="projection"), wide)
    assert (learned.trunk, learned.head, learned.reduce) == ("compact", "projection", 2)
    pretrained = encoder_spec(chosen(encoder="pretrained", backbone="resnet10"), wide)
    assert (pretrained.trunk, pretrained.reduce) == ("resnet10", 1)
    assert learned.foresight == pretrained.foresight == future_dim(wide)
    assert encoder_spec(chosen(encoder="end_to_end"), wide).foresight == 0
    assert encoder_spec(chosen(encoder="pretrained"), replace(wide, images=())) is None
    assert trained_apart(chosen(encoder="pretrained"), wide)
    assert not trained_apart(chosen(encoder="end_to_end"), wide)
    assert not trained_apart(chosen(), replace(wide, images=()))
