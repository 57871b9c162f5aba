"""Bags of other programs become runs of the episodes that they hold."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from made_bags import (
    MS,
    START,
    Recorded,
    by_mcap,
    by_rosbags,
    encoded,
    koch_contract,
    koch_messages,
    recorded,
)
from mcap.writer import CompressionType
from rclpy.serialization import deserialize_message
from run_convert import Program
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Float64MultiArray

from hilserl_core.region import Region, policy_image
from hilserl_core.stamps import ns_to_stamp
from hilserl_core.step import Episode, Event, Outcome, Phase, Source
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import OperatorEvent
from hilserl_replay import inspect
from hilserl_replay.bag_metadata import read_notes
from hilserl_replay.bags import episode_folder

MESSAGES = koch_messages()
Bag = Path


# -- what it makes of a bag


@pytest.mark.parametrize("writer", ["rosbags", "rosbags sqlite3", "mcap"])
def test_a_bag_of_another_program_becomes_a_demonstration(
    tmp_path: Path, program: Program, writer: str
) -> None:
    if writer == "mcap":
        bag = by_mcap(tmp_path / "bag.mcap", MESSAGES, CompressionType.ZSTD)
    else:
        bag = by_rosbags(tmp_path / "bag", MESSAGES, "sqlite3" if "sqlite3" in writer else "mcap")
    made = program(bag)
    assert made.code == 0
    (episode,) = made.episodes
    assert episode.outcome == Outcome.SUCCESS
    assert episode.gaps == 0
    # Ticks at 10 Hz from the first sample on; the cameras' first frame came with it.
    assert len(episode.steps) == 30
    assert [step.observation.stamp for step in episode.steps[:3]] == [
        START,
        START + 100 * MS,
        START + 200 * MS,
    ]
    assert episode.count(Source.OFFLINE) == 29
    assert all(step.phase == Phase.RECORD for step in episode.steps)
    assert all(step.run == "made" for step in episode.steps)
    assert [step.reward for step in episode.steps] == [0.0] * 28 + [1.0, 0.0]
    assert episode.steps[-1].is_terminal
    assert "29 steps: 29 OFFLINE" in made.text.replace("│", "").replace("  ", " ")


def test_the_run_is_one_that_the_others_take(
    tmp_path: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    from hilserl_replay.report import write_report

    made = program(by_rosbags(tmp_path / "bag", MESSAGES))
    with pytest.raises(SystemExit) as ending:
        inspect.main([str(made.output)])
    assert ending.value.code == 0
    assert "gaps: none" in capsys.readouterr().out
    assert "1 demonstrations" in write_report(made.output)
    assert read_notes(episode_folder(made.output, Phase.RECORD, 0))["outcome"] == "SUCCESS"


def test_steps_hold_the_latest_frame_cropped_from_the_raw_image(
    tmp_path: Path, program: Program
) -> None:
    bag = by_rosbags(tmp_path / "bag", MESSAGES)
    region = {"front": {"topic": "camera/front/image_raw", "region": [4, 2, 20, 20]}}
    (episode,) = program(bag, contract=koch_contract(tmp_path / "c.yaml", cameras=region)).episodes
    frames = {m.stamp - 20 * MS: m for m in MESSAGES if m.topic == "/camera/front/image_raw"}
    for k, step in enumerate(episode.steps):
        latest = max(stamp for stamp in frames if stamp <= START + k * 100 * MS)
        message = deserialize_message(frames[latest].data, Image)
        pixels = np.frombuffer(message.data, np.uint8).reshape(30, 40, 3)
        expected = policy_image(pixels, Region(4, 2, 20, 20), (16, 16))
        np.testing.assert_array_equal(step.observation.images[0], expected)


@pytest.mark.parametrize("encoding", ["bgr8", "mono8", "rgba8", "yuv422", "png", "jpeg"])
def test_every_encoding_gives_the_same_picture(
    tmp_path: Path, program: Program, encoding: str
) -> None:
    episodes = []
    for name in ("rgb8", encoding):
        messages = koch_messages(0.5, image=lambda m, n=name: encoded(m, n))
        made = program(by_rosbags(tmp_path / name, messages))
        episodes.append(made.episodes[0])
        shutil.rmtree(made.output)
    tolerance = {"jpeg": 60, "yuv422": 2}.get(encoding, 0)
    for a, b in zip(episodes[0].steps, episodes[1].steps, strict=True):
        for x, y in zip(a.observation.images, b.observation.images, strict=True):
            assert np.abs(x.astype(int) - y.astype(int)).max() <= tolerance


def test_actions_are_what_the_leader_moved_and_the_gripper_chose(
    tmp_path: Path, program: Program
) -> None:
    bag = by_rosbags(tmp_path / "bag", MESSAGES)
    contract = koch_contract(tmp_path / "c.yaml", action_space="joint_delta")
    (episode,) = program(bag, contract=contract).episodes
    actions = np.array([step.action for step in episode.steps[:-1]])
    # 0.1 and 0.05 rad a second at 10 Hz, of a range of 0.2 rad a tick.
    np.testing.assert_allclose(actions[:, 0], 0.05, atol=1e-4)
    np.testing.assert_allclose(actions[:, 1], 0.025, atol=1e-4)
    np.testing.assert_allclose(actions[:, 2:5], 0, atol=1e-6)
    assert actions[:, 5].tolist() == [0.0] * 14 + [-1.0] + [0.0] * 14
    at = contract_slice(episode, "gripper_command")
    commands = [float(step.observation.state[at]) for step in episode.steps]
    expected = [KOCH.gripper_opened] * 15 + [KOCH.gripper_closed] * 15
    np.testing.assert_allclose(commands, expected, atol=1e-6)


def contract_slice(episode: Episode, name: str) -> int:
    spec = KOCH.observation_spec("cameras")
    assert episode.steps[0].observation.state.size == spec.state_dim
    return spec.slices[name].start


def as_commands(messages: Iterable[Recorded]) -> list[Recorded]:
    """The leader's poses as a controller's commands, joints the other way round."""
    result = []
    for message in messages:
        if message.topic == "/leader/joint_states":
            pose = deserialize_message(message.data, JointState).position
            command = Float64MultiArray(data=list(reversed(pose)))
            message = recorded("/commands", command, message.stamp - MS)
        result.append(message)
    return result


def test_commands_give_the_actions_that_the_leader_gives(tmp_path: Path, program: Program) -> None:
    by_leader = program(by_rosbags(tmp_path / "leader", MESSAGES))
    (expected,) = by_leader.episodes
    shutil.rmtree(by_leader.output)
    bag = by_rosbags(tmp_path / "commands", as_commands(MESSAGES))
    joints = list(reversed(JOINT_NAMES))
    actions = {"kind": "commands", "topic": "commands", "joints": joints}
    (episode,) = program(bag, contract=koch_contract(tmp_path / "c.yaml", actions=actions)).episodes
    for a, b in zip(expected.steps, episode.steps, strict=True):
        np.testing.assert_array_equal(a.action, b.action)
        np.testing.assert_array_equal(a.observation.state, b.observation.state)


def test_how_long_messages_took_to_arrive_changes_nothing(tmp_path: Path, program: Program) -> None:
    first = program(by_rosbags(tmp_path / "quick", MESSAGES))
    (expected,) = first.episodes
    shutil.rmtree(first.output)
    rng = np.random.default_rng(0)
    late = [
        Recorded(m.topic, m.type, m.stamp + int(rng.integers(0, 300)) * MS, m.data)
        for m in MESSAGES
    ]
    (episode,) = program(
        by_rosbags(tmp_path / "late", sorted(late, key=lambda m: m.stamp))
    ).episodes
    assert len(episode.steps) == len(expected.steps)
    for a, b in zip(expected.steps, episode.steps, strict=True):
        np.testing.assert_array_equal(a.observation.state, b.observation.state)
        np.testing.assert_array_equal(a.observation.images[0], b.observation.images[0])
        np.testing.assert_array_equal(a.action, b.action)


def test_receive_stamps_count_where_they_are_asked_for(tmp_path: Path, program: Program) -> None:
    bag = by_rosbags(tmp_path / "bag", MESSAGES)
    camera = {"topic": "camera/front/image_raw", "stamp": "receive", "max_age": 0.1}
    contract = koch_contract(tmp_path / "c.yaml", cameras={"front": camera})
    made = program(bag, contract=contract)
    (episode,) = made.episodes
    # Received 20 ms after it was stamped, a frame is one tick's that comes 20 ms later at least.
    assert len(episode.steps) == 29
    assert "1 │ ticks dropped: /camera/front/image_raw: nothing yet" in made.text


# -- episodes


def test_gaps_events_and_a_topic_end_episodes(tmp_path: Path, program: Program) -> None:
    begin = START + 20_000 * MS
    event = OperatorEvent(event=int(Event.FAILURE))
    event.header.stamp = ns_to_stamp(begin + 1_450 * MS)
    messages = [
        *koch_messages(1.0),
        *koch_messages(3.0, begin=begin),
        recorded("/teleop/leader/event", event, begin + 1_500 * MS),
    ]
    bag = by_rosbags(tmp_path / "bag", sorted(messages, key=lambda m: m.stamp))
    events = {"events": ["teleop/leader/event", "teleop/keyboard/event"], "outcome": "TIMEOUT"}
    made = program(bag, contract=koch_contract(tmp_path / "c.yaml", episodes=events))
    first, second = made.episodes
    assert (first.outcome, second.outcome) == (Outcome.TIMEOUT, Outcome.FAILURE)
    assert not first.steps[-1].is_terminal
    # The first observation after the word is the last, and nothing follows it until somebody
    # takes over.
    assert second.steps[-1].observation.stamp == begin + 1_500 * MS
    assert second.steps[-2].reward == -1
    assert "ticks outside of any episode" in made.text
    assert "1 │ pauses, in which nothing was measured" in made.text


@pytest.mark.parametrize("seconds", [1, 5])
def test_a_word_that_comes_late_still_counts(
    tmp_path: Path, program: Program, seconds: int
) -> None:
    # While the arm still moves, or after its last tick.
    event = OperatorEvent(event=int(Event.FAILURE))
    event.header.stamp = ns_to_stamp(START + 1_450 * MS)
    word = recorded("/teleop/keyboard/event", event, START + (1_450 + seconds * 1_000) * MS)
    bag = by_rosbags(tmp_path / "bag", sorted([*MESSAGES, word], key=lambda m: m.stamp))
    events = {"events": ["teleop/keyboard/event"]}
    made = program(bag, contract=koch_contract(tmp_path / "c.yaml", episodes=events))
    (episode,) = made.episodes
    assert episode.outcome == Outcome.FAILURE
    assert episode.steps[-2].reward == -1
    last = (episode.steps[-1].observation.stamp - START) // MS
    assert last == {1: 2_500, 5: 2_900}[seconds]


def test_a_topic_says_when_an_episode_is_under_way(tmp_path: Path, program: Program) -> None:
    flags = [
        recorded("/recording", Bool(data=on), START + at * MS)
        for at, on in ((450, True), (1450, False), (2050, True), (2150, False), (2250, True))
    ]
    messages = sorted([*MESSAGES, *flags], key=lambda m: m.stamp)
    bag = by_rosbags(tmp_path / "bag", messages)
    contract = koch_contract(tmp_path / "c.yaml", episodes={"under_way": "recording"})
    made = program(bag, contract=contract)
    first, second = made.episodes
    stamps = [(e.steps[0].observation.stamp - START) // MS for e in (first, second)]
    assert stamps == [500, 2300]
    assert len(first.steps) == 10
    assert "1 │ episodes dropped: too short" in made.text
    assert [e.steps[0].episode for e in made.episodes] == [0, 1]


def test_an_episode_that_takes_too_long_times_out(tmp_path: Path, program: Program) -> None:
    bag = by_rosbags(tmp_path / "bag", MESSAGES)
    contract = koch_contract(tmp_path / "c.yaml", episodes={"max_seconds": 1.0})
    outcomes = [(e.outcome, e.transitions) for e in program(bag, contract=contract).episodes]
    assert outcomes[0] == (Outcome.TIMEOUT, 10)


def test_two_bags_become_one_run(tmp_path: Path, program: Program) -> None:
    bags = [by_rosbags(tmp_path / "a", MESSAGES), by_mcap(tmp_path / "b.mcap", MESSAGES)]
    made = program(*bags, words=["--source", "HUMAN", "--phase", "TRAIN"])
    assert [e.steps[0].episode for e in made.episodes] == [0, 1]
    assert all(e.count(Source.HUMAN) == 29 for e in made.episodes)
    assert all(step.phase == Phase.TRAIN for e in made.episodes for step in e.steps)
