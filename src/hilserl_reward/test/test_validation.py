"""Validation: episodes stay together, and thresholds keep what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_policy.encoders import EncoderSpec
from hilserl_reward.classifier import ClassifierSpec, softmax
from hilserl_reward.frames import LabelledFrames, Place
from hilserl_reward.validation import calibrate, divide, threshold, with_thresholds


def frames_of(label: list[int], episode: list[int]) -> LabelledFrames:
    n = len(label)
    return LabelledFrames(
        np.zeros((n, 1, 3, 4, 4), np.uint8),
        np.zeros((n, 1), np.float32),
        np.array(label),
        np.array(episode),
        np.zeros(n, bool),
        tuple(Place(Path("run"), f"episodes/{e:06d}", i) for i, e in enumerate(episode)),
        (1, 4, 4),
    )


@given(
    episodes=st.lists(
        st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=5), min_size=2, max_size=20
    ),
    folds=st.integers(3, 6),
    seed=st.integers(0, 9),
)
def test_an_episode_is_learned_from_or_validated_on_and_never_both(
    episodes: list[list[int]], folds: int, seed: int
) -> None:
    labels = [label for own in episodes for label in own]
    number = [i for i, own in enumerate(episodes) for _ in own]
    frames = frames_of(labels, number)
    alone = [x for x in set(labels) if sum(x in own for own in episodes) < 2]
    if alone:
        with pytest.raises(UserError, match="one episode"):
            divide(frames, folds, seed)
        return
    fold = divide(frames, folds, seed)
    assert set(fold) <= set(range(folds))
    for i in range(len(episodes)):
        assert len(set(fold[frames.episode == i])) == 1
    for part in set(fold):
        assert set(frames.label[fold != part]) == set(labels)


@given(
    others=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300),
    successes=st.lists(st.floats(0, 1, width=32), max_size=50),
    share=st.floats(0, 0.2),
)
def test_no_more_of_the_others_pass_than_is_allowed(
    others: list[float], successes: list[float], share: float
) -> None:
    probability = np.array(others + successes, np.float32)
    positive = np.arange(len(probability)) >= len(others)
    least = threshold(probability, positive, share)
    assert least >= 0.5
    # A certainty of 1 is the one thing that nothing lies above.
    passed = (probability >= least) & (probability < 1)
    assert passed[~positive].mean() <= share


@pytest.mark.parametrize("factor", [0.7, 1.0, 4.0])
def test_calibration_finds_by_how_much_logits_are_too_sure(factor: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20000, 2)).astype(np.float32)
    target = (rng.random(20000) < softmax(logits)[:, 1]).astype(np.int64)
    assert calibrate(logits * np.float32(factor), target) == pytest.approx(factor, rel=0.1)


def test_every_part_has_as_many_episodes_of_a_label() -> None:
    labels = [label for number in range(30) for label in ([0, 1] if number % 3 == 0 else [0, 0])]
    frames = frames_of(labels, [i // 2 for i in range(60)])
    fold = divide(frames, 5, 0)
    assert list(np.bincount(fold[frames.label == 1])) == [2] * 5
    assert list(np.bincount(fold)) == [12] * 5


def test_thresholds_follow_from_what_unseen_frames_were_judged() -> None:
    spec = ClassifierSpec(EncoderSpec(("image 0",), 32, 32), 1)
    rng = np.random.default_rng(0)
    target = (rng.random(5000) < 0.3).astype(np.int64)
    odds = rng.normal(3.0 * (2 * target - 1), 2.0)
    logits = np.stack((-odds / 2, odds / 2), 1).astype(np.float32)
    strict = with_thresholds(spec, logits, target, 0.001)
    mild = with_thresholds(spec, logits, target, 0.02)
    success = softmax(logits / strict.temperature)[:, 1]
    assert strict.success > mild.success
    assert (success[target == 0] >= strict.success).mean() <= 0.001
    assert (success[target == 1] >= mild.success).mean() > 0.7
