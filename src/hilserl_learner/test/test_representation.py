"""What an episode tells of its frames, and that an encoder learns it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec
from hilserl_core.step import Episode, Observation, Outcome, Source, Step
from hilserl_learner.encoder_training import EncoderTraining, read_refresh, write_refresh
from hilserl_learner.representation import AHEAD, RepresentationSettings, future_dim, labels_of
from hilserl_policy.encoders import EncoderSpec, make_encoder

OBSERVATION = ObservationSpec(
    (Field("tool_position", (-1.0,), (1.0,)), Field("gripper_command", (-1.0,), (1.0,))),
    (ImageField("front", 16, 16),),
)
ACTION = ActionSpec("ee_delta", ("x", "gripper"), (0.01, 1.0))
CLOSE, STAY = -1.0, 0.0


def episode(
    length: int = 12,
    outcome: Outcome = Outcome.SUCCESS,
    source: Source = Source.POLICY,
    goal: int = 8,
    number: int = 0,
) -> Episode:
    """A hand that moves by 0.05 a tick to a bright column, closed from the eighth tick on."""
    steps = []
    for t in range(length + 1):
        image = np.zeros((16, 16, 3), np.uint8)
        image[:, goal : goal + 2] = 255
        state = np.float32([0.05 * t, 1.0 if t >= 8 else -1.0])
        steps.append(
            Step(
                Observation(t, state, (image,)),
                action=np.float32([(goal - 8) / 8, CLOSE if t == 7 else STAY]),
                source=source,
                run="r",
                episode=number,
                index=t,
            )
        )
    end = {"action": np.zeros(0, np.float32), "is_last": True, "outcome": outcome}
    steps[-1] = replace(steps[-1], **end)
    return Episode(tuple(steps))


def test_the_future_is_where_the_hand_will_be():
    labels = labels_of(episode(), OBSERVATION, ACTION)
    place = 0.05 * np.arange(13)
    for column, at in enumerate(
        (
            np.minimum(np.arange(13) + AHEAD[0], 12),
            np.minimum(np.arange(13) + AHEAD[1], 12),
            np.where(np.arange(13) <= 7, 7, 12),  # until the gripper closes, then the end
            np.full(13, 12),
        )
    ):
        np.testing.assert_allclose(labels.future[:, column, 0], place[at] - place, atol=1e-6)


def test_the_hand_that_closes_twice_was_right_the_second_time():
    steps = list(episode().steps)
    for t in (2, 3, 4):
        state = np.float32([0.05 * t, 1.0])
        steps[t] = replace(steps[t], observation=replace(steps[t].observation, state=state))
    labels = labels_of(Episode(tuple(steps)), OBSERVATION, ACTION)
    np.testing.assert_allclose(labels.future[0, 2], 0.35, atol=1e-6)


def test_a_success_says_where_the_object_was_and_a_failure_does_not():
    assert labels_of(episode(), OBSERVATION, ACTION).foreseen[:-1].all()
    failed = labels_of(episode(outcome=Outcome.TIMEOUT), OBSERVATION, ACTION)
    assert not failed.foreseen.any()
    assert not failed.succeeded.any()
    helped = labels_of(episode(outcome=Outcome.TIMEOUT, source=Source.HUMAN), OBSERVATION, ACTION)
    np.testing.assert_array_equal(helped.foreseen[0], [1, 1, 0, 0])


def test_what_the_policy_did_before_it_was_helped_is_not_imitated():
    steps = list(episode().steps)
    steps[5] = replace(steps[5], source=Source.HUMAN)
    labels = labels_of(Episode(tuple(steps)), OBSERVATION, ACTION)
    assert np.flatnonzero(labels.taught).tolist() == [5]
    assert labels.foreseen[0].tolist() == [0, 0, 1, 1]


def test_what_people_did_and_what_succeeded_is_to_be_imitated():
    failed = {"outcome": Outcome.TIMEOUT}
    assert not labels_of(episode(**failed), OBSERVATION, ACTION).taught.any()
    assert labels_of(episode(), OBSERVATION, ACTION).taught[:-1].all()
    labels = labels_of(episode(source=Source.HUMAN, **failed), OBSERVATION, ACTION)
    assert labels.taught[:-1].all()
    assert not labels.taught[-1]  # the last observation was not acted on
    assert labels.choice.tolist() == [1] * 7 + [0] + [1] * 5


def test_progress_grows_to_one():
    progress = labels_of(episode(), OBSERVATION, ACTION).progress
    assert progress[-1] == 1.0
    assert (np.diff(progress) > 0).all()


@pytest.fixture
def training(tmp_path) -> EncoderTraining:
    spec = EncoderSpec.of(OBSERVATION, keypoints=4, reduce=1, foresight=future_dim(OBSERVATION))
    settings = RepresentationSettings(batch_size=16, shift=0, learning_rate=3e-3)
    result = EncoderTraining(make_encoder(spec), OBSERVATION, ACTION, settings, tmp_path)
    for number, goal in enumerate((2, 5, 8, 11, 14)):
        result.add_episode(episode(source=Source.HUMAN, goal=goal, number=number))
    return result


def test_the_encoder_learns_what_the_action_depends_on(training):
    training.train(1)
    before = training.losses
    training.train(150)
    after = training.losses
    assert after["action"] < 0.3 * before["action"]
    assert after["reconstruction"] < before["reconstruction"]


def test_a_refresh_covers_every_frame_and_survives_the_disk(training, tmp_path):
    refresh = training.refresh()
    assert refresh.keys == tuple(("r", number, 13) for number in range(5))
    assert refresh.features.shape == (65, 12)
    path = tmp_path / "000001.safetensors"
    write_refresh(path, refresh)
    read = read_refresh(path)
    assert read.keys == refresh.keys
    assert read.hash == refresh.hash
    np.testing.assert_array_equal(read.features, refresh.features)
    np.testing.assert_array_equal(read.indices, refresh.indices)


def test_what_is_seen_depends_on_the_frame_alone(training):
    seen = training.encoder.spec.seen_dim
    features = training.refresh().features.reshape(5, 13, -1)[..., :seen]
    np.testing.assert_array_equal(features, features[:, :1].repeat(13, 1))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-100], lambda data: b"", lambda data: data[::-1]]
)
def test_a_damaged_refresh_is_refused(training, tmp_path, damage):
    path = tmp_path / "000001.safetensors"
    write_refresh(path, training.refresh())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Exception, match=r"000001\.safetensors.*delete it") as caught:
        read_refresh(path)
    assert type(caught.value).__name__ == "UserError"
