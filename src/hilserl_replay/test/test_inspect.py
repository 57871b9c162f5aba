"""What ``inspect`` says of a run, and its exit code."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_bags import by_mcap, by_rosbags, cut, some_messages
from made_episodes import make_episode, write_episode
from PIL import Image
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from hilserl_core.step import Episode, Outcome, Phase
from hilserl_replay import inspect
from hilserl_replay.bags import EpisodeWriter, episode_folder
from hilserl_replay.contact_sheet import contact_sheet
from hilserl_replay.inspection import as_json, inspect_run
from hilserl_replay.mcap_bag import BagWriter


def run_inspect(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ending:
        inspect.main([str(path), *options])
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
        "2", "50", "45", "5", "0", "1", "0", "1", "0", "0", "50.0", "10.0", "2.0", "10.0",
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


def test_discarded_episodes_count_for_nothing(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(run_dir, make_episode(0, 20, human=5))
    write_episode(run_dir, make_episode(1, 30, outcome=Outcome.ABORTED))
    code, text = run_inspect(run_dir, capsys, "--json")
    found = json.loads(text)
    assert code == 0
    assert found["all"]["steps"] == {"policy": 15, "human": 5, "offline": 0}
    assert found["all"]["outcomes"]["discarded"] == 1
    assert found["all"]["success_rate"] == 1.0
    assert found["discarded"]["steps"] == {"policy": 30, "human": 0, "offline": 0}
    assert [e["discarded"] for e in found["episodes"]] == [False, True]


def test_statistics_are_of_every_element(run_dir: Path) -> None:
    episodes = [make_episode(n, 9) for n in range(3)]
    for episode in episodes:
        write_episode(run_dir, episode)
    found = as_json(inspect_run(run_dir))["statistics"]
    states = np.stack([s.observation.state for e in episodes for s in e.steps])
    assert [row["name"] for row in found["state"]] == ["state_0", "state_1", "state_2"]
    for figure in ("min", "max", "mean", "std"):
        expected = getattr(states.astype(float), figure)(axis=0)
        assert [row[figure] for row in found["state"]] == pytest.approx(expected)
    assert [row["max"] for row in found["action"]] == pytest.approx([0.08] * 4)


def test_ticks_without_a_step_are_told_from_missing_steps(run_dir: Path) -> None:
    late = [
        replace(
            step,
            observation=replace(
                step.observation, stamp=step.observation.stamp + 300_000_000 * (step.index > 4)
            ),
        )
        for step in make_episode(0, 20).steps
    ]
    write_episode(run_dir, Episode(tuple(late)))
    steps = make_episode(1, 20).steps
    write_episode(run_dir, Episode(steps[:7] + steps[9:]))
    first, second = inspect_run(run_dir).summary.episodes
    assert (first.missing, first.late) == (0, 3)
    assert (second.missing, second.late) == (2, 0)


def test_one_episode(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_episode(run_dir, make_episode(0, 3))
    folder = write_episode(run_dir, make_episode(1, 7, human=2))
    code, text = run_inspect(folder, capsys, "--json")
    assert code == 0
    assert json.loads(text)["all"]["steps"] == {"policy": 5, "human": 2, "offline": 0}


def test_any_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, cdr = BagWriter(tmp_path / "raw"), serialize_message(JointState())
    for i in [*range(10), *range(14, 20), 3]:
        bag.write("/arm/joint_states", "sensor_msgs/msg/JointState", cdr, i * 20_000_000)
    bag.close()
    code, text = run_inspect(tmp_path / "raw", capsys, "--json")
    found = json.loads(text)["topics"]["/arm/joint_states"]
    assert code == 0
    assert (found["messages"], found["missing"], found["backwards"]) == (17, 4, 1)
    assert found["rate_hz"] == pytest.approx(50)
    assert found["longest_gap_s"] == pytest.approx(0.1)


@pytest.mark.parametrize("mode", ["none", "file", "message"])
def test_a_bag_of_another_program_as_folder_or_file(
    mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = by_rosbags(tmp_path / "theirs", some_messages(), "sqlite3", mode)
    file = next(path for path in bag.iterdir() if ".db3" in path.name)
    for path in (bag, file):
        code, text = run_inspect(path, capsys, "--json")
        assert code == 0
        assert json.loads(text)["topics"]["/joint_states"]["messages"] == 30


def test_a_cut_off_bag_is_read_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = by_mcap(tmp_path / "cut.mcap", some_messages(200))
    cut(file, file.stat().st_size // 2)
    code, text = run_inspect(file, capsys, "--json")
    found = json.loads(text)
    assert code == 0
    assert "cut.mcap: read up to" in found["problems"][0]
    assert found["topics"]["/joint_states"]["messages"] > 0


def test_a_contact_sheet_shows_frames_and_sources(run_dir: Path, tmp_path: Path) -> None:
    folder = write_episode(run_dir, make_episode(0, 20, human=10), ("front",))
    plain = write_episode(run_dir, make_episode(1, 20))
    with_frames, without, both = map(contact_sheet, ([folder], [plain], [folder, plain]))
    assert _size(both)[0] == 1440
    assert _size(with_frames)[1] > _size(without)[1]
    assert _size(both)[1] == pytest.approx(_size(with_frames)[1] + _size(without)[1], abs=2)
    assert _human_pixels(with_frames) > _human_pixels(without)


def _size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def _human_pixels(png: bytes) -> int:
    """How many of a sheet's pixels are in the colour of a human's steps."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    orange = 0.15 * np.array([0xD9, 0x73, 0x0D]) + 0.85 * 254
    return int((np.abs(pixels - orange) < 3).all(axis=-1).sum())
