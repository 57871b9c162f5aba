"""Labels beside the bags: what was said last by whom counts, and a damaged line is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_core.labels import By, FrameLabel, Label, append_labels, read_labels

LABELS = st.builds(
    FrameLabel,
    st.sampled_from(["episodes/000000", "evaluation/000001"]),
    st.integers(0, 2),
    st.none() | st.sampled_from(Label),
    st.sampled_from(By),
)


@given(said=st.lists(LABELS, max_size=30))
def test_the_highest_and_of_these_the_newest_counts(
    said: list[FrameLabel], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("run")
    for label in said:
        append_labels(run, [label])
    found = read_labels(run)
    for frame in {label.frame for label in said}:
        newest = [
            [label for label in said if label.frame == frame and label.by == by][-1:]
            for by in sorted(By, reverse=True)
        ]
        standing = [own[0] for own in newest if own and own[0].label is not None]
        assert found.get(frame) == (standing[0] if standing else None)


def test_a_line_that_is_no_label_is_named(tmp_path: Path) -> None:
    append_labels(tmp_path, [FrameLabel("episodes/000000", 3, Label.SUCCESS, By.HAND)])
    with open(tmp_path / "labels.jsonl", "a") as file:
        file.write('{"episode": "episodes/000000", "index": 4, "label": "GREAT", "by": "HAND"}\n')
    with pytest.raises(UserError, match=r"labels\.jsonl, line 2: .*GREAT"):
        read_labels(tmp_path)


def test_a_line_cut_off_by_a_crash_takes_no_other_with_it(tmp_path: Path) -> None:
    first, second = (FrameLabel("episodes/000000", i, Label.NEITHER, By.HAND) for i in (0, 1))
    append_labels(tmp_path, [first])
    with open(tmp_path / "labels.jsonl", "a") as file:
        file.write('{"episode": "epis')
    append_labels(tmp_path, [second])
    assert set(read_labels(tmp_path).values()) == {first, second}


def test_a_run_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run"):
        append_labels(tmp_path / "nowhere", [])
    assert not (tmp_path / "nowhere").exists()
