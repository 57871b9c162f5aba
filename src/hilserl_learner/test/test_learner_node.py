"""The learner as a process of its own: steps in, weights out, and how it ends."""

from __future__ import annotations

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
from rclpy.executors import SingleThreadedExecutor

from hilserl_core.messages import step_to_msg
from hilserl_core.qos import LATCHED, STEPS
from hilserl_core.spec import run_spec_hash
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_description.arm_model import action_spec
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import LearnerStatus, RunStatus, Weights
from hilserl_msgs.msg import Step as StepMsg
from hilserl_policy.weights import decode
from hilserl_replay.bags import EpisodeWriter, episode_folder

pytestmark = pytest.mark.xdist_group("learner_node")

NAMESPACE = f"learner_{os.getpid()}"
OBSERVATION, ACTION = KOCH.observation_spec("state"), action_spec()
SPEC = run_spec_hash(OBSERVATION, ACTION)
QUICK = {"hidden": "[16, 16]", "cloning_steps": "20", "critic_warmup": "20"}


def made_episode(number: int, phase: Phase, length: int = 12, spec: str = SPEC) -> list[Step]:
    rng = np.random.default_rng(number)
    source = Source.OFFLINE if phase == Phase.RECORD else Source.POLICY
    head = {"run": "run", "phase": phase, "episode": number, "spec": spec}

    def observed(index: int) -> Observation:
        state = rng.normal(size=OBSERVATION.state_dim).astype(np.float32)
        return Observation((number * 1000 + index + 1) * 10**8, state)

    steps = []
    for index in range(length):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        reward = float(index == length - 1)
        step = Step(
            observed(index), action, source=source, reward=reward, is_first=index == 0,
            index=index, **head,
        )  # fmt: skip
        steps.append(step)
    last = {"is_last": True, "is_terminal": True, "outcome": Outcome.SUCCESS, "index": length}
    return [*steps, Step(observed(length), **last, **head)]


class Stage:
    """The policy node's side, in the test's process, and the learner's process."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("stage", context=self.context, namespace=NAMESPACE)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.weights: list[Weights] = []
        self.statuses: list[LearnerStatus] = []
        self.node.create_subscription(Weights, "weights", self.weights.append, LATCHED)
        self.node.create_subscription(
            LearnerStatus, "learner/status", self.statuses.append, LATCHED
        )
        self.steps = self.node.create_publisher(StepMsg, "steps", STEPS)
        self.phase = self.node.create_publisher(RunStatus, "run/status", LATCHED)
        self.process: subprocess.Popen[str] | None = None

    def start(self, **parameters: str) -> None:
        values = {"run": str(self.run), **QUICK, **parameters}
        words = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
        command = [sys.executable, "-m", "hilserl_learner.learner_node", "--ros-args"]
        self.process = subprocess.Popen(
            [*command, "-r", f"__ns:=/{NAMESPACE}", *words], stderr=subprocess.PIPE, text=True
        )

    def until(self, condition: Callable[[], object], seconds: float = 40.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self.executor.spin_once(timeout_sec=0.02)

    def publish(self, steps: list[Step], phase: Phase) -> None:
        self.until(lambda: self.steps.get_subscription_count())
        for step in steps:
            self.steps.publish(step_to_msg(step))
        self.phase.publish(RunStatus(phase=int(phase)))

    def end(self, how: signal.Signals | None = None) -> tuple[int, str]:
        """Exit code, and the lines on stderr that are not log lines."""
        assert self.process is not None
        if how is not None:
            self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=40)
        return self.process.returncode, errors

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "run")
    yield stage
    stage.close()


def _write(run: Path, steps: list[Step]) -> None:
    writer = EpisodeWriter(episode_folder(run, steps[0].phase, steps[0].episode))
    for step in steps:
        writer.write_step(step)
    writer.close()


def test_it_learns_from_live_steps_and_resumes_from_bags_and_checkpoint(stage):
    demonstration, training = made_episode(0, Phase.RECORD), made_episode(1, Phase.TRAIN)
    stage.start(publish_updates="10")
    stage.publish(demonstration, Phase.RECORD)
    stage.publish([], Phase.TRAIN)
    stage.until(lambda: stage.weights)
    assert decode(bytes(stage.weights[0].data), SPEC, stage.weights[0].sha256).version == 1
    stage.publish(training, Phase.TRAIN)
    stage.until(lambda: stage.statuses and stage.statuses[-1].updates == 20 + 2 * 12)
    assert stage.statuses[-1].stage == "training"
    assert (stage.statuses[-1].steps_offline, stage.statuses[-1].steps_policy) == (12, 12)
    code, _ = stage.end(signal.SIGINT)
    assert code == 0
    newest = stage.weights[-1].version

    for steps in (demonstration, training):
        _write(stage.run, steps)
    stage.statuses.clear()
    stage.start(publish_updates="10")
    stage.until(lambda: stage.weights[-1].version > newest)
    stage.until(lambda: stage.statuses)
    assert stage.statuses[-1].updates == 20 + 2 * 12
    stage.publish(training, Phase.TRAIN)  # known already
    stage.publish(made_episode(2, Phase.TRAIN), Phase.TRAIN)
    stage.until(lambda: stage.statuses[-1].updates == 20 + 2 * 24)
    assert stage.statuses[-1].steps_policy == 24
    assert stage.end(signal.SIGTERM)[0] == 0
    assert (stage.run / "learner.jsonl").exists()


def test_a_damaged_checkpoint_ends_it_with_one_line_and_stays(stage):
    checkpoint = stage.run / "checkpoints" / "learner.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"damaged")
    stage.start()
    code, errors = stage.end()
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert str(checkpoint) in lines[0]
    assert "Traceback" not in errors
    assert checkpoint.read_bytes() == b"damaged"


def test_a_step_of_another_spec_ends_it(stage):
    stage.start()
    stage.publish(made_episode(0, Phase.TRAIN, spec="other"), Phase.TRAIN)
    code, errors = stage.end()
    assert code == 1
    assert "spec other" in errors


def test_a_learning_thread_that_dies_brings_the_node_down(stage):
    """A checkpoint that cannot be written is such a death: its folder is a file."""
    stage.run.mkdir()
    (stage.run / "checkpoints").write_text("in the way")
    stage.start()
    stage.publish(made_episode(0, Phase.RECORD), Phase.TRAIN)
    code, errors = stage.end()
    assert code == 1
    assert "cannot be written" in errors


def test_demonstrations_that_are_none_are_named(stage, tmp_path):
    stage.start(demonstrations=str(tmp_path / "nowhere"))
    code, errors = stage.end()
    assert code == 1
    assert "demonstrations" in errors
    assert "nowhere" in errors
