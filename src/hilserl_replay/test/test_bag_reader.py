"""Bags of any form and of any writer give the same messages, by either reader."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_bags import Recorded, by_mcap, by_rosbags, cut, some_messages, split
from mcap.writer import CompressionType, IndexType

from hilserl_core.errors import UserError
from hilserl_replay.bag_message import BagMessage
from hilserl_replay.bag_reader import BagReader, open_bag
from hilserl_replay.mcap_bag import BagWriter

MESSAGES = some_messages()
Open = Callable[[Path], BagReader]


@pytest.fixture(params=["ours", "rosbag2_py", "stand-in for rosbag2_py"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a bag by one of the readers."""
    reader = request.param
    if reader == "rosbag2_py" and importlib.util.find_spec("rosbag2_py") is None:
        pytest.skip("rosbag2_py is not installed: it comes with a full ROS 2 alone")
    if reader.startswith("stand-in"):
        import rosbag2_stand_in

        rosbag2_stand_in.__spec__ = importlib.util.spec_from_loader("rosbag2_py", None)
        monkeypatch.setitem(sys.modules, "rosbag2_py", rosbag2_stand_in)
        monkeypatch.delitem(sys.modules, "hilserl_replay.rosbag2_reader", raising=False)
        reader = "rosbag2_py"
    return lambda path: open_bag(path, reader)


def plain(messages: Iterable[BagMessage]) -> list[Recorded]:
    return [Recorded(m.topic, m.type, m.stamp, m.data) for m in messages]


def ours(folder: Path, messages: Iterable[Recorded]) -> Path:
    writer = BagWriter(folder)
    for message in messages:
        writer.write(message.topic, message.type, message.data, message.stamp)
    writer.close()
    return folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("mode", ["none", "file", "message"])
def test_a_bag_of_either_storage_reads_whole(
    tmp_path: Path, opened: Open, storage: str, mode: str
) -> None:
    bag = opened(by_rosbags(tmp_path / "bag", MESSAGES, storage, mode))
    assert bag.topics() == {
        "/joint_states": "sensor_msgs/msg/JointState",
        "/camera/front/image_raw": "sensor_msgs/msg/Image",
    }
    assert plain(bag.messages()) == MESSAGES
    assert bag.problems == []
    assert bag.progress == pytest.approx(1.0)
    # Held until the file is read, a message still has its bytes: whoever waits for others may.
    held = list(bag.messages({"/camera/front/image_raw"}))
    assert plain(held) == [m for m in MESSAGES if m.topic == "/camera/front/image_raw"]
    assert [m.header_stamp for m in held] == [m.stamp - 4_000_000 for m in held]
    assert list(bag.messages(set())) == []


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_split_bag_reads_in_order(tmp_path: Path, opened: Open, storage: str) -> None:
    parts = [MESSAGES[:11], MESSAGES[11:12], MESSAGES[12:]]
    folders = [by_rosbags(tmp_path / f"part{i}", p, storage) for i, p in enumerate(parts)]
    folder = split(tmp_path / "bag", folders)
    assert plain(opened(folder).messages()) == MESSAGES


def test_our_own_bags_read(tmp_path: Path, opened: Open) -> None:
    folder = ours(tmp_path / "bag", MESSAGES[:7])
    writer = BagWriter(folder)  # continued, in a second file
    for message in MESSAGES[7:]:
        writer.write(message.topic, message.type, message.data, message.stamp)
    writer.close()
    assert plain(opened(folder).messages()) == MESSAGES


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_chunking": False},
        {"index_types": IndexType.NONE, "use_summary_offsets": False, "repeat_schemas": False},
    ],
)
def test_a_lone_file_of_the_mcap_library_reads(
    tmp_path: Path, compression: CompressionType, options: dict[str, object]
) -> None:
    path = by_mcap(tmp_path / "lone.mcap", MESSAGES, compression, **options)
    bag = open_bag(path)
    assert set(bag.topics()) == {"/joint_states", "/camera/front/image_raw"}
    assert plain(bag.messages()) == MESSAGES
    assert bag.problems == []


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_folder_without_metadata_reads(tmp_path: Path, storage: str) -> None:
    halves = [MESSAGES[:11], MESSAGES[11:]]
    folders = [by_rosbags(tmp_path / f"part{i}", p, storage) for i, p in enumerate(halves)]
    folder = split(tmp_path / "bag", folders)
    (folder / "metadata.yaml").unlink()
    bag = open_bag(folder)
    assert plain(bag.messages()) == MESSAGES
    assert bag.problems == []


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0.02, 1.0), compression=st.sampled_from(list(CompressionType)))
def test_a_file_cut_anywhere_gives_what_was_whole(
    tmp_path: Path, share: float, compression: CompressionType
) -> None:
    path = by_mcap(tmp_path / "cut.mcap", MESSAGES, compression)
    size = path.stat().st_size
    cut(path, size - int(share * size))
    bag = open_bag(path)
    found = plain(bag.messages())
    assert found == MESSAGES[: len(found)]
    if compression == CompressionType.NONE:
        # Up to the last message, though its chunk is not whole.
        lost = sum(len(m.data) + 40 for m in MESSAGES[len(found) + 1 :])
        assert lost <= size - int(share * size)
    if len(found) < len(MESSAGES):
        (problem,) = bag.problems
        assert f"read up to {len(found)} messages" in problem


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("metadata", [True, False])
def test_a_bag_whose_end_was_cut_off_is_salvaged(
    tmp_path: Path, storage: str, metadata: bool
) -> None:
    folder = by_rosbags(tmp_path / "bag", MESSAGES, storage)
    if not metadata:
        (folder / "metadata.yaml").unlink()
    cut(folder, 20_000)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    bag = open_bag(folder, "ours")
    assert set(bag.topics()) == {"/joint_states", "/camera/front/image_raw"}
    found = plain(bag.messages())
    assert 10 < len(found) < len(MESSAGES)
    assert found == MESSAGES[: len(found)]
    assert f"read up to {len(found)} messages" in bag.problems[0]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_a_crash_left_in_a_sqlite_log_is_read_and_stays(tmp_path: Path) -> None:
    import sqlite3

    folder = by_rosbags(tmp_path / "bag", MESSAGES[:10], "sqlite3")
    (file,) = folder.glob("*.db3")
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    for message in MESSAGES[10:]:
        topic = {"/joint_states": 1, "/camera/front/image_raw": 2}[message.topic]
        database.execute(
            "INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)",
            (topic, message.stamp, message.data),
        )
    crashed = tmp_path / "crashed"
    shutil.copytree(folder, crashed)
    database.close()
    before = {path: path.read_bytes() for path in crashed.iterdir()}
    bag = open_bag(crashed, "ours")
    assert plain(bag.messages()) == MESSAGES
    assert {path: path.read_bytes() for path in crashed.iterdir()} == before


def damage_middle(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    path.write_bytes(data)
    return path


def test_damage_in_the_middle_ends_what_is_read_and_is_told(tmp_path: Path) -> None:
    path = damage_middle(by_mcap(tmp_path / "b.mcap", MESSAGES, CompressionType.ZSTD))
    bag = open_bag(path)
    found = plain(bag.messages())
    assert found == MESSAGES[: len(found)] != MESSAGES
    assert bag.problems


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing", None, "nothing: no such file or folder: give a bag"),
        ("notes.txt", b"hello", "notes.txt: not a bag: give its folder, or a .mcap or .db3 file"),
        ("folder/notes.txt", b"hello", "folder: not a rosbag2 bag: it holds no .mcap or .db3 file"),
        (
            "folder/metadata.yaml",
            b"rosbag2_bagfile_information: {relative_file_paths: [a.mcap]}",
            "metadata.yaml lists a.mcap, which is missing: put it back, or remove",
        ),
        ("folder/metadata.yaml", b"[", "metadata.yaml: damaged"),
    ],
)
def test_what_is_no_bag_is_named(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        open_bag(path.parent if "/" in name else path, "ours")


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
@pytest.mark.parametrize("content", [b"", b"something else entirely, and more of it"])
def test_an_empty_or_foreign_file_gives_nothing_and_says_so(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"bag{suffix}"
    path.write_bytes(content)
    bag = open_bag(path)
    assert bag.topics() == {}
    assert list(bag.messages()) == []
    assert ("it is empty" if not content else "it is no") in bag.problems[0]
