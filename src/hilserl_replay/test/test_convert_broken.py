"""What is missing from a bag, or broken in it, is dropped and counted, or named and refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_bags import (
    MS,
    START,
    Recorded,
    by_rosbags,
    cut,
    encoded,
    joint_state,
    koch_contract,
    koch_messages,
    recorded,
)
from rclpy.serialization import deserialize_message
from run_convert import Program
from sensor_msgs.msg import CompressedImage, Image

from hilserl_core.stamps import ns_to_stamp
from hilserl_replay import convert

MESSAGES = koch_messages()


def test_a_stream_that_stops_drops_its_ticks_and_never_repeats_old_frames(
    tmp_path: Path, program: Program
) -> None:
    silent = range(START + 1_000 * MS, START + 2_500 * MS)
    messages = [
        m for m in MESSAGES if not (m.topic == "/camera/wrist/image_raw" and m.stamp in silent)
    ]
    made = program(by_rosbags(tmp_path / "bag", messages))
    assert made.code == 0
    assert "ticks dropped: /camera/wrist/image_raw: nothing newer than 0.1 s" in made.text
    before, after = made.episodes
    assert before.steps[-1].observation.stamp <= silent[0] + 100 * MS
    assert after.steps[0].observation.stamp >= silent[-1] - 20 * MS


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_cut_off_converts_up_to_there(tmp_path: Path, program: Program, storage: str) -> None:
    bag = by_rosbags(tmp_path / "bag", MESSAGES, storage)
    cut(bag, 1000)
    made = program(bag)
    assert made.code == 0
    (episode,) = made.episodes
    assert len(episode.steps) >= 29
    shutil.rmtree(made.output)
    cut(bag, 200_000)
    made = program(bag)
    assert made.code == 0
    assert "cut off:" in made.text
    assert 10 < len(made.episodes[0].steps) < 29


def one_bad(topic: str, change: Callable[[Any], Any], kind: type[Any]) -> list[Recorded]:
    """The messages with every one of a topic changed."""
    return [
        recorded(m.topic, change(deserialize_message(m.data, kind)), m.stamp)
        if m.topic == topic
        else m
        for m in MESSAGES
    ]


def without_stamp(message: Any) -> Any:
    message.header.stamp = ns_to_stamp(0)
    return message


def odd(message: Any) -> Any:
    message.encoding = "32FC1"
    return message


OTHERS = ["a", "b", "c", "d", "e", "f"]
BROKEN: dict[str, tuple[list[Recorded], str]] = {
    "foreign": (
        [recorded("/chatter", joint_state(OTHERS, range(6), START), START)],
        "bag: has no topic .* which the contract names for .*it has /chatter",
    ),
    "a topic is missing": (
        [m for m in MESSAGES if m.topic != "/servo_states"],
        "bag: has no topic /servo_states, which the contract names for servo_states",
    ),
    "another type": (
        [
            Recorded("/servo_states", "sensor_msgs/msg/JointState", m.stamp, m.data)
            if m.topic == "/joint_states"
            else m
            for m in MESSAGES
            if m.topic != "/servo_states"
        ]
        + [m for m in MESSAGES if m.topic == "/joint_states"],
        "topic /servo_states is of type sensor_msgs/msg/JointState, and servo_states needs",
    ),
    "another robot": (
        koch_messages(1.0, names=OTHERS),
        "gives no tick: .*/joint_states: it has joints a, b, c, d, e, f and lacks shoulder_pan",
    ),
    "stamps of zero": (
        one_bad("/camera/front/image_raw", without_stamp, Image),
        "/camera/front/image_raw has messages with a stamp of 0: use 'stamp: receive'",
    ),
    "a clock set back": (
        [*koch_messages(1.0), *koch_messages(1.0, begin=START - 5_000 * MS)],
        r"/joint_states: its stamps go back by \d\.\d+ s.*stamp: receive",
    ),
    "another image size": (
        [*koch_messages(1.0), *koch_messages(1.0, begin=START + 1_000 * MS, size=(20, 15))],
        "its images change from 40 x 30 to 20 x 15 at stamp",
    ),
    "an encoding unknown here": (
        one_bad("/camera/front/image_raw", odd, Image),
        "gives no tick: 30 x /camera/front/image_raw: an image's encoding is '32FC1'",
    ),
    "too short": (MESSAGES[:8], "no episode: .*shorter than 2 steps"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bag_that_does_not_fit_is_named_and_nothing_is_written(
    tmp_path: Path, program: Program, what: str
) -> None:
    messages, words = BROKEN[what]
    made = program(by_rosbags(tmp_path / "bag", messages))
    assert made.code == 1
    assert re.search(words, made.text), made.text
    assert "Traceback" not in made.text


def test_the_second_of_two_robots_fails_both(tmp_path: Path, program: Program) -> None:
    mine = by_rosbags(tmp_path / "mine", MESSAGES)
    other = by_rosbags(tmp_path / "other", koch_messages(1.0, names=OTHERS))
    made = program(mine, other)
    assert made.code == 1
    assert "other: gives no tick" in made.text


def test_clocks_that_differ_are_told_of_and_can_be_left_aside(
    tmp_path: Path, program: Program
) -> None:
    messages = []
    for message in MESSAGES:
        if message.topic.startswith("/camera"):
            frame = deserialize_message(message.data, Image)
            frame.header.stamp = ns_to_stamp(message.stamp - START + 5_000 * MS)
            message = recorded(message.topic, frame, message.stamp)
        messages.append(message)
    bag = by_rosbags(tmp_path / "bag", messages)
    made = program(bag)
    assert made.code == 1
    assert "use 'stamp: receive' for them" in made.text
    receive = {
        name: {"topic": f"camera/{name}/image_raw", "stamp": "receive"}
        for name in ("front", "wrist")
    }
    made = program(bag, contract=koch_contract(tmp_path / "c.yaml", cameras=receive))
    assert made.code == 0
    assert len(made.episodes[0].steps) == 29


def test_streams_that_never_grow_old_end_with_the_recording(
    tmp_path: Path, program: Program
) -> None:
    # A clock set forward by a year: ticks must not be made for all of it.
    year = 31_536_000_000 * MS
    messages = [*koch_messages(1.0), *koch_messages(1.0, begin=START + year)]
    lasting = {"max_age": 0.0}
    contract = koch_contract(
        tmp_path / "c.yaml",
        joint_states=lasting,
        servo_states=lasting,
        actions=lasting,
        cameras={n: {"topic": f"camera/{n}/image_raw", "max_age": 0.0} for n in ("front", "wrist")},
    )
    made = program(by_rosbags(tmp_path / "bag", messages), contract=contract)
    assert [len(e.steps) for e in made.episodes] == [11, 10]


def test_a_frame_that_is_damaged_costs_its_tick_alone(tmp_path: Path, program: Program) -> None:
    messages = koch_messages(2.0, image=lambda m: encoded(m, "jpeg"))
    frames = [i for i, m in enumerate(messages) if m.topic == "/camera/front/image_raw"]
    at = frames[30]  # a tick's
    broken = deserialize_message(messages[at].data, CompressedImage)
    broken.data = broken.data[: len(broken.data) // 2]
    messages[at] = recorded(messages[at].topic, broken, messages[at].stamp)
    made = program(by_rosbags(tmp_path / "bag", messages))
    assert made.code == 0
    (episode,) = made.episodes
    assert len(episode.steps) == 19
    assert "1 │ ticks dropped: /camera/front/image_raw: a compressed image" in made.text


def test_an_empty_file_and_a_taken_output_are_refused(tmp_path: Path, program: Program) -> None:
    empty = tmp_path / "bag.mcap"
    empty.touch()
    made = program(empty)
    assert (made.code, "bag.mcap: holds no topic: it is empty" in made.text) == (1, True)
    output = tmp_path / "runs" / "made"
    output.mkdir()
    with pytest.raises(SystemExit):
        convert.main([str(empty), "--output", str(output)])
    assert list(output.iterdir()) == []
