"""A Gymnasium environment as the robot of a run: every node a process, over real DDS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hilserl_core.spec_file import read_specs
from hilserl_core.step import Outcome, Phase, Source
from runs import Run

pytest.importorskip("gym_pusht", reason="gym-pusht is not installed: pip install gym-pusht")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(
        "gym_train",
        tmp_path / "run",
        env="gym_pusht/PushT-v0",
        env_settings="obs_type=pixels_agent_pos",
        demos=2,
        train_minutes=0.2,
        evaluation_episodes=1,
        config=_quick(tmp_path / "quick.yaml"),
    )
    yield started
    started.stop()


def _quick(path: Path) -> Path:
    learner = "{pretrain_updates: 5, cloning_steps: 10, critic_warmup: 10}"
    path.write_text(f"learner_node:\n  ros__parameters: {learner}\n")
    return path


def test_it_is_shown_learned_from_and_evaluated(run: Run) -> None:
    assert run.wait(240) == 0
    observation, action = read_specs(run.path / "specs.json")
    episodes = run.episodes()
    shown = [e for e in episodes if e.steps[0].phase == Phase.RECORD]
    tried = [e for e in episodes if e.steps[0].phase == Phase.TRAIN]
    assert sum(e.outcome == Outcome.SUCCESS for e in shown) == 2
    assert tried
    for episode in shown:
        assert episode.gaps == 0
        assert episode.count(Source.OFFLINE) >= episode.transitions - 1  # the key comes first
    for step in shown[0].steps:
        observation.check_state(step.observation.state)
        assert [image.shape for image in step.observation.images] == [(96, 96, 3)]
    for step in shown[0].steps[:-1]:
        assert step.action.shape == (action.dim,)
        assert np.abs(step.action).max() <= 1
    assert any(step.encoder for step in tried[-1].steps)  # it was seen by an encoder of its own
    report = json.loads((run.path / "report.json").read_text())
    assert report["evaluation"]["episodes"] == 2
