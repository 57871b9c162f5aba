"""Who shows a task in an environment, and when."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium", reason="gymnasium is not installed: pip install gymnasium")

from hilserl_core.step import Event, Phase
from hilserl_sim.gym_node import GymParameters, Teacher

LATE = GymParameters(patience=0.5, episode_ticks=10)


class Shows:
    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def act(self, info):
        return np.array(info["wanted"], np.float32)


def play(teacher: Teacher, phase: Phase, ticks: int) -> tuple[list[float], list[Event | None]]:
    """Actions and keys of an episode in which every key is heard at once."""
    teacher.begin()
    driving, actions, keys = False, [], []
    for _ in range(ticks):
        values, key = teacher.tick(phase, {"wanted": [1.0, 0.5]}, driving, 2)
        driving = key == Event.TAKEOVER if key is not None else driving
        actions.append(float(values[0]))
        keys.append(key)
    return actions, keys


def test_demonstrations_are_shown_from_their_first_tick() -> None:
    shows = Shows()
    actions, keys = play(Teacher(shows, LATE), Phase.RECORD, 4)
    assert actions == [1.0] * 4
    assert keys == [Event.TAKEOVER, None, None, None]
    assert shows.resets == 1


def test_a_late_policy_is_helped_to_the_end_and_no_further() -> None:
    teacher = Teacher(Shows(), LATE)
    actions, keys = play(teacher, Phase.TRAIN, 10)
    assert actions == [0.0] * 5 + [1.0] * 5
    assert [i for i, key in enumerate(keys) if key == Event.TAKEOVER] == [5]
    actions, keys = play(teacher, Phase.TRAIN, 3)
    assert actions == [0.0] * 3
    assert keys[0] == Event.RELEASE


@pytest.mark.parametrize(
    ("shows", "phase", "parameters"),
    [
        (None, Phase.RECORD, LATE),
        (Shows(), Phase.EVALUATE, LATE),
        (Shows(), Phase.TRAIN, GymParameters(intervene=False, patience=0.5, episode_ticks=10)),
    ],
)
def test_else_the_policy_is_alone(shows, phase, parameters) -> None:
    actions, keys = play(Teacher(shows, parameters), phase, 10)
    assert actions == [0.0] * 10
    assert set(keys) == {None}
