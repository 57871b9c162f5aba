"""A run's raw topics convert to the steps that the run itself recorded, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hilserl_core.step import Outcome, Source, Step
from hilserl_replay.bags import read_episodes

ROOT = Path(__file__).parent.parent
RAW = """
recorder_node:
  ros__parameters: {raw: true}
"""
CLI = [sys.executable, "-m", "hilserl_bringup.cli"]


def run(*words: str, seconds: float = 120) -> str:
    result = subprocess.run(
        [*CLI, *words], capture_output=True, text=True, timeout=seconds, cwd=ROOT, env=os.environ
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout


def assert_equal(ours: Step, theirs: Step) -> None:
    assert ours.observation.stamp == theirs.observation.stamp
    np.testing.assert_array_equal(ours.observation.state, theirs.observation.state)
    assert len(ours.observation.images) == len(theirs.observation.images)
    for a, b in zip(ours.observation.images, theirs.observation.images, strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("action", "policy_action"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    names = ("source", "reward", "is_first", "is_last", "is_terminal", "outcome", "spec")
    for name in (*names, "run", "phase", "episode", "index", "policy_version"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize(("observation", "demos"), [("cameras", 2), ("state", 1)])
def test_a_run_converts_to_its_own_steps(tmp_path: Path, observation: str, demos: int) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(RAW)
    original, output = tmp_path / "run", tmp_path / "converted" / "run"
    run(
        "up",
        "koch_record",
        f"run:={original}",
        f"demos:={demos}",
        "seed:=11",
        f"observation:={observation}",
        f"config:={config}",
    )
    contract = "run"
    if observation == "state":
        contract = str(tmp_path / "contract.yaml")
        shipped = ROOT / "src/hilserl_replay/hilserl_replay/contracts/run.yaml"
        content = yaml.safe_load(shipped.read_text())
        del content["cameras"]
        pose = {"topic": "sim/object_pose", "max_age": 0.15}
        Path(contract).write_text(
            yaml.safe_dump({**content, "observation": "state", "object_pose": pose})
        )
    words = ("run", "hilserl_replay", "convert", str(original / "raw"))
    run(*words, "--contract", contract, "--output", str(output))
    theirs, ours = list(read_episodes(original)), list(read_episodes(output))
    assert len(theirs) == len(ours) >= demos
    assert [e.outcome for e in theirs] == [e.outcome for e in ours]
    assert any(e.outcome == Outcome.SUCCESS for e in ours)
    assert sum(e.count(Source.OFFLINE) for e in ours) > 20
    for a, b in zip(ours, theirs, strict=True):
        assert len(a.steps) == len(b.steps)
        for mine, other in zip(a.steps, b.steps, strict=True):
            assert_equal(mine, other)
    assert "gaps: none" in run("run", "hilserl_replay", "inspect", str(output))
