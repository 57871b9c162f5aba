"""What the episode loop emits, whatever order its parts arrive in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.episode_loop import EpisodeLoop, Executed, Proposal
from hilserl_core.step import Event, Observation, Outcome, Phase, Source, Step

EMPTY = Observation(0, np.zeros(0, np.float32))


def loop(max_steps=5, phase=Phase.TRAIN):
    return EpisodeLoop(Step(EMPTY, run="r", phase=phase, episode=3, spec="s"), max_steps)


def observation(tick):
    return Observation(100 * (tick + 1), np.float32([tick]))


def executed(tick, source=Source.POLICY):
    return Executed(np.float32([tick / 10]), source)


def drive(episode, rewards, sources=None):
    """Ticks through an episode in lockstep order; returns its steps."""
    steps = []
    for tick, reward in enumerate(rewards):
        episode.observe(observation(tick), Proposal(np.float32([-tick]), b"ab", "e", 7))
        steps += episode.judged(observation(tick).stamp, reward)
        if episode.outcome != Outcome.NONE:
            break
        source = sources[tick] if sources else Source.POLICY
        steps += episode.executed(observation(tick).stamp, executed(tick, source))
    return steps


def test_a_success_ends_the_episode_and_is_terminal():
    steps = drive(loop(), [0, 0, 1])
    assert [step.index for step in steps] == [0, 1, 2]
    assert [step.reward for step in steps] == [0, 1, 0]
    assert [step.is_first for step in steps] == [True, False, False]
    last = steps[-1]
    assert last.is_last
    assert last.is_terminal
    assert last.outcome == Outcome.SUCCESS
    assert last.action.size == 0
    assert all(step.episode == 3 and step.spec == "s" for step in steps)
    assert all(step.features == b"ab" and step.encoder == "e" for step in steps)


def test_a_time_out_is_not_terminal():
    steps = drive(loop(max_steps=3), [0] * 10)
    assert len(steps) == 4
    assert steps[-1].outcome == Outcome.TIMEOUT
    assert not steps[-1].is_terminal


def test_a_failure_is_judged():
    steps = drive(loop(), [0, -1])
    assert steps[0].reward == -1
    assert steps[-1].outcome == Outcome.FAILURE
    assert steps[-1].is_terminal


def test_both_actions_and_the_source_are_kept():
    steps = drive(loop(), [0, 0, 1], [Source.HUMAN, Source.POLICY, Source.POLICY])
    assert steps[0].source == Source.HUMAN
    np.testing.assert_allclose(steps[1].action, [0.1])
    np.testing.assert_allclose(steps[1].policy_action, [-1])


def test_human_steps_of_a_demonstration_are_offline():
    steps = drive(loop(phase=Phase.RECORD), [0, 1], [Source.HUMAN, Source.HUMAN])
    assert steps[0].source == Source.OFFLINE


@pytest.mark.parametrize(
    ("event", "reward", "outcome", "terminal"),
    [
        (Event.SUCCESS, 1, Outcome.SUCCESS, True),
        (Event.FAILURE, -1, Outcome.FAILURE, True),
        (Event.DISCARD, 0, Outcome.ABORTED, False),
        (Event.RESET, 0, Outcome.ABORTED, False),
        (Event.STOP, 0, Outcome.ABORTED, False),
    ],
)
def test_the_operators_word_beats_the_judges(event, reward, outcome, terminal):
    episode = loop()
    steps = drive(episode, [0, 0])
    episode.event(observation(1).stamp, event)
    steps += drive_on(episode, 2, reward=0)
    assert steps[-2].reward == reward
    assert (steps[-1].outcome, steps[-1].is_terminal) == (outcome, terminal)


def drive_on(episode, tick, reward):
    episode.observe(observation(tick), Proposal(np.float32([0]), b"ab", "e", 7))
    return episode.judged(observation(tick).stamp, reward)


def test_takeover_ends_nothing():
    episode = loop()
    episode.event(0, Event.TAKEOVER)
    assert drive(episode, [0, 0])[-1].outcome == Outcome.NONE


def test_abort_closes_with_the_last_observation_that_was_reached():
    episode = loop()
    steps = drive(episode, [0, 0, 0]) + episode.abort()
    assert [step.index for step in steps] == [0, 1, 2]
    assert steps[-1].is_last
    assert steps[-1].outcome == Outcome.ABORTED
    assert steps[-1].observation.stamp == observation(2).stamp


def test_abort_before_anything_emits_nothing():
    episode = loop()
    assert episode.abort() == []
    assert episode.outcome == Outcome.ABORTED


@given(st.integers(2, 8), st.randoms(use_true_random=False))
def test_arrival_order_of_answers_cannot_matter(ticks, random):
    """Observations come in order; their actions and rewards in any order after them."""
    reference = drive(loop(max_steps=99), [0] * ticks)
    episode, pending, steps = loop(max_steps=99), [], []
    for tick in range(ticks):
        stamp = observation(tick).stamp
        episode.observe(observation(tick), Proposal(np.float32([-tick]), b"ab", "e", 7))
        pending.append(lambda s=stamp: episode.judged(s, 0))
        if tick < ticks - 1:
            pending.append(lambda s=stamp, t=tick: episode.executed(s, executed(t)))
        random.shuffle(pending)
        for _ in range(random.randint(0, len(pending))):
            steps += pending.pop()()
    while pending:
        steps += pending.pop()()
    assert [step.index for step in steps] == [step.index for step in reference]
    for mine, other in zip(steps, reference, strict=True):
        np.testing.assert_array_equal(mine.action, other.action)
        assert mine.observation.stamp == other.observation.stamp


def test_answers_to_nothing_and_repeats_are_ignored():
    episode = loop()
    assert episode.executed(1, executed(0)) == []
    assert episode.judged(1, 1.0) == []
    steps = drive(episode, [0, 0])
    assert steps[0].index == 0
    assert episode.executed(observation(0).stamp, executed(5)) == []


@pytest.mark.parametrize(
    ("outcome", "reward", "terminal"),
    [(Outcome.SUCCESS, 1, True), (Outcome.FAILURE, -1, True), (Outcome.TIMEOUT, 0, False)],
)
def test_an_end_that_is_known_afterwards_is_the_newest_observations(outcome, reward, terminal):
    episode = loop(max_steps=50)
    steps = []
    for tick in range(4):
        episode.observe(observation(tick), Proposal(np.float32([0])))
        if tick:
            steps += episode.executed(observation(tick - 1).stamp, executed(tick - 1))
            steps += episode.judged(observation(tick - 1).stamp, 0.0)
    steps += episode.end(outcome)
    assert [step.reward for step in steps] == [0, 0, reward, 0]
    assert [step.is_last for step in steps] == [False, False, False, True]
    assert (steps[-1].outcome, steps[-1].is_terminal) == (outcome, terminal)
    assert steps[-1].observation.stamp == observation(3).stamp
    assert episode.outcome == outcome


def test_an_episode_of_one_observation_ends_without_a_step():
    episode = loop()
    episode.observe(observation(0), Proposal(np.float32([0])))
    assert episode.end(Outcome.SUCCESS) == []
    assert episode.outcome == Outcome.ABORTED


def test_rewards_and_the_grippers_actions_are_added_up():
    episode = loop()
    drive(episode, [0, 0, 0, 0, 1])  # actions 0, 0.1, 0.2 and 0.3: the gripper stays
    assert (episode.reward, episode.gripper_actions) == (1.0, 0)
    episode = loop(max_steps=20)
    drive(episode, [0] * 9 + [-1])  # up to 0.8: from 0.4 on it opens
    assert (episode.reward, episode.gripper_actions) == (-1.0, 5)
