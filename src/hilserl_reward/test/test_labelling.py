"""What outcomes and an operator's words say of frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shown_runs import START, TICK, make_episode, write

from hilserl_core.labels import By, Label
from hilserl_core.step import Event, Outcome
from hilserl_reward.labelling import LabelSettings, from_outcome, label_run

ENDS = {Outcome.SUCCESS: Label.SUCCESS, Outcome.FAILURE: Label.FAILURE}


@given(
    outcome=st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIMEOUT, Outcome.ABORTED]),
    frames=st.integers(1, 30),
    last=st.integers(1, 12),
    margin=st.integers(0, 12),
)
def test_an_outcome_is_about_the_last_frames_and_not_about_those_just_before(
    outcome: Outcome, frames: int, last: int, margin: int
) -> None:
    episode = make_episode(0, outcome, frames, images=0)
    labels = from_outcome(episode, "episodes/000000", LabelSettings(last, margin))
    said = {label.index: label.label for label in labels}
    for index in range(frames):
        left = frames - index
        if outcome == Outcome.ABORTED:
            wanted = None
        elif outcome == Outcome.TIMEOUT or left > last + margin:
            wanted = Label.NEITHER
        else:
            wanted = ENDS[outcome] if left <= last else None
        assert said.get(index) == wanted


def test_a_word_is_about_what_the_operator_had_seen_also_when_it_came_late(tmp_path: Path) -> None:
    first, second = make_episode(0, Outcome.SUCCESS), make_episode(1, Outcome.TIMEOUT)
    end = first.steps[-1].observation.stamp
    write(tmp_path, first)
    # Said once the first episode had ended: the recorder was at the next one by then.
    write(tmp_path, second, ((end, Event.FAILURE), (START + 60 * 10**9 + 5 * TICK, Event.SUCCESS)))
    labels = [label for own in label_run(tmp_path, LabelSettings(3, 2)) for label in own]
    by_operator = {label.frame: label.label for label in labels if label.by == By.OPERATOR}
    assert by_operator == {
        **{("episodes/000000", i): Label.FAILURE for i in (13, 14, 15)},
        **{("episodes/000001", i): Label.SUCCESS for i in (3, 4, 5)},
    }


@pytest.mark.parametrize("event", [Event.TAKEOVER, Event.RELEASE, Event.DISCARD, Event.STOP])
def test_other_events_label_nothing(tmp_path: Path, event: Event) -> None:
    write(tmp_path, make_episode(0, Outcome.TIMEOUT), ((START, event),))
    ((*labels,),) = label_run(tmp_path, LabelSettings())
    assert {label.by for label in labels} == {By.OUTCOME}
