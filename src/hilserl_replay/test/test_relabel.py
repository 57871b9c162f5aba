"""What relabelling changes of an episode, and that nothing is lost by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from episode_strategies import episodes
from hypothesis import given
from hypothesis import strategies as st
from made_episodes import assert_same, make_episode, write_episode

from hilserl_core.errors import UserError
from hilserl_core.step import Episode, Outcome, Source
from hilserl_replay import relabel as program
from hilserl_replay import rewrite
from hilserl_replay.bags import EpisodeWriter, read_episode
from hilserl_replay.mcap_bag import read_messages
from hilserl_replay.recorder import Recorder
from hilserl_replay.relabel import Labels, relabel, relabelled

CHANGED = ("source", "reward", "is_last", "is_terminal", "outcome")
SIGN = {Outcome.SUCCESS: 1, Outcome.FAILURE: -1, Outcome.TIMEOUT: 0, Outcome.ABORTED: 0}
labels = st.one_of(
    st.builds(
        Labels, source=st.none() | st.sampled_from(Source), outcome=st.sampled_from(list(SIGN))
    ),
    st.builds(Labels, source=st.sampled_from(Source), reward=st.none() | st.floats(-1, 1)),
)


@given(episodes(), labels)
def test_only_labels_change(episode: Episode, given_labels: Labels) -> None:
    after = relabelled(episode, given_labels)
    for old, new in zip(episode.steps, after.steps, strict=True):
        said = {name: getattr(old, name) for name in CHANGED}
        assert_same(replace(new, **said), old)


@given(episodes(), labels)
def test_outcome_end_and_last_reward_agree(episode: Episode, given_labels: Labels) -> None:
    after = relabelled(episode, given_labels)
    if given_labels.outcome is not None:
        assert after.outcome == given_labels.outcome
        assert after.complete
    if given_labels.outcome is not None or (given_labels.reward is not None and after.complete):
        reward = after.steps[-2].reward
        if after.outcome != Outcome.ABORTED or given_labels.outcome is not None:
            assert (reward > 0) - (reward < 0) == SIGN[after.outcome]
            assert after.steps[-1].is_terminal == (SIGN[after.outcome] != 0)


@given(episodes(), labels)
def test_saying_it_twice_says_it_once(episode: Episode, given_labels: Labels) -> None:
    once = relabelled(episode, given_labels)
    for a, b in zip(once.steps, relabelled(once, given_labels).steps, strict=True):
        assert_same(a, b)


@given(episodes(), st.integers(0, 20), st.integers(0, 20))
def test_a_range_leaves_the_rest_alone(episode: Episode, first: int, size: int) -> None:
    meant = range(first, first + size)
    given_labels = Labels(source=Source.HUMAN, steps=(meant,))
    try:
        after = relabelled(episode, given_labels)
    except UserError:
        assert not any(step.index in meant for step in episode.steps[:-1])
        return
    for old, new in zip(episode.steps[:-1], after.steps[:-1], strict=True):
        assert new.source == (Source.HUMAN if old.index in meant else old.source)


def test_a_bag_keeps_everything_else(run_dir: Path) -> None:
    folder = write_episode(run_dir, make_episode(3, images=1, human=4), ("front",))
    before, messages = read_episode(folder), list(read_messages(folder))
    assert relabel(run_dir, Labels(outcome=Outcome.FAILURE), episodes="3") == 1
    after = read_episode(folder)
    assert after.outcome == Outcome.FAILURE
    assert after.steps[-2].reward == -1.0
    for old, new in zip(before.steps[:-2], after.steps[:-2], strict=True):
        assert_same(old, new)
    kept = [(m.topic, m.stamp) for m in read_messages(folder)]
    assert kept == [(m.topic, m.stamp) for m in messages]
    frames = [m.data for m in messages if "camera" in m.topic]
    assert [m.data for m in read_messages(folder) if "camera" in m.topic] == frames
    assert not (folder.parent / ".rewriting").exists()


def test_other_tools_open_what_was_relabelled(run_dir: Path) -> None:
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    folder = write_episode(run_dir, make_episode(0, 5), ("front",))
    relabel(run_dir, Labels(source=Source.HUMAN))
    with rosbag2.Reader(folder) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert counts == {"/steps": 6, "/camera/front/policy": 6}
        assert sum(1 for _ in reader.messages()) == 12


def test_what_was_said_before_is_kept(run_dir: Path) -> None:
    write_episode(run_dir, make_episode(0, 5, human=2))
    relabel(run_dir, Labels(source=Source.OFFLINE))
    (line,) = (run_dir / "relabel.jsonl").read_text().splitlines()
    noted = json.loads(line)
    assert noted["episode"] == "episodes/000000"
    assert noted["sources"] == [[1, 2], [0, 4]]
    assert noted["outcome"] == Outcome.SUCCESS


def test_a_dry_run_changes_nothing(run_dir: Path) -> None:
    folder = write_episode(run_dir, make_episode(0))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    said: list[str] = []
    assert relabel(run_dir, Labels(outcome=Outcome.ABORTED), dry_run=True, say=said.append) == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert said == ["episodes/000000: outcome success -> aborted; terminal -> false"]
    assert not (run_dir / "relabel.jsonl").exists()


@pytest.mark.parametrize("moment", ["writing", "moved aside"])
def test_a_crash_leaves_the_old_episode(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    folder = write_episode(run_dir, make_episode(0))

    class Crash(BaseException):
        """As if the power went: nothing that follows is run."""

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(rewrite, "recover", lambda _: None)
        if moment == "writing":
            patch.setattr(rewrite.EpisodeCopy, "_check", crash)
        else:
            original = Path.rename

            def rename(path: Path, target: Path) -> Path:
                if path.parent.name == ".rewriting":
                    raise Crash
                return original(path, target)

            patch.setattr(Path, "rename", rename)
        with pytest.raises(Crash):
            rewrite.replace_episode(folder, lambda step: replace(step, source=Source.HUMAN))
    assert folder.exists() == (moment == "writing")
    rewrite.recover(folder.parent)
    for old, new in zip(make_episode(0).steps, read_episode(folder).steps, strict=True):
        assert_same(old, new)
    assert not (folder.parent / ".rewriting").exists()


def test_a_run_that_is_being_recorded_is_left_alone(run_dir: Path) -> None:
    write_episode(run_dir, make_episode(0))
    recorder = Recorder(run_dir)
    with pytest.raises(UserError, match="writes to it"):
        relabel(run_dir, Labels(source=Source.HUMAN))
    recorder.close()


def test_an_open_bag_is_left_alone(run_dir: Path) -> None:
    writer = EpisodeWriter(write_episode(run_dir, make_episode(0)).parent / "000001")
    writer.write_step(make_episode(1).steps[0])
    writer.abandon()
    with pytest.raises(UserError, match="under way, or was cut off"):
        relabel(run_dir, Labels(source=Source.HUMAN))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--episodes", "7", "--source", "human"], "no episode 7"),
        (["--episodes", "x", "--source", "human"], "give numbers and ranges"),
        (["--steps", "90-99", "--source", "human"], "steps 0 to 9"),
        (["--reward", "2"], "from -1 to 1"),
        (["--reward", "nan"], "from -1 to 1"),
        ([], "nothing to change"),
        (["--steps", "1-2", "--outcome", "success"], "whole episode"),
    ],
)
def test_mistakes_are_named(
    run_dir: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(run_dir, make_episode(0))
    with pytest.raises(SystemExit) as ending:
        program.main([str(run_dir), *arguments])
    assert ending.value.code == 1
    assert words in capsys.readouterr().err
