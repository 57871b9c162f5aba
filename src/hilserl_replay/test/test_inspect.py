"""What ``inspect`` says of a run, and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_episodes import make_episode, write_episode

from hilserl_core.step import Episode, Outcome, Phase
from hilserl_replay import inspect
from hilserl_replay.bags import EpisodeWriter, episode_folder


def run_inspect(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ending:
        inspect.main([str(run_dir)])
    output = capsys.readouterr()
    return int(ending.value.code or 0), output.out + output.err


def test_counts_episodes_steps_and_outcomes(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(run_dir, make_episode(0, 12, phase=Phase.RECORD))
    write_episode(run_dir, make_episode(1, 20, human=5))
    write_episode(run_dir, make_episode(2, 30, outcome=Outcome.TIMEOUT))
    code, text = run_inspect(run_dir, capsys)
    assert code == 0
    assert "gaps: none" in text
    rows = {
        line.split("│")[1].strip(): line.split("│")[2:-1]
        for line in text.splitlines()
        if "│" in line
    }
    cells = [cell.strip() for cell in rows["train"]]
    assert cells == [
        "2", "50", "45", "5", "0", "1", "0", "1", "0", "50.0", "10.0", "2.0", "10.0",
    ]  # fmt: skip
    assert [cell.strip() for cell in rows["record"]][4] == "12"


def test_missing_steps_and_bags_are_gaps(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = make_episode(0).steps
    write_episode(run_dir, Episode(steps[:3] + steps[5:]))
    code, text = run_inspect(run_dir, capsys)
    assert code == 1
    assert "gaps: 2 steps missing in episodes/000000 (2)" in text


def test_an_episode_under_way_is_no_gap(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_episode(run_dir, make_episode(0))
    writer = EpisodeWriter(episode_folder(run_dir, Phase.TRAIN, 1))
    for step in make_episode(1).steps[:4]:
        writer.write_step(step)
    EpisodeWriter(episode_folder(run_dir, Phase.TRAIN, 2)).abandon()
    code, text = run_inspect(run_dir, capsys)
    assert code == 0
    assert "under way, or cut off and not closed yet: episodes/000001 (4 steps)" in text
    writer.close()


def test_a_damaged_bag_is_named(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_episode(run_dir, make_episode(0))
    (file,) = folder.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:2000])
    code, text = run_inspect(run_dir, capsys)
    assert code == 1
    assert "unreadable:" in text
    assert "damaged" in text


def test_not_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run_inspect(tmp_path / "nothing", capsys)
    assert code == 1
    assert text.startswith("error:")
    assert "no such run" in text
