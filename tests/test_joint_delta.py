"""A run whose actions move the joints: demonstrations, help and learning, as with the tool."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np

from hilserl_core.step import Outcome, Phase, Source
from hilserl_description.arm_model import action_spec
from runs import Run

SETTINGS = """
learner_node:
  ros__parameters: {pretrain_updates: 20}
operator_node:
  ros__parameters: {patience: 0.3}
"""


def updates(path: Path) -> int:
    """Of the learner, as it last wrote them down."""
    lines = (path / "learner.jsonl").read_text().splitlines()
    return int(json.loads(lines[-1])["updates"])


def test_a_person_demonstrates_helps_and_the_policy_learns_in_joints(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SETTINGS)
    arguments = {"action_space": "joint_delta", "train_minutes": 10, "config": config}
    run = Run("koch_train", tmp_path / "run", demos=3, seed=4, **arguments)
    try:
        run.until(lambda: sum(line["phase"] == Phase.TRAIN for line in run.history()) >= 4, 180)
        run.until(lambda: updates(run.path) > 100, 60)
        run.process.send_signal(signal.SIGINT)
        assert run.wait(40) == 130
    finally:
        run.stop()
    episodes = run.episodes()
    shown = [e for e in episodes if e.steps[0].phase == Phase.RECORD]
    assert sum(e.outcome == Outcome.SUCCESS for e in shown) == 3
    assert all(e.count(Source.OFFLINE) >= 0.9 * e.transitions for e in shown)
    assert any(e.count(Source.HUMAN) for e in episodes if e not in shown), "nobody helped"
    scale = np.array(action_spec("joint_delta").scale[:5])
    for episode in shown:
        told = np.cumsum([step.action[:5] * scale for step in episode.steps[:-1]], axis=0)
        went = np.array([step.observation.state[:5] for step in episode.steps[1:]])
        # What is recorded is what the joints then did, with a servo's lag and droop; the wrist
        # does not roll.
        for joint in range(4):
            assert np.corrcoef(told[:, joint], went[:, joint])[0, 1] > 0.9, joint
