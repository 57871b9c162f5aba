"""What ``review`` says of a run's episodes, for another program to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_episodes import make_episode, write_episode

from hilserl_core.step import Outcome, Phase
from hilserl_replay import review
from hilserl_replay.bags import EpisodeWriter, episode_folder


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    review.main(words)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_episodes_are_listed_with_what_their_writer_noted(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(run_dir, make_episode(0, 12, outcome=Outcome.FAILURE))
    write_episode(run_dir, make_episode(0, 5, phase=Phase.EVALUATE))
    EpisodeWriter(episode_folder(run_dir, Phase.TRAIN, 1)).abandon()
    first, under_way, evaluated = said(capsys, str(run_dir))
    assert first == {
        "episode": "episodes/000000",
        "finished": True,
        "phase": "train",
        "outcome": "failure",
        "steps": 13,
    }
    assert not under_way["finished"]
    assert evaluated["episode"] == "evaluation/000000"


def test_one_episode_says_who_acted_when_and_shows_what_was_seen(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(run_dir, make_episode(3, 10, human=4), cameras=("front",))
    strip = tmp_path / "strip.png"
    (shown,) = said(capsys, str(run_dir), "--episode", "episodes/000003", "--strip", str(strip))
    assert shown["sources"] == [["human", 4], ["policy", 6]]
    assert shown["seconds"] == pytest.approx([i / 10 for i in range(11)])
    assert shown["strip"]["cameras"] == ["front"]
    assert shown["strip"]["times"][-1] == pytest.approx(1.0)
    assert strip.read_bytes().startswith(b"\x89PNG")


def test_an_episode_without_pictures_has_no_strip(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(run_dir, make_episode(0, 3))
    strip = tmp_path / "strip.png"
    (shown,) = said(capsys, str(run_dir), "--episode", "episodes/000000", "--strip", str(strip))
    assert shown["strip"] is None
    assert not strip.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("episodes/000009", "has no episode episodes/000009"),
        ("../000000", "write it as episodes/000003"),
        ("episodes/..", "write it as episodes/000003"),
    ],
)
def test_an_episode_that_is_not_there_is_refused_in_one_line(
    run_dir: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    write_episode(run_dir, make_episode(0, 3))
    with pytest.raises(SystemExit) as ending:
        review.main([str(run_dir), "--episode", name])
    assert ending.value.code == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
