"""The judge: so many in a row, never across episodes, and the operator's word first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.labels import Label
from hilserl_core.step import Event
from hilserl_reward.judge import Judge, Probabilities

TICK, GAP = 100, 350
NOTHING = np.zeros(0, np.float32)


def verdict(probabilities: Probabilities) -> Label:
    return Label(int(probabilities[0]))


def said(label: Label) -> Probabilities:
    return np.array([label], np.float32)


@given(
    labels=st.lists(
        st.tuples(st.sampled_from(Label), st.sampled_from([TICK, 3 * TICK, 10 * TICK])), max_size=40
    ),
    frames=st.integers(1, 4),
)
def test_a_reward_takes_so_many_of_a_kind_in_a_row(
    labels: list[tuple[Label, int]], frames: int
) -> None:
    judge, stamp = Judge(verdict, frames, GAP), 0
    row: list[Label] = []
    for label, step in labels:
        stamp += step
        if step > GAP:
            row.clear()
        row.append(label)
        sure = len(row) >= frames and len(set(row[-frames:])) == 1
        judgement = judge.judge(stamp, said(label))
        assert judgement.value == (float(label) if sure else 0.0)
        assert judgement.judge == "classifier"


@pytest.mark.parametrize(("event", "value"), [(Event.SUCCESS, 1.0), (Event.FAILURE, -1.0)])
def test_the_operators_word_beats_the_classifier_once(event: Event, value: float) -> None:
    judge = Judge(verdict, 1, GAP)
    judge.judge(TICK, said(Label.NEITHER))
    judge.event(TICK, event)
    answer = judge.judge(2 * TICK, said(Label(-int(value))))
    assert (answer.value, answer.judge) == (value, "operator")
    assert judge.judge(3 * TICK, said(Label.NEITHER)).value == 0.0


def test_a_word_about_an_episode_that_is_over_is_none_about_the_next() -> None:
    judge = Judge(None, 1, GAP)
    judge.judge(TICK, NOTHING)
    judge.event(TICK, Event.FAILURE)
    assert judge.judge(TICK + 10 * TICK, NOTHING).value == 0.0
    assert judge.judge(TICK + 11 * TICK, NOTHING).value == 0.0


def test_a_word_about_a_later_observation_waits_for_the_one_after_it() -> None:
    judge = Judge(None, 1, GAP)
    judge.event(2 * TICK, Event.SUCCESS)
    assert [judge.judge(n * TICK, NOTHING).value for n in (1, 2, 3, 4)] == [0.0, 0.0, 1.0, 0.0]


def test_an_operator_alone_gives_nothing_unless_they_speak() -> None:
    judge = Judge(None, 1, GAP)
    judge.event(TICK, Event.TAKEOVER)
    answer = judge.judge(2 * TICK, NOTHING)
    assert (answer.value, answer.judge, answer.probabilities.size) == (0.0, "operator", 0)
