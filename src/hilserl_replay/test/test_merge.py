"""Several runs as one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from episode_strategies import episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from made_episodes import assert_same, make_episode, write_episode

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.step import Episode, Outcome, Phase
from hilserl_replay.bag_metadata import read_notes
from hilserl_replay.bags import episode_folder, episode_folders, read_episode
from hilserl_replay.merge import merge
from hilserl_replay.relabel import Labels, relabel


def named(episode: Episode, run: str) -> Episode:
    return Episode(tuple(replace(step, run=run) for step in episode.steps))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), unique=True, max_size=3), min_size=1, max_size=3))
def test_every_episode_is_there_once_and_in_order(numbers: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs, expected = [], []
        for i, found in enumerate(numbers):
            run = Path(folder, f"run{i}")
            RunDirectory.create_or_resume(run, {})
            runs.append(run)
            for number in sorted(found):
                episode = named(make_episode(number, 2), run.name)
                write_episode(run, episode)
                expected.append(episode)
        output = Path(folder, "merged")
        if not expected:
            with pytest.raises(UserError, match="no closed episode"):
                merge(output, runs, say=lambda _: None)
            assert not output.exists()
            return
        merge(output, runs, say=lambda _: None)
        merged = [read_episode(path) for path in episode_folders(output)]
        assert len(merged) == len(expected)
        for number, (old, new) in enumerate(zip(expected, merged, strict=True)):
            for a, b in zip(old.steps, new.steps, strict=True):
                assert b.episode == number
                assert b.run == a.run
                assert_same(a, replace(b, episode=a.episode))


@settings(max_examples=15, deadline=None)
@given(episodes(images=1))
def test_a_copy_holds_the_same_steps(episode: Episode) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_episode(Path(folder, "demo"), episode)
        output = Path(folder, "merged")
        merge(output, [Path(folder, "demo")], discarded=True, say=lambda _: None)
        copy = read_episode(episode_folder(output, Phase.TRAIN, 0))
        for a, b in zip(episode.steps, copy.steps, strict=True):
            assert_same(a, b)


def test_the_metadata_and_labels_say_where_an_episode_came_from(tmp_path: Path) -> None:
    run = tmp_path / "a"
    write_episode(run, named(make_episode(4), "a"), ("front",))
    RunDirectory(run).append("labels", {"episode": "episodes/000004", "index": 2, "label": 1})
    merge(tmp_path / "merged", [run])
    notes = read_notes(episode_folder(tmp_path / "merged", Phase.TRAIN, 0))
    assert notes["merged_from"] == "a/episodes/000004"
    assert notes["run"] == "a"
    (label,) = RunDirectory(tmp_path / "merged").read("labels")
    assert (label["episode"], label["index"]) == ("episodes/000000", 2)


def test_discarded_episodes_are_left_out(tmp_path: Path) -> None:
    write_episode(tmp_path / "demo", make_episode(0))
    write_episode(tmp_path / "demo", make_episode(1))
    relabel(tmp_path / "demo", Labels(outcome=Outcome.ABORTED), episodes="0")
    assert merge(tmp_path / "kept", [tmp_path / "demo"]) == {tmp_path / "demo": 1}
    assert merge(tmp_path / "all", [tmp_path / "demo"], discarded=True) == {tmp_path / "demo": 2}


def test_runs_of_two_robots_are_refused(tmp_path: Path) -> None:
    write_episode(tmp_path / "a", named(make_episode(0), "a"))
    other = Episode(tuple(replace(s, spec="other", run="b") for s in make_episode(0).steps))
    write_episode(tmp_path / "b", other)
    with pytest.raises(UserError, match=r"b/episodes/000000 has spec other, .*a/episodes/000000"):
        merge(tmp_path / "merged", [tmp_path / "a", tmp_path / "b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_run_given_twice_is_refused(tmp_path: Path) -> None:
    write_episode(tmp_path / "demo", make_episode(0))
    with pytest.raises(UserError, match="the same episode"):
        merge(tmp_path / "merged", [tmp_path / "demo", tmp_path / "demo"])


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    write_episode(tmp_path / "demo", make_episode(0))
    with pytest.raises(UserError, match="exists already"):
        merge(tmp_path / "demo", [tmp_path / "demo"])
