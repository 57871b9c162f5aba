"""The recorder as a process: killed in the middle of an episode, nothing complete is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from made_episodes import make_episode
from rclpy.node import Node
from rclpy.publisher import Publisher

from hilserl_core.messages import step_to_msg
from hilserl_core.qos import STEPS
from hilserl_core.step import Outcome, Phase
from hilserl_msgs.msg import Step as StepMsg
from hilserl_replay.bags import episode_folder, read_episode, read_episodes

WAIT = 20.0  # s


def wait_for(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, f"waited {WAIT} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Publishes steps in a ROS domain of this test's own."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(150 + os.getpid() % 50))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
    node = Node("steps_of_a_test", context=context)
    yield node.create_publisher(StepMsg, "steps", STEPS)
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def start(publisher: Publisher, run_dir: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts recorders, and ends what is left of them."""
    started: list[subprocess.Popen[bytes]] = []

    def recorder() -> subprocess.Popen[bytes]:
        # A killed subscriber is counted until its lease ends.
        before = publisher.get_subscription_count()
        command = [sys.executable, "-m", "hilserl_replay.recorder_node"]
        process = subprocess.Popen([*command, "--ros-args", "-p", f"run:={run_dir}"])
        started.append(process)
        wait_for(lambda: publisher.get_subscription_count() > before, "the recorder")
        return process

    yield recorder
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_a_killed_recorder_loses_no_complete_step(
    publisher: Publisher, run_dir: Path, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    steps = [step_to_msg(step) for step in make_episode(0, 20).steps]
    folder = episode_folder(run_dir, Phase.TRAIN, 0)

    def on_disk() -> int:
        return sum(len(episode.steps) for episode in read_episodes(run_dir))

    first = start()
    for step in steps[:8]:
        publisher.publish(step)
    wait_for(lambda: folder.is_dir() and on_disk() == 8, "8 steps on disk")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert read_episode(folder).outcome == Outcome.ABORTED

    second = start()
    for step in steps[6:]:
        publisher.publish(step)
    wait_for(lambda: on_disk() == 21, "21 steps on disk")
    second.send_signal(signal.SIGTERM)
    assert second.wait(WAIT) == 0
    episode = read_episode(folder)
    assert episode.outcome == Outcome.SUCCESS
    assert episode.gaps == 0


def test_an_interrupted_recorder_takes_what_is_still_sent(
    publisher: Publisher, run_dir: Path, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    steps = [step_to_msg(step) for step in make_episode(0, 20).steps]
    recorder = start()
    for step in steps[:8]:
        publisher.publish(step)
    wait_for(lambda: any(read_episodes(run_dir)), "steps on disk")
    recorder.send_signal(signal.SIGINT)
    for step in steps[8:]:
        time.sleep(0.02)
        publisher.publish(step)
    publisher.wait_for_all_acked()
    publisher.destroy()
    assert recorder.wait(WAIT) == 0
    (episode,) = read_episodes(run_dir)
    assert (episode.outcome, episode.gaps, len(episode.steps)) == (Outcome.SUCCESS, 0, 21)
