"""Episodes as a LeRobotDataset, and back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from episode_strategies import episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from made_episodes import assert_same, make_episode, write_episode

from hilserl_core.errors import UserError
from hilserl_core.step import Episode, Outcome, Phase, Source
from hilserl_replay import export as export_program
from hilserl_replay import import_dataset as import_program
from hilserl_replay.bags import episode_folder, episode_folders, read_episode
from hilserl_replay.export import Episodes, ExportParameters, export
from hilserl_replay.import_dataset import ImportParameters, import_dataset
from hilserl_replay.inspection import as_json, inspect_run
from hilserl_replay.video import CODECS, VideoWriter, read_video

LOSSLESS = ("ffv1", "png")


def smooth(shift: int, size: int = 32) -> np.ndarray:
    """A picture that a lossy codec can hold."""
    ramp = np.linspace(0, 200, size)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], float(shift)), axis=-1)
    return picture.astype(np.uint8)


def with_pictures(episode: Episode, cameras: int = 2) -> Episode:
    def seen(index: int) -> tuple[np.ndarray, ...]:
        return tuple(smooth(20 * (index % 10) + camera) for camera in range(cameras))

    return Episode(
        tuple(
            replace(s, observation=replace(s.observation, images=seen(s.index)), features=b"")
            for s in episode.steps
        )
    )


def rewarded(episode: Episode) -> Episode:
    """With the reward where the policy node puts it: on the step whose action earned it."""
    *steps, before, last = episode.steps
    return Episode((*steps, replace(before, reward=last.reward), replace(last, reward=0.0)))


def written(folder: Path, run: Path, **settings_: object) -> Path:
    output = folder / "dataset"
    export(Episodes(run), output, ExportParameters(**settings_), say=lambda _: None)
    return output


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(LOSSLESS), st.integers(0, 2))
def test_a_round_trip_keeps_everything(data: st.DataObject, codec: str, cameras: int) -> None:
    made = [data.draw(episodes(n, cameras, discarded=False)) for n in range(2)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for episode in made:
            write_episode(folder / "demo", episode)
        dataset = written(folder, folder / "demo", codec=codec, fps=10)
        import_dataset(dataset, folder / "back", ImportParameters(), say=lambda _: None)
        back = [read_episode(path) for path in episode_folders(folder / "back")]
        for old, new in zip(made, back, strict=True):
            for a, b in zip(old.steps, new.steps, strict=True):
                assert_same(a, b)


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_video_loses_little_and_labels_nothing(tmp_path: Path, codec: str) -> None:
    made = with_pictures(rewarded(make_episode(0, 12, human=5)))
    big = Episode(
        tuple(
            replace(
                s,
                observation=replace(
                    s.observation, images=tuple(smooth(20 * (s.index % 10), 64) for _ in range(2))
                ),
            )
            for s in made.steps
        )
    )
    write_episode(tmp_path / "demo", big)
    dataset = written(tmp_path, tmp_path / "demo", codec=codec)
    import_dataset(dataset, tmp_path / "back", ImportParameters())
    back = read_episode(episode_folder(tmp_path / "back", Phase.TRAIN, 0))
    for a, b in zip(big.steps, back.steps, strict=True):
        for picture, seen in zip(a.observation.images, b.observation.images, strict=True):
            assert np.abs(picture.astype(int) - seen).mean() < 4
        assert_same(
            replace(a, observation=replace(a.observation, images=())),
            replace(b, observation=replace(b.observation, images=())),
        )


def test_rows_are_transitions_and_count_as_inspect_does(tmp_path: Path) -> None:
    run = tmp_path / "demo"
    write_episode(run, rewarded(make_episode(0, 8, phase=Phase.RECORD)))
    write_episode(run, rewarded(make_episode(1, 9, human=4)))
    write_episode(run, make_episode(2, 7, outcome=Outcome.TIMEOUT))
    write_episode(run, make_episode(3, 6, outcome=Outcome.ABORTED))
    write_episode(run, make_episode(0, 5, phase=Phase.EVALUATE))
    rows = pq.read_table(written(tmp_path, run) / "data").to_pydict()
    found = as_json(inspect_run(run))["all"]
    counts = {s.name.lower(): rows["source"].count(int(s)) for s in Source}
    assert counts == found["steps"] == {"policy": 17, "human": 4, "offline": 8}
    ends = [i for i, done in enumerate(rows["next.done"]) if done]
    assert ends == [7, 16, 23, 28]
    assert [rows["next.success"][i] for i in ends] == [True, True, False, True]
    assert [rows["next.truncated"][i] for i in ends] == [False, False, True, False]
    assert [rows["next.reward"][i] for i in ends[:3]] == [1.0, 1.0, 0.0]
    assert rows["index"] == list(range(29))
    assert rows["timestamp"][8:11] == [0.0, pytest.approx(0.1), pytest.approx(0.2)]


def test_files_end_at_their_size_and_frames_stay_in_place(tmp_path: Path) -> None:
    made = [with_pictures(make_episode(number, 5)) for number in range(4)]
    for episode in made:
        write_episode(tmp_path / "demo", episode)
    dataset = written(
        *(tmp_path, tmp_path / "demo"), codec="ffv1", data_megabytes=0.001, video_megabytes=0.001
    )
    assert len(list((dataset / "data").rglob("*.parquet"))) == 4
    assert len(list((dataset / "videos").rglob("*.mp4"))) == 8
    import_dataset(dataset, tmp_path / "back", ImportParameters())
    for old, path in zip(made, episode_folders(tmp_path / "back"), strict=True):
        for a, b in zip(old.steps, read_episode(path).steps, strict=True):
            assert_same(a, b)


@pytest.mark.parametrize("codec", CODECS)
def test_frames_are_at_their_times_exactly(tmp_path: Path, codec: str) -> None:
    writer = VideoWriter(tmp_path / "video.mp4", CODECS[codec], 10, 64, 64)
    for i in range(30):
        writer.write(smooth(8 * i, 64))
    writer.close()
    times = [time for time, _ in read_video(tmp_path / "video.mp4")]
    assert times == pytest.approx([i / 10 for i in range(30)], abs=1e-6)


def test_statistics_are_those_of_the_numbers(tmp_path: Path) -> None:
    made = [with_pictures(make_episode(number, 5)) for number in range(3)]
    for episode in made:
        write_episode(tmp_path / "demo", episode)
    stats = json.loads((written(tmp_path, tmp_path / "demo") / "meta/stats.json").read_text())
    states = np.concatenate([[s.observation.state for s in e.steps[:-1]] for e in made])
    assert stats["observation.state"]["mean"] == pytest.approx(states.mean(axis=0))
    assert stats["observation.state"]["std"] == pytest.approx(states.std(axis=0, dtype=float))
    assert stats["observation.state"]["count"] == [15]
    pictures = np.stack([s.observation.images[0] for e in made for s in e.steps[:-1]]) / 255
    figures = stats["observation.images.image_0"]
    for figure in ("mean", "std", "min", "max"):
        expected = getattr(pictures, figure)(axis=(0, 1, 2))
        assert np.ravel(figures[figure]) == pytest.approx(expected), figure


def changed(run: Path, **observation: object) -> None:
    """Writes episode 1 of ``run`` with something else in its fourth step."""
    steps = list(make_episode(1, images=1).steps)
    steps[3] = replace(steps[3], observation=replace(steps[3].observation, **observation))
    write_episode(run, Episode(tuple(steps)))


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        ({"state": np.array([0, np.nan, 1], np.float32)}, "step 3: state holds .* not finite"),
        ({"state": np.zeros(5, np.float32)}, "step 3: state has 5 numbers"),
        ({"images": (np.zeros((8, 8, 3), np.uint8),)}, "step 3: images of 8 x 8"),
        ({"images": ()}, "step 3: images of no camera"),
    ],
)
def test_episodes_that_do_not_fit_are_refused(
    tmp_path: Path, observation: dict[str, object], words: str
) -> None:
    write_episode(tmp_path / "demo", make_episode(0, images=1))
    changed(tmp_path / "demo", **observation)
    with pytest.raises(UserError, match=words):
        written(tmp_path, tmp_path / "demo", codec="png")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_odd_sizes_need_a_lossless_codec(tmp_path: Path) -> None:
    episode = make_episode(0)
    odd = (np.zeros((9, 7, 3), np.uint8),)
    steps = [replace(s, observation=replace(s.observation, images=odd)) for s in episode.steps]
    write_episode(tmp_path / "demo", Episode(tuple(steps)))
    with pytest.raises(UserError, match="even sizes: choose codec ffv1"):
        written(tmp_path, tmp_path / "demo", codec="h264")


def foreign(tmp_path: Path, *, success: bool = True) -> Path:
    """A data set as another program writes it: without anything of ours."""
    for number in range(2):
        write_episode(tmp_path / "demo", with_pictures(rewarded(make_episode(number, 6)), 1))
    dataset = written(tmp_path, tmp_path / "demo", codec="ffv1")
    (dataset / "meta/hilserl/episodes.parquet").unlink()
    (path,) = (dataset / "data").rglob("*.parquet")
    table = pq.read_table(path)
    gone = ["source", "next.truncated", "policy_action", "stamp", "step_index"]
    gone += [] if success else ["next.success", "next.reward"]
    pq.write_table(table.drop_columns(gone), path)
    info = json.loads((dataset / "meta/info.json").read_text())
    info["features"] = {key: f for key, f in info["features"].items() if key not in gone}
    (dataset / "meta/info.json").write_text(json.dumps(info))
    return dataset


def test_a_foreign_data_set_repeats_the_last_observation(tmp_path: Path) -> None:
    dataset = foreign(tmp_path)
    import_dataset(dataset, tmp_path / "back", ImportParameters())
    back = read_episode(episode_folder(tmp_path / "back", Phase.TRAIN, 1))
    original = rewarded(make_episode(1, 6))
    assert back.transitions == 6
    assert back.count(Source.OFFLINE) == 6
    assert back.outcome == Outcome.SUCCESS
    assert [s.reward for s in back.steps] == [0, 0, 0, 0, 0, 1, 0]
    assert back.steps[0].phase == Phase.RECORD
    assert back.steps[0].run == "back"
    for a, b in zip(original.steps[:-1], back.steps[:-1], strict=True):
        assert np.array_equal(a.observation.state, b.observation.state)
        assert np.array_equal(a.action, b.action)
    assert np.array_equal(back.steps[-1].observation.state, back.steps[-2].observation.state)
    stamps = [s.observation.stamp for s in back.steps]
    assert np.diff(stamps) == pytest.approx(100_000_000, abs=1)


def test_what_a_foreign_data_set_does_not_say_is_asked_for(tmp_path: Path) -> None:
    dataset, said = foreign(tmp_path, success=False), list[str]()
    import_dataset(dataset, tmp_path / "a", ImportParameters(), say=said.append)
    assert any("no column 'next.success'" in line for line in said)
    assert read_episode(episode_folder(tmp_path / "a", Phase.TRAIN, 0)).outcome == Outcome.TIMEOUT
    told = ImportParameters(source="human", outcome="failure", phase="train")
    import_dataset(dataset, tmp_path / "b", told, say=said.append)
    episode = read_episode(episode_folder(tmp_path / "b", Phase.TRAIN, 0))
    assert (episode.outcome, episode.steps[-2].reward) == (Outcome.FAILURE, -1.0)
    assert episode.count(Source.HUMAN) == 6


def test_like_a_run_gives_its_spec_and_refuses_other_shapes(tmp_path: Path) -> None:
    dataset = foreign(tmp_path)
    like = ImportParameters(like=str(tmp_path / "demo"))
    import_dataset(dataset, tmp_path / "back", like)
    spec = read_episode(episode_folder(tmp_path / "demo", Phase.TRAIN, 0)).steps[0].spec
    assert read_episode(episode_folder(tmp_path / "back", Phase.TRAIN, 0)).steps[0].spec == spec
    write_episode(tmp_path / "other", make_episode(0))
    with pytest.raises(UserError, match="images of 32 x 32, the first episode's are no camera"):
        import_dataset(dataset, tmp_path / "c", ImportParameters(like=str(tmp_path / "other")))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "meta/info.json").unlink(), "not a LeRobotDataset"),
        (lambda d: (d / "meta/info.json").write_text("{"), "damaged"),
        (lambda d: next((d / "data").rglob("*.parquet")).write_bytes(b"PAR1"), "damaged"),
        (lambda d: next((d / "data").rglob("*.parquet")).unlink(), "missing"),
        (lambda d: next((d / "videos").rglob("*.mp4")).unlink(), "no video, or damaged"),
        (lambda d: next((d / "videos").rglob("*.mp4")).write_bytes(b"0" * 99), "no video, or dam"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], object], words: str) -> None:
    dataset = foreign(tmp_path)
    damage(dataset)
    with pytest.raises(UserError, match=words):
        import_dataset(dataset, tmp_path / "back", ImportParameters())
    assert not (tmp_path / "back").exists()


def test_a_data_set_that_was_changed_is_not_taken_for_the_export(tmp_path: Path) -> None:
    for number in range(3):
        write_episode(tmp_path / "demo", make_episode(number, 4))
    dataset = written(tmp_path, tmp_path / "demo")
    path = dataset / "meta/hilserl/episodes.parquet"
    pq.write_table(pq.read_table(path).slice(0, 2), path)
    with pytest.raises(UserError, match="changed since the export"):
        import_dataset(dataset, tmp_path / "back", ImportParameters())


def test_version_2_is_named(tmp_path: Path) -> None:
    dataset = foreign(tmp_path)
    info = json.loads((dataset / "meta/info.json").read_text())
    (dataset / "meta/info.json").write_text(json.dumps({**info, "codebase_version": "v2.1"}))
    with pytest.raises(UserError, match=r"version v2.1, version 3 is read"):
        import_dataset(dataset, tmp_path / "back", ImportParameters())


def test_the_programs_say_what_they_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, dataset = tmp_path / "demo", tmp_path / "dataset"
    write_episode(run, make_episode(0, 6, human=2, images=1))
    write_episode(run, make_episode(1, 4, outcome=Outcome.ABORTED))
    export_program.main([str(run), str(dataset), "--format", "lerobot", "--codec", "png"])
    import_program.main([str(dataset), str(tmp_path / "back")])
    said = capsys.readouterr().out
    assert "1 discarded episodes left out" in said
    assert "dataset: 1 episodes, 6 frames (4 policy, 2 human, 0 offline), 10 Hz" in said
    assert "back: 1 episodes, steps: 4 policy, 2 human, 0 offline" in said
    for program, arguments, words in (
        (export_program, [str(run), str(dataset)], "exists already"),
        (export_program, [str(run), str(tmp_path / "x"), "--codec", "gif"], "not one of h264"),
        (export_program, [str(tmp_path / "x"), str(tmp_path / "y")], "no such run"),
        (import_program, [str(run), str(tmp_path / "y")], "not a LeRobotDataset"),
        (import_program, [str(dataset), str(tmp_path / "y"), "--episodes", "5"], "episodes 0 to 0"),
    ):
        with pytest.raises(SystemExit) as ending:
            program.main(arguments)
        assert ending.value.code == 1
        assert words in capsys.readouterr().err
