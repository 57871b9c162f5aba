"""A run's curves, from its logs to what TensorBoard and Weights & Biases read back."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.step import Outcome, Phase
from hilserl_replay.curve_sinks import CurveWriter, TensorBoard, WeightsAndBiases, make_sinks
from hilserl_replay.curves import TAGS, Curves, Point, last_values
from hilserl_replay.draw_curves import main
from hilserl_replay.figures import load, report


def end_episode(run: Path, success: bool = True, human: int = 0, **more: Any) -> None:
    """Writes down an episode of 10 steps, as the policy node does."""
    outcome = int(Outcome.SUCCESS if success else Outcome.TIMEOUT)
    line = {"phase": int(Phase.TRAIN), "episode": 0, "outcome": outcome, "steps": 10}
    line |= {"human_steps": human, "duration": 1.0, "wall": 2.0, "reward": float(success)}
    RunDirectory(run).append("history", {**line, **more})


def values(points: Iterable[Point], name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in points if point.tag.name == name]


def test_tags_are_one_a_name_and_all_explained() -> None:
    names = [tag.name for tag in TAGS]
    assert len(set(names)) == len(names)
    assert all("/" in tag.name and len(tag.text) > 10 for tag in TAGS)


def test_episodes_are_drawn_over_episodes_and_over_steps(tmp_path: Path) -> None:
    end_episode(tmp_path, success=False, human=5, gripper_actions=3, weights_age=0.5)
    end_episode(tmp_path, human=0, lateness=0.004)
    points = list(Curves(tmp_path).new())
    assert values(points, "episode/return") == [(1, 0.0), (2, 1.0)]
    assert values(points, "episode/success_rate") == [(1, 0.0), (2, 0.5)]
    assert values(points, "episode/intervention") == [(1, 0.5), (2, 0.0)]
    assert values(points, "episode/intervention_rate") == [(1, 0.5), (2, 0.25)]
    assert values(points, "step/intervention_rate") == [(10, 0.5), (20, 0.25)]
    assert values(points, "episode/cycle_time") == [(2, 1.0)]
    assert values(points, "episode/gripper_actions") == [(1, 3.0)]
    assert values(points, "actor/steps_per_s") == [(1, 5.0), (2, 5.0)]
    assert values(points, "actor/weights_age") == [(1, 0.5)]
    assert values(points, "actor/loop_lateness_ms") == [(2, 4.0)]


def test_running_figures_forget_what_is_more_than_20_episodes_old(tmp_path: Path) -> None:
    for i in range(40):
        end_episode(tmp_path, success=i >= 20)
    drawn = dict(values(Curves(tmp_path).new(), "episode/success_rate"))
    assert (drawn[20], drawn[30], drawn[40]) == (0.0, 0.5, 1.0)


def test_demonstrations_and_episodes_given_up_are_no_training(tmp_path: Path) -> None:
    end_episode(tmp_path, phase=int(Phase.RECORD))
    end_episode(tmp_path, outcome=int(Outcome.ABORTED))
    end_episode(tmp_path, phase=int(Phase.EVALUATE))
    assert list(Curves(tmp_path).new()) == []


def test_what_the_learner_says_again_is_no_point(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for updates, loss in ((0, 0.0), (100, 0.5), (100, 0.5), (200, 0.25)):
        run.append("learner", {"updates": updates, "critic_loss": loss, "batch_human": 64.0})
    points = list(Curves(tmp_path).new())
    assert values(points, "learner/critic_loss") == [(100, 0.5), (200, 0.25)]
    assert values(points, "batch/human") == [(100, 64.0), (200, 64.0)]
    assert values(points, "learner/q_human") == []


def test_an_evaluation_lies_at_the_steps_taken_before_it(tmp_path: Path) -> None:
    end_episode(tmp_path)
    RunDirectory(tmp_path).append("evaluations", {"success_rate": 0.9})
    end_episode(tmp_path)
    assert values(Curves(tmp_path).new(), "evaluation/success_rate") == [(10, 0.9)]


def test_a_line_is_taken_once_it_is_whole(tmp_path: Path) -> None:
    end_episode(tmp_path)
    path = tmp_path / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    curves = Curves(tmp_path)
    assert len(values(curves.new(), "episode/return")) == 1
    path.write_bytes(whole + whole)
    assert values(curves.new(), "episode/return") == [(2, 1.0)]
    assert list(curves.new()) == []


def test_the_report_has_the_last_value_of_each_curve(trained_run: Path) -> None:
    with (trained_run / "learner.jsonl").open("a") as file:
        line = {"wall_time": 2000.0, "updates": 10**6, "critic_loss": float("nan")}
        file.write(json.dumps(line) + "\n")
    curves = report(load(trained_run))["curves"]
    assert curves == last_values(trained_run)
    assert curves["episode/success_rate"] == 1.0
    assert curves["learner/critic_loss"] is None  # JSON has no nan
    known = [tag.name for tag in TAGS]
    assert sorted(curves, key=known.index) == list(curves)


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All scalars in a folder's event files."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_tensorboard_reads_back_every_point_once_also_after_a_new_start(tmp_path: Path) -> None:
    for part in range(3):
        end_episode(tmp_path, success=part > 0)
        writer = CurveWriter(tmp_path, [TensorBoard(tmp_path)])
        writer.update()
        end_episode(tmp_path)
        writer.close()
    found = read_back(tmp_path / "tensorboard")
    assert found["episode/return"] == [(1, 0.0), *((i, 1.0) for i in range(2, 7))]
    written = {point.tag.name for point in Curves(tmp_path).new()}
    assert set(found) == written


def test_the_program_draws_a_run_made_without_curves(
    trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(trained_run)])
    assert str(trained_run / "tensorboard") in capsys.readouterr().out
    drawn = read_back(trained_run / "tensorboard")
    assert drawn["episode/success_rate"][-1] == (30, 1.0)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_wandb_that_is_not_installed_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install wandb, or use wandb:=off"):
        make_sinks(tmp_path, False, "offline")


def test_neither_is_imported_unless_asked_for(tmp_path: Path) -> None:
    assert make_sinks(tmp_path, False, "off") == []
    assert "wandb" not in sys.modules


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_keeps_every_point_offline(tmp_path: Path) -> None:
    end_episode(tmp_path, success=False)
    end_episode(tmp_path)
    CurveWriter(tmp_path, [WeightsAndBiases(tmp_path, "offline")]).close()
    (log,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    content = log.read_bytes()
    for tag in ("episode/return", "episode/intervention_rate", "axis/episodes"):
        assert tag.encode() in content
