"""The node as a process: every observation judged by its stamp, and none that it cannot judge."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from shown_runs import START, TICK, make_episode

from hilserl_core.messages import observation_to_msg
from hilserl_core.qos import RELIABLE
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Event, Observation, Outcome
from hilserl_msgs.msg import Observation as ObservationMsg
from hilserl_msgs.msg import OperatorEvent, Reward
from hilserl_policy.encoders import EncoderSpec
from hilserl_reward.classifier import ClassifierSpec, make_classifier, save_classifier

WAIT = 60.0  # s


class Listener:
    """Publishes observations and events, and keeps the rewards that come back."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
        self.node = Node("policy_of_a_test", context=self._context)
        self._observations = self.node.create_publisher(ObservationMsg, "observation", RELIABLE)
        self._events = self.node.create_publisher(OperatorEvent, "teleop/leader/event", RELIABLE)
        self.node.create_subscription(Reward, "reward", self._on_reward, RELIABLE)
        self.rewards: dict[int, Reward] = {}
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def _on_reward(self, message: Reward) -> None:
        self.rewards[stamp_to_ns(message.header.stamp)] = message

    def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT
        while not true():
            assert time.monotonic() < deadline, f"waited {WAIT} s for {what}"
            self._executor.spin_once(timeout_sec=0.05)

    def meet(self) -> None:
        publishers = (self._observations, self._events)
        self.until(
            lambda: (
                all(each.get_subscription_count() for each in publishers)
                and self.node.count_publishers("reward")
            ),
            "the node",
        )

    def observe(self, observation: Observation) -> None:
        self._observations.publish(observation_to_msg(observation))

    def answer(self, observation: Observation) -> Reward:
        self.observe(observation)
        self.until(lambda: observation.stamp in self.rewards, "a reward")
        return self.rewards[observation.stamp]

    def say(self, event: Event, stamp: int) -> None:
        message = OperatorEvent(event=int(event), device="leader")
        message.header.stamp = ns_to_stamp(stamp)
        self._events.publish(message)

    def close(self) -> None:
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(100 + os.getpid() % 50))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    result = Listener()
    yield result
    result.close()


def start(**parameters: object) -> subprocess.Popen[bytes]:
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "hilserl_reward.reward_node", "--ros-args", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def observations(count: int) -> list[Observation]:
    return [step.observation for step in make_episode(0, Outcome.SUCCESS, count).steps]


def classifier_file(path: Path) -> Path:
    """Of a classifier that always sees a success, by its bias."""
    spec = ClassifierSpec(EncoderSpec(("image 0", "image 1"), 16, 16, reduce=1), state_dim=3)
    classifier = make_classifier(spec)
    classifier.head[-1].bias.data[:] = classifier.head[-1].bias.new_tensor([-20.0, 20.0])
    save_classifier(path, classifier, {})
    return path


def test_a_classifier_answers_every_observation_and_invents_nothing(
    listener: Listener, tmp_path: Path
) -> None:
    file = classifier_file(tmp_path / "c.safetensors")
    node = start(classifier=file, frames=3)
    try:
        listener.meet()
        seen = observations(6)
        rewards = [listener.answer(each) for each in seen[:4]]
        assert [reward.value for reward in rewards] == [0.0, 0.0, 1.0, 1.0]
        assert {reward.judge for reward in rewards} == {"classifier"}
        np.testing.assert_allclose(rewards[0].probabilities, [0, 1], atol=1e-6)
        blind = Observation(seen[4].stamp, seen[4].state, seen[4].images[:1])
        listener.observe(blind)
        listener.say(Event.FAILURE, seen[4].stamp)
        # Judged by the word, which came first or not: both are answered by their own stamps.
        listener.answer(seen[5])
        assert blind.stamp not in listener.rewards
    finally:
        node.terminate()
        assert node.wait(20) == 0


def test_an_operator_alone_judges_by_their_word(listener: Listener) -> None:
    node = start(judge="operator")
    try:
        listener.meet()
        seen = observations(40)
        assert listener.answer(seen[0]).value == 0.0
        listener.say(Event.SUCCESS, START)
        values = [listener.answer(each).value for each in seen[1:3]]
        # The word travels on another topic: it holds for the next observation, or the one after.
        assert sorted(values) == [0.0, 1.0]
        assert listener.rewards[START + TICK * (1 + values.index(1.0))].judge == "operator"
    finally:
        node.terminate()
        assert node.wait(20) == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, b"parameter 'classifier' is empty"),
        ({"classifier": "nowhere.safetensors"}, b"nowhere.safetensors: No such file"),
        ({"judge": "sim"}, b"'sim' is not one of classifier, operator"),
    ],
)
def test_a_node_that_cannot_judge_does_not_start(
    parameters: dict[str, object], words: bytes
) -> None:
    node = start(**parameters)
    _, error = node.communicate(timeout=WAIT)
    assert node.returncode == 1
    assert words in error
    assert b"Traceback" not in error
