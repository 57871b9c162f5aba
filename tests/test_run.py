"""Whole runs as a user starts them: every node a process, over real DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from hilserl_core.step import Episode, Outcome, Phase, Source
from hilserl_replay.summary import summarise_run
from runs import Run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def factory(graph: str, name: str = "run", **arguments: object) -> Run:
        runs.append(Run(graph, tmp_path / name, **arguments))
        return runs[-1]

    yield factory
    for run in runs:
        run.stop()


def inspect(path: Path) -> str:
    command = [sys.executable, "-m", "hilserl_bringup.cli", "run", "hilserl_replay", "inspect"]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [*command, str(path)], capture_output=True, text=True, check=True, env=environment
    ).stdout


@pytest.mark.parametrize("arm", ["koch", "so101"])
def test_demonstrations_are_tagged_whole_and_repeat(arm: str, start: Callable[..., Run]) -> None:
    runs = []
    for name in ("one", "two") if arm == "koch" else ("one",):
        run = start(f"{arm}_record", name, demos=2, seed=5)
        assert run.wait(90) == 0
        assert "gaps: none" in inspect(run.path)
        runs.append([e for e in run.episodes() if e.outcome != Outcome.ABORTED])
    for episode in runs[0]:
        assert episode.outcome == Outcome.SUCCESS
        assert episode.gaps == 0
        assert episode.count(Source.OFFLINE) >= 0.9 * episode.transitions
        assert all(step.phase == Phase.RECORD for step in episode.steps)
    assert all(len(episodes) == 2 for episodes in runs)
    for again in runs[1:]:
        for first, second in zip(runs[0], again, strict=True):
            assert_equal(first, second)


def assert_equal(first: Episode, second: Episode) -> None:
    """Lockstep makes a seed's episodes the same, step by step."""
    assert len(first.steps) == len(second.steps) > 10
    for a, b in zip(first.steps, second.steps, strict=True):
        np.testing.assert_array_equal(a.observation.state, b.observation.state)
        np.testing.assert_array_equal(a.action, b.action)
        assert (a.source, a.reward, a.is_last) == (b.source, b.reward, b.is_last)


def test_killed_nodes_come_back_and_no_complete_step_is_lost(start: Callable[..., Run]) -> None:
    run = start("koch_record", demos=12, seed=7)
    for node in ("policy_node", "mux_node", "operator_node", "mujoco_node"):
        before = len(run.history())
        run.until(lambda n=before: len(run.history()) >= n + 2, 60)
        victim = run.node(node)
        assert victim is not None
        victim.send_signal(signal.SIGKILL)
    assert run.wait(120) == 0
    episodes = run.episodes()
    assert sum(e.outcome == Outcome.SUCCESS for e in episodes) >= 12
    assert all(episode.gaps == 0 for episode in episodes)
    assert "gaps: none" in inspect(run.path)


def test_a_killed_judge_costs_an_episode_and_no_reward_is_invented(
    start: Callable[..., Run],
) -> None:
    run = start("koch_record", demos=4, seed=7, reward="operator", failures=0.3)
    run.until(lambda: len(run.history()) >= 1, 60)
    victim = run.node("reward_node")
    assert victim is not None
    victim.send_signal(signal.SIGKILL)
    assert run.wait(120) == 0
    assert "no judgement on topic reward" in run.output
    summary = summarise_run(run.path)
    ended = [episode for episode in summary.episodes if episode.outcome != Outcome.ABORTED]
    assert sum(episode.success for episode in ended) == 4
    # The person looks for as long as the simulator asks, and longer: the two agree.
    assert all(episode.truth == episode.success for episode in ended)
    assert "gaps: none" in inspect(run.path)


SEEING = """
learner_node:
  ros__parameters: {pretrain_updates: 20, refresh_updates: 5, refresh_seconds: 1.0, threads: 1}
"""


def test_training_goes_on_after_the_learner_and_then_the_policy_were_killed(
    start: Callable[..., Run], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SEEING)
    arguments = {"observation": "cameras", "scene": "hard", "config": config}
    run = start("koch_train", demos=3, seed=7, train_minutes=10, **arguments)

    def training_episodes() -> int:
        return sum(line["phase"] == Phase.TRAIN for line in run.history())

    def learned() -> list[dict]:
        lines = (run.path / "learner.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    run.until(lambda: training_episodes() >= 3 and learned()[-1]["updates"] > 100, 180)
    for node in ("learner_node", "policy_node"):
        victim, before, updates = run.node(node), training_episodes(), learned()[-1]["updates"]
        assert victim is not None
        victim.send_signal(signal.SIGKILL)
        run.until(lambda n=before: training_episodes() >= n + 4, 90)
        run.until(lambda u=updates: learned()[-1]["updates"] > u, 60)
        revived = run.node(node)
        assert revived is not None
        assert revived.pid != victim.pid
    # With the simulator stopped no more steps come: the learner holds, live and from bags,
    # exactly what the bags hold.
    simulator = run.node("mujoco_node")
    assert simulator is not None
    simulator.suspend()
    time.sleep(2.5)

    def recorded() -> int:
        return sum(e.count(Source.POLICY) + e.count(Source.HUMAN) for e in run.episodes())

    def held() -> int:
        return learned()[-1]["policy"] + learned()[-1]["human"]

    # On a busy machine the learner's last word may be older; a step that is lost stays lost.
    run.until(lambda: held() == recorded(), 20)
    simulator.resume()
    run.process.send_signal(signal.SIGINT)
    assert run.wait(40) == 130
    assert all(episode.gaps == 0 for episode in run.episodes())
    assert "gaps: none" in inspect(run.path)
    check_features(run.episodes())


def check_features(episodes: list[Episode]) -> None:
    """Every step of training has features, of one encoder or the next, and its images."""
    steps = [step for e in episodes for step in e.steps if step.phase == Phase.TRAIN]
    assert {len(step.features) for step in steps} == {2 * (2 * 2 * 16 + 12)}
    assert all(len(step.observation.images) == 2 for step in steps)
    encoders = [step.encoder for step in steps]
    assert "" not in encoders
    assert len(set(encoders)) >= 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "koch_train", "speed:=9"], "speed"),
        (["up", "koch_train", "task:=juggle"], "juggle"),
        (["up", "koch_train", "seed:=-1"], "seed"),
        (["up", "koch_fly"], "koch_fly"),
        (["run", "hilserl_replay", "inspect", "nowhere"], "nowhere"),
        (["run", "hilserl_replay", "no_such_program"], "no_such_program"),
    ],
)
def test_mistakes_get_one_clear_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "hilserl_bringup.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_of_another_configuration_is_left_alone(
    start: Callable[..., Run], tmp_path: Path
) -> None:
    assert start("koch_record", demos=1, seed=8).wait(60) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    again = start("koch_record", demos=1, seed=9)
    assert again.wait(30) != 0
    assert "another configuration" in again.output
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    assert before == after


def answer(node: Node, future: Future) -> object:
    rclpy.spin_until_future_complete(node, future, timeout_sec=20)
    assert future.done(), "not answered"
    return future.result()


def test_every_node_tells_how_it_is_and_what_its_parameters_are(
    start: Callable[..., Run],
) -> None:
    rclpy.init()
    try:
        node = rclpy.create_node("listener")
        heard: set[str] = set()
        node.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            lambda message: heard.update(status.hardware_id for status in message.status),
            10,
        )
        start("koch_train", demos=50, seed=3)
        expected = {
            f"{name}_node"
            for name in ("policy", "mux", "recorder", "learner", "mujoco", "operator")
        }
        deadline = time.monotonic() + 60
        while not expected <= heard and time.monotonic() < deadline:
            rclpy.spin_once(node, timeout_sec=0.1)
        assert expected <= heard
        for name in expected:
            client = AsyncParameterClient(node, name)
            assert client.wait_for_services(20), name
            names = answer(node, client.list_parameters()).result.names
            assert len(answer(node, client.get_parameters(names)).values) == len(names) > 2
    finally:
        rclpy.shutdown()
