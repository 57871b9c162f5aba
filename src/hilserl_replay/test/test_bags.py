"""Episodes survive the disk bit for bit, and a writer's death at any byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_episodes import SPEC, assert_same, make_episode, write_episode

from hilserl_core.errors import UserError
from hilserl_core.step import Outcome, Phase
from hilserl_replay.bag_metadata import METADATA, is_finished, read_notes
from hilserl_replay.bags import (
    EpisodeWriter,
    episode_folder,
    finish_unfinished,
    read_episode,
    read_episodes,
    read_images,
)


@pytest.mark.parametrize("images", [0, 2])
def test_an_episode_reads_back_bit_for_bit(run_dir: Path, images: int) -> None:
    episode = make_episode(3, 12, human=4, images=images)
    back = read_episode(write_episode(run_dir, episode), SPEC)
    assert back.complete
    for a, b in zip(episode.steps, back.steps, strict=True):
        assert_same(a, b)


def test_other_tools_open_the_bag(run_dir: Path) -> None:
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    typesys = pytest.importorskip("rosbags.typesys")
    folder = write_episode(run_dir, make_episode(0, 5), ("front",))
    typestore = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    with rosbag2.Reader(folder) as reader:
        assert {c.topic: c.msgcount for c in reader.connections} == {
            "/steps": 6,
            "/camera/front/policy": 6,
        }
        for connection in reader.connections:
            # The definitions in the bag suffice, and hash to the type that it names.
            types = typesys.get_types_from_msg(connection.msgdef.data, connection.msgtype)
            known = {k: v for k, v in types.items() if k not in typestore.fielddefs}
            typestore.register(known)
            assert typestore.hash_rihs01(connection.msgtype) == connection.digest
        indices = [
            typestore.deserialize_cdr(data, connection.msgtype).index
            for connection, _, data in reader.messages()
            if connection.topic == "/steps"
        ]
    assert indices == list(range(6))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0.0, 1.0))
def test_a_bag_cut_anywhere_reads_up_to_its_last_whole_step(tmp_path: Path, share: float) -> None:
    episode = make_episode(0, 10)
    original = tmp_path / "original"
    if not original.exists():
        write_episode(original, episode)
    run = tmp_path / "demo"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(original, run)
    folder = episode_folder(run, Phase.TRAIN, 0)
    (folder / METADATA).unlink()
    (file,) = folder.glob("*.mcap")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    before = list(read_episodes(run))
    finish_unfinished(run)
    after = list(read_episodes(run))
    assert len(before) == len(after) <= 1
    for back in after:
        assert back.gaps == 0
        assert is_finished(folder)
        for a, b in zip(before[0].steps, back.steps, strict=True):
            assert_same(a, b)
        for a, b in zip(episode.steps, back.steps, strict=False):
            assert_same(a, b)
    if not after:
        assert not folder.exists()
        assert share < 0.6


def test_every_step_is_on_disk_once_written(run_dir: Path) -> None:
    episode = make_episode(0, 10)
    folder = episode_folder(run_dir, Phase.TRAIN, 0)
    writer = EpisodeWriter(folder)
    for i, step in enumerate(episode.steps):
        writer.write_step(step)
        # A reader that comes now, as after the writer's death, has every step so far.
        assert len(read_episode(folder).steps) == i + 1
    assert not is_finished(folder)
    assert not list(read_episodes(run_dir, finished_only=True))
    writer.close()
    assert read_episode(folder).outcome == Outcome.SUCCESS


def test_an_episode_is_continued_where_its_writer_died(run_dir: Path) -> None:
    episode = make_episode(0, 10)
    folder = episode_folder(run_dir, Phase.TRAIN, 0)
    first = EpisodeWriter(folder)
    for step in episode.steps[:4]:
        first.write_step(step)
    first.abandon()
    finish_unfinished(run_dir)
    assert read_notes(folder)["outcome"] == "ABORTED"
    second = EpisodeWriter(folder)
    # The publisher's history brings some of them again.
    written = [second.write_step(step) for step in episode.steps[2:]]
    second.close()
    assert written == [False, False] + [True] * 7
    back = read_episode(folder)
    assert back.complete
    assert back.gaps == 0
    for a, b in zip(episode.steps, back.steps, strict=True):
        assert_same(a, b)
    assert read_notes(folder)["outcome"] == "SUCCESS"


def test_episodes_come_in_order_and_by_phase(run_dir: Path) -> None:
    for number in (10, 2, 1):
        write_episode(run_dir, make_episode(number))
    write_episode(run_dir, make_episode(0, phase=Phase.RECORD))
    write_episode(run_dir, make_episode(0, phase=Phase.EVALUATE))
    numbers = [e.steps[0].episode for e in read_episodes(run_dir)]
    assert numbers == [0, 1, 2, 10]
    recorded = list(read_episodes(run_dir, Phase.RECORD))
    assert [e.steps[0].phase for e in recorded] == [Phase.RECORD]
    evaluated = list(read_episodes(run_dir, Phase.EVALUATE))
    assert [e.steps[0].phase for e in evaluated] == [Phase.EVALUATE]


def test_camera_frames_read_back(run_dir: Path) -> None:
    folder = write_episode(run_dir, make_episode(0, 5), ("front",))
    frames = list(read_images(folder, "front"))
    assert [int(frame[0, 0, 0]) for _, frame in frames] == [0, 10, 20, 30, 40, 50]
    assert not list(read_images(folder, "wrist"))


def test_mistakes_name_the_path_and_the_remedy(run_dir: Path, tmp_path: Path) -> None:
    folder = write_episode(run_dir, make_episode(0))
    with pytest.raises(UserError, match=r"000000: recorded with spec .* this run has other"):
        read_episode(folder, "other")
    with pytest.raises(UserError, match="not a rosbag2 bag"):
        read_episode(tmp_path)
    (file,) = folder.glob("*.mcap")
    data = bytearray(file.read_bytes())
    data[2000] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged after \d+ messages"):
        read_episode(folder)
    (folder / METADATA).write_text("not: [a bag")
    with pytest.raises(UserError, match=r"metadata\.yaml: damaged"):
        read_episode(folder)


def test_a_bag_of_another_step_definition_is_refused(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from hilserl_replay import bags

    folder = write_episode(run_dir, make_episode(0))
    real = bags.message_definition
    monkeypatch.setattr(
        bags,
        "message_definition",
        lambda name: dataclasses.replace(real(name), hash="RIHS01_" + "0" * 64),
    )
    with pytest.raises(UserError, match="another definition of hilserl_msgs/msg/Step"):
        read_episode(folder)
