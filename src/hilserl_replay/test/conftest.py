"""Runs made up for the tests of this package."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hilserl_core.run import RunDirectory
from hilserl_core.step import Episode, Outcome, Phase, Source

# The tests are imported by path; what they share lies beside them.
sys.path.insert(0, str(Path(__file__).parent))

from made_episodes import make_episode, write_episode
from run_convert import Program


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """An empty run named ``demo``."""
    return tmp_path / "demo"


@pytest.fixture
def trained_run(run_dir: Path) -> Path:
    """A run of 4 demonstrations, 30 training episodes and 2 evaluations of 5."""
    config = {
        "graph": "koch_train",
        "arguments": {"task": "lift_cube", "seed": 2, "observation": "state"},
        "nodes": {"learner_node": {"parameters": {"batch_size": 256}}},
    }
    run = RunDirectory.create_or_resume(run_dir, config)
    wall, history = 1000.0, []

    def add(episode: Episode, cameras: tuple[str, ...] = ()) -> None:
        nonlocal wall
        wall += 2.0
        first = episode.steps[0]
        write_episode(run_dir, episode, cameras)
        history.append(
            {
                "wall_time": wall,
                "wall": 2.0,
                "phase": int(first.phase),
                "episode": first.episode,
                "outcome": int(episode.outcome),
                "steps": episode.transitions,
                "human_steps": episode.count(Source.HUMAN),
                "duration": episode.duration,
                "reward": float(episode.outcome == Outcome.SUCCESS),
            }
        )

    for i in range(4):
        add(make_episode(i, 80, phase=Phase.RECORD))
    for i in range(30):
        outcome = Outcome.SUCCESS if i > 5 else Outcome.TIMEOUT
        add(make_episode(4 + i, 40, outcome=outcome, human=20 if i < 10 else 0))
    for i in range(10):
        outcome = Outcome.TIMEOUT if i == 7 else Outcome.SUCCESS
        add(make_episode(i, 30, phase=Phase.EVALUATE, outcome=outcome), ("front", "wrist"))
    lines = [{"first_episode": k, "episodes": 5, "wall_time": 1078.0 + 2 * k} for k in (0, 5)]
    _write_lines(run.path / "history.jsonl", history)
    _write_lines(run.path / "evaluations.jsonl", lines)
    updates = [{"wall_time": 1010.0 + i, "updates": 100 * i} for i in range(50)]
    _write_lines(run.path / "learner.jsonl", updates)
    return run_dir


def _write_lines(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(tmp_path, capsys)
