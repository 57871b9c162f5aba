"""Tests of what the policy node's parameters work out."""

from hilserl_core.step import Phase
from hilserl_policy.parameters import PolicyParameters


def test_a_demonstration_may_take_longer_than_an_episode():
    p = PolicyParameters(control_rate=10.0, episode_seconds=8.0, demonstration_seconds=16.0)
    assert p.episode_steps(Phase.RECORD) == 160
    assert [p.episode_steps(phase) for phase in (Phase.TRAIN, Phase.EVALUATE, Phase.RUN)] == [
        80
    ] * 3
