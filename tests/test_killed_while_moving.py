"""Nodes of a whole run are killed while the arm moves: what the arm itself does then.

The arm is emulated behind its port, in real time; its motion is that of its joint states. That
the arm holds with the leader arm or a driver dead is in ``test_leader_process``.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

from hilserl_core.qos import EVERYTHING, LATCHED, RELIABLE
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Phase, Source
from hilserl_description.koch import KOCH
from hilserl_msgs.msg import Action, RunStatus
from runs import Run

pytestmark = pytest.mark.alone

LATENESS = 0.05  # s, that one position may have been stamped later than the next was.
HOLDS_WITHIN = 0.5  # s
WATCHED = 0.4  # s from then on, before anything can have been started again.
STILL = 0.01  # rad

CONFIG = """
learner_node:
  ros__parameters: {pretrain_updates: 20}
policy_node:
  ros__parameters: {target_intervention: 0.0}
"""


class Watch:
    """Sees what the arm does, and what it is told."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = node = rclpy.create_node("watch", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self.status = RunStatus()
        self.positions: list[tuple[float, np.ndarray]] = []
        self.stamps: list[float] = []  # s, when each position was read.
        self.actions: list[tuple[float, Action]] = []
        node.create_subscription(JointState, "joint_states", self._on_joints, EVERYTHING)
        node.create_subscription(Action, "action", self._on_action, RELIABLE)
        node.create_subscription(RunStatus, "run/status", self._on_status, LATCHED)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _on_joints(self, message: JointState) -> None:
        self.positions.append((time.monotonic(), np.array(message.position)))
        self.stamps.append(1e-9 * stamp_to_ns(message.header.stamp))

    def _on_action(self, message: Action) -> None:
        self.actions.append((time.monotonic(), message))

    def _on_status(self, message: RunStatus) -> None:
        self.status = message

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], object], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited in vain; {self.status}"
            self.executor.spin_once(timeout_sec=0.02)

    @property
    def here(self) -> np.ndarray:
        """(6,) rad, where the arm is now."""
        return self.positions[-1][1]

    def policy_moves_it(self) -> bool:
        """Whether the policy is in the middle of a motion of the arm."""
        now = time.monotonic()
        recent = [position for at, position in self.positions[-100:] if at > now - 0.3]
        acts = [action for at, action in self.actions[-20:] if at > now - 0.3]
        return (
            self.status.phase == int(Phase.TRAIN)
            and self.status.in_episode
            and len(acts) >= 2
            and all(a.source == int(Source.POLICY) and np.any(a.values) for a in acts)
            and len(recent) > 5
            and bool(np.abs(recent[-1] - recent[0])[:5].max() > 0.04)
        )


@pytest.fixture
def watch() -> Iterator[Watch]:
    result = Watch()
    yield result
    result.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A policy in training, without help, on the emulated arm."""
    shown = Run("koch_record", tmp_path / "demonstrations", demos=2)
    assert shown.wait(120) == 0
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    result = Run(
        "koch_train",
        tmp_path / "run",
        hardware="emulated",
        demonstrations=shown.path,
        intervene=False,
        train_minutes=10,
        config=config,
    )
    yield result
    result.stop()


def kill(run: Run, name: str) -> None:
    victim = run.node(name)
    assert victim is not None
    victim.send_signal(signal.SIGKILL)


def test_the_arm_holds_without_learner_policy_or_mux_and_goes_on_with_all(
    run: Run, watch: Watch
) -> None:
    for name in ("learner_node", "policy_node", "mux_node"):
        watch.until(watch.policy_moves_it, 120)
        before = len(watch.positions) - 3
        kill(run, name)
        watch.spin(HOLDS_WITHIN)
        held = watch.here
        heard = len(watch.positions)
        watch.spin(WATCHED)
        seen = np.array([position for _, position in watch.positions[heard:]])
        assert len(seen) > 10, "the driver went on"
        assert np.abs(seen - held).max() < STILL, f"it moves without {name}"

        moved = np.abs(np.diff([position for _, position in watch.positions[before:]], axis=0))
        took = np.diff(watch.stamps[before:])[:, None]
        assert (moved <= KOCH.velocity_limit * (took + LATENESS)).all(), f"it jumped without {name}"
    watch.until(watch.policy_moves_it, 120)
