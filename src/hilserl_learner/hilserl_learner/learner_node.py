"""The learner node: steps in, weights out."""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from array import array
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hilserl_core import node as node_main
from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.messages import step_from_msg
from hilserl_core.ros_parameters import declare
from hilserl_core.run import RunDirectory
from hilserl_core.spec import ObservationSpec
from hilserl_core.step import Phase, Step
from hilserl_description.robot import robot_of
from hilserl_description.robot_parameters import RobotParameters
from hilserl_learner import process
from hilserl_learner.learner import Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.refresh import EncoderProcess
from hilserl_learner.representation import RepresentationSettings
from hilserl_learner.sight import encoder_spec, trained_apart
from hilserl_msgs.msg import LearnerStatus, RunStatus, Weights
from hilserl_msgs.msg import Step as StepMsg
from hilserl_policy.weights import sha256
from hilserl_replay.bags import read_episodes

IDLE = 0.005  # s between two looks for work
SEND_PERIOD = 0.05  # s
STATUS_PERIOD = 1.0  # s


class LearnerNode(Node):
    """A shell: topics on the executor's thread, the learner's work on a thread of its own."""

    def __init__(self) -> None:
        super().__init__("learner_node")
        p = declare(self, LearnerParameters)
        if not p.run:
            raise UserError("learner_node: parameter 'run' is empty: give the run's folder")
        process.prepare(p.threads)
        process.yield_to_others(p.niceness)
        self._run = RunDirectory(Path(p.run))
        robot = robot_of(p)
        refresher = None
        if trained_apart(p, robot.observation):
            refresher = EncoderProcess(self._run.path, _encoder_settings(p, robot.observation))
        self._learner = Learner(p, robot.observation, robot.action, refresher)
        self._stopping, self._failing = threading.Event(), threading.Event()
        # Before the bags are read: what is said meanwhile waits in the queues.
        self.create_subscription(StepMsg, "steps", self._on_step, qos.STEPS)
        self.create_subscription(RunStatus, "run/status", self._on_run_status, qos.LATCHED)
        self._weights = self.create_publisher(Weights, "weights", qos.WEIGHTS)
        self._status = self.create_publisher(LearnerStatus, "learner/status", qos.LATCHED)
        self._load(p)
        wall = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(SEND_PERIOD, self._send, clock=wall)
        self.create_timer(STATUS_PERIOD, self._report, clock=wall)
        self._sent = 0
        self._reported = (time.monotonic(), self._learner.updates)
        Diagnostics(self, "learning", self._health)
        self._worker = threading.Thread(target=self._work, name="learning", daemon=True)
        self._worker.start()

    def _load(self, p: LearnerParameters) -> None:
        """Rebuilds the buffer from the bags, and goes on where the checkpoint was made."""
        experience = self._learner.experience
        self._learner.restore_encoder()
        if p.demonstrations:
            for episode in read_episodes(
                Path(p.demonstrations), Phase.RECORD, spec=experience.spec
            ):
                experience.add_episode(episode, read_again=True)
            if not experience.demonstrations:
                raise UserError(
                    f"parameter 'demonstrations': {p.demonstrations} holds no successful "
                    "demonstration: record some first"
                )
        for episode in read_episodes(
            self._run.path, Phase.RECORD, Phase.TRAIN, spec=experience.spec
        ):
            experience.add_episode(episode, read_again=True)
        resumed = self._learner.resume()
        counts = ", ".join(f"{count} {name}" for name, count in experience.counts().items())
        self.get_logger().info(
            f"replay buffer: {counts} steps, up to {self._learner.buffer.bytes / 1e6:.0f} MB; "
            + (f"resumed after {self._learner.updates} updates" if resumed else "starting anew")
        )

    def _on_step(self, message: StepMsg) -> None:
        try:
            step = step_from_msg(message)
        except UserError as error:
            self.get_logger().error(f"a step is dropped: {error}")
            return
        try:
            self._catch_up(step)
            if self._learner.experience.add(step):
                self._learner.last_step = time.monotonic()
        except UserError as error:
            self._fail(str(error))

    def _catch_up(self, step: Step) -> None:
        """Reads from the bags what a step shows to have been missed."""
        experience = self._learner.experience
        missed = experience.missed(step)
        if missed:
            phases, spec = (Phase.RECORD, Phase.TRAIN), experience.spec
            for episode in read_episodes(self._run.path, *phases, spec=spec, numbers=missed):
                experience.add_episode(episode)

    def _on_run_status(self, message: RunStatus) -> None:
        if message.phase <= max(Phase):
            self._learner.phase = Phase(message.phase)

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._learner.work():
                    self._stopping.wait(IDLE)
        except UserError as error:
            self._fail(str(error))
        except Exception:  # whatever it was, the node must not outlive its work
            self._fail(f"the learning thread died:\n{traceback.format_exc()}")

    def _fail(self, reason: str) -> None:
        """Brings the node down, so that whoever started it knows; the first reason counts."""
        if self._failing.is_set():
            return
        self._failing.set()
        self._stopping.set()
        self.get_logger().fatal(reason)
        node_main.finish(self, 1)

    def _send(self) -> None:
        """Publishes the newest policy, once."""
        policy = self._learner.policy
        if policy is None or policy.version == self._sent:
            return
        self._sent = policy.version
        message = Weights(
            version=policy.version,
            data=array("B", policy.data),
            sha256=sha256(policy.data),
            spec=self._learner.experience.spec,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._weights.publish(message)

    def _report(self) -> None:
        """Publishes how learning goes, and keeps it in learner.jsonl."""
        learner, now = self._learner, time.monotonic()
        rate = (learner.updates - self._reported[1]) / max(now - self._reported[0], 1e-6)
        self._reported = (now, learner.updates)
        metrics, counts = learner.metrics(), learner.experience.counts()
        message = LearnerStatus(
            stage=learner.stage,
            updates=learner.updates,
            policy_version=learner.version,
            updates_per_s=float(rate),
            steps_offline=counts["offline"],
            steps_policy=counts["policy"],
            steps_human=counts["human"],
            metric=list(metrics),
            value=array("f", metrics.values()),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._status.publish(message)
        record = {"stage": learner.stage, "updates": learner.updates, "updates_per_s": rate}
        self._run.append(
            "learner", {**record, "policy_version": learner.version, **counts, **metrics}
        )

    def _health(self) -> Health:
        learner = self._learner
        values = {"updates": learner.updates, "updates owed": round(learner.owed)}
        return Health(learner.stage, values={**values, **learner.experience.counts()})

    def close(self) -> None:
        """Stops the work and leaves a checkpoint."""
        self._stopping.set()
        self._worker.join(timeout=5.0)
        if self._learner.sight is not None:
            self._learner.sight.close()
        if not self._worker.is_alive() and getattr(self, "exit_code", 0) == 0:
            self._learner.save()


def _encoder_settings(p: LearnerParameters, observation: ObservationSpec) -> dict[str, Any]:
    """What the process that trains the encoder is told."""
    spec = encoder_spec(p, observation)
    assert spec is not None
    return {
        "run": p.run,
        "demonstrations": p.demonstrations,
        "robot": {
            field.name: getattr(p, field.name) for field in dataclasses.fields(RobotParameters)
        },
        "spec": dataclasses.asdict(spec),
        "training": dataclasses.asdict(RepresentationSettings()),
        "niceness": p.encoder_niceness,
        "seed": p.seed,
    }


def main() -> None:
    node_main.main(LearnerNode, LearnerParameters)


if __name__ == "__main__":
    main()
