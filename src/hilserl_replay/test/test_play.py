"""What is published of a recording, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rclpy
from made_episodes import START, make_episode, write_episode
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.qos import SENSOR
from hilserl_core.spec import run_spec_hash
from hilserl_core.step import Episode
from hilserl_description.arm_model import JOINT_NAMES, action_spec
from hilserl_description.koch import KOCH
from hilserl_replay.mcap_bag import BagWriter
from hilserl_replay.play import Player, PlayParameters
from hilserl_replay.playback import Choice, folders, messages, playable


def koch_episode(number: int = 0, transitions: int = 5) -> Episode:
    """An episode of a Koch arm that sees two cameras."""
    spec = run_spec_hash(KOCH.observation_spec("cameras"), action_spec())
    size = KOCH.observation_spec("cameras").state_dim
    return Episode(
        tuple(
            replace(
                step,
                spec=spec,
                observation=replace(
                    step.observation, state=np.arange(size, dtype=np.float32) + step.index
                ),
            )
            for step in make_episode(number, transitions, images=2).steps
        )
    )


def test_steps_give_images_and_joints_in_order(run_dir: Path) -> None:
    folder = write_episode(run_dir, koch_episode())
    found, left_out = playable(messages(folder), Choice())
    assert [m.stamp for m in found] == sorted(m.stamp for m in found)
    assert left_out == ["/steps: somebody might act on it; name it in --topics"]
    joints = [deserialize_message(m.read(), JointState) for m in found if "joint" in m.topic]
    assert len(joints) == 6
    assert list(joints[2].position) == [2, 3, 4, 5, 6, 7]
    assert list(joints[2].velocity) == [8, 9, 10, 11, 12, 13]
    assert list(joints[2].name) == list(JOINT_NAMES)
    wrist = [m for m in found if m.topic == "/camera/wrist/policy"]
    assert [m.stamp for m in wrist] == [START + i * 100_000_000 for i in range(6)]
    assert to_rgb(deserialize_message(wrist[3].read(), Image)).max() == 4


def test_frames_beside_the_steps_are_not_doubled(run_dir: Path) -> None:
    folder = write_episode(run_dir, koch_episode(), ("front",))
    found, _ = playable(messages(folder), Choice(("camera/*",)))
    counts = {t: sum(m.topic == t for m in found) for t in {m.topic for m in found}}
    assert counts == {"/camera/front/policy": 6, "/camera/wrist/policy": 6}


def raw_bag(folder: Path) -> Path:
    """A bag that nothing here has recorded, with a type that is not installed."""
    bag = BagWriter(folder)
    joints, command = serialize_message(JointState()), serialize_message(Float64MultiArray())
    for i in range(5):
        bag.write("/joint_states", "sensor_msgs/msg/JointState", joints, i * 20_000_000)
        bag.write("/arm/commands", "std_msgs/msg/Float64MultiArray", command, i * 20_000_000)
    bag.close()
    return folder


def test_commands_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    found = messages(raw_bag(tmp_path / "raw"))
    assert {m.topic for m in playable(found, Choice())[0]} == {"/joint_states"}
    named, _ = playable(found, Choice(("commands",), "replay"))
    assert {m.topic for m in named} == {"/replay/arm/commands"}


def test_unknown_types_are_said_and_left_out(tmp_path: Path) -> None:
    found = messages(raw_bag(tmp_path / "raw"))
    found = [replace(m, type="robot_msgs/msg/Foot") if "joint" in m.topic else m for m in found]
    kept, left_out = playable(found, Choice())
    assert not kept
    assert "/joint_states: its type robot_msgs/msg/Foot is not installed" in left_out


def test_a_run_plays_from_the_episode_asked_for(run_dir: Path) -> None:
    for number in (0, 1, 4):
        write_episode(run_dir, make_episode(number, 2))
    assert [folder.name for folder in folders(run_dir, 1)] == ["000001", "000004"]
    with pytest.raises(UserError, match="no episode from number 5"):
        folders(run_dir, 5)
    with pytest.raises(UserError, match="no such run"):
        folders(run_dir / "nothing")


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    """A node that plays and one that listens, in a context of their own."""
    context = Context()
    rclpy.init(context=context)
    player, listener = Node("player", context=context), Node("listener", context=context)
    yield player, listener
    player.destroy_node()
    listener.destroy_node()
    context.try_shutdown()


def test_everything_arrives_in_time(run_dir: Path, nodes: tuple[Node, Node]) -> None:
    write_episode(run_dir, koch_episode(0, 10))
    player, listener = nodes
    arrived: list[int] = []
    listener.create_subscription(
        *(JointState, "/replay/joint_states"), lambda m: arrived.append(m.header.stamp.nanosec), 50
    )
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(listener)
    settings = PlayParameters(rate=5.0, topics=("joint_states",), namespace="replay", wait=0.5)
    begin = time.monotonic()
    assert Player(player, settings).play(run_dir) == 11
    # 1 s of recording, five times as fast, cannot be over sooner.
    assert time.monotonic() - begin >= 0.5 + 0.2
    deadline = time.monotonic() + 10
    while len(arrived) < 11 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    assert arrived == [i * 100_000_000 % 1_000_000_000 for i in range(11)]


def test_nothing_is_mixed_with_a_live_publisher(run_dir: Path, nodes: tuple[Node, Node]) -> None:
    write_episode(run_dir, koch_episode())
    player, other = nodes
    other.create_publisher(JointState, "/joint_states", SENSOR)
    with pytest.raises(UserError, match="another publisher: stop that, or play into a namespace"):
        Player(player, PlayParameters(topics=("joint_states",), wait=1.0)).play(run_dir)
