"""The report's figures against ones worked out by hand, and its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_episodes import make_episode, write_episode

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.step import Outcome, Phase
from hilserl_replay.figures import load, report
from hilserl_replay.filmstrip import FRAMES, filmstrip
from hilserl_replay.report import main, write_report
from hilserl_replay.summary import running


def test_figures_of_a_trained_run(trained_run: Path) -> None:
    figures = report(load(trained_run))
    assert list(figures) == [
        "task", "seed", "observation", "evaluation", "demonstrations", "training", "baselines",
        "curves", "versions",
    ]  # fmt: skip
    assert (figures["task"], figures["seed"], figures["observation"]) == ("lift_cube", 2, "state")
    assert figures["evaluation"] == {
        "episodes": 10,
        "success_rate": 0.9,
        "judged_success_rate": 0.9,
        "wrongly_judged_success": 0,
        "missed_success": 0,
        "judge": "sim",
        "success_rate_of_each": [1.0, 0.8],
        "cycle_time_s": 3.0,
    }
    assert figures["demonstrations"] == {"episodes": 4, "cycle_time_s": 8.0}
    assert figures["training"] == {
        "wall_s": 80.0,
        "env_steps": 1200,
        "episodes": 30,
        "updates": 4900,
        "updates_per_s": 100.0,
        "steps_per_s": 20.0,
        "intervention_rate_last_20": 0.0,
        "steps_by_source": {"policy": 1000, "human": 200, "offline": 320},
    }


def test_the_truth_counts_and_the_judges_error_is_told(run_dir: Path) -> None:
    config = {"arguments": {"task": "lift_cube", "reward": "classifier"}}
    RunDirectory.create_or_resume(run_dir, config)
    # Judged a success: 0, 1 and 2; it was one: 1, 2 and 3. Somebody else's truth came too late.
    for number in range(5):
        judged = Outcome.SUCCESS if number < 3 else Outcome.TIMEOUT
        episode = make_episode(number, 10, phase=Phase.EVALUATE, outcome=judged)
        last = episode.steps[-1].observation.stamp
        truth = [(last - 100_000_000, 0.0), (last, float(number in (1, 2, 3))), (last + 1, 1.0)]
        write_episode(run_dir, episode, truth=truth)
    figures = report(load(run_dir))["evaluation"]
    assert figures["success_rate"] == figures["judged_success_rate"] == 0.6
    assert (figures["wrongly_judged_success"], figures["missed_success"]) == (1, 1)
    assert figures["success_rate_of_each"] == [0.6]
    line = write_report(run_dir)
    assert "60.0 % of 5 episodes (60 %), 60.0 % by the classifier's judgement" in line
    page = (run_dir / "report.html").read_text()
    assert "1 episodes wrongly called a success, 1 missed" in page


def test_time_in_which_the_run_was_stopped_does_not_count(trained_run: Path) -> None:
    path = trained_run / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[20:]:
        line["wall_time"] += 3600.0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert report(load(trained_run))["training"]["wall_s"] == 80.0


def test_evaluations_given_up_and_aborted_episodes_do_not_count(trained_run: Path) -> None:
    aborted = make_episode(10, 5, phase=Phase.EVALUATE, outcome=Outcome.ABORTED)
    write_episode(trained_run, aborted)
    for i in range(11, 16):
        failure = make_episode(i, 5, phase=Phase.EVALUATE, outcome=Outcome.TIMEOUT)
        write_episode(trained_run, failure)
    with (trained_run / "evaluations.jsonl").open("a") as file:
        given_up = {"first_episode": 11, "episodes": 5, "wall_time": 1100.0, "whole": False}
        file.write(json.dumps(given_up) + "\n")
    data = load(trained_run)
    assert len(data.evaluations) == 3
    assert report(data)["evaluation"]["success_rate_of_each"] == [1.0, 0.8]


def test_running_means_are_over_the_last_20(trained_run: Path) -> None:
    training = load(trained_run).training
    rate = running(training, "intervention")
    assert rate[0] == 0.5
    assert rate[19] == pytest.approx(10 * 20 / (20 * 40))
    assert rate[-1] == 0.0
    assert running(training, "unaided")[-1] == 1.0
    assert running(training, "cycle_time")[0] is None


def test_the_program_writes_one_page_that_needs_nothing_else(
    trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(trained_run), "--baseline", f"behaviour_cloning={trained_run}"])
    last = capsys.readouterr().out.splitlines()[-1]
    page = trained_run / "report.html"
    assert last == (f"evaluation: 90.0 % of 10 episodes (100 %, 80 %) · report: {page}")
    text = page.read_text()
    urls = set(re.findall(r"https?://[^\"'\s<)]+", text))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in text
    assert "<link" not in text
    assert "url(http" not in text
    assert text.count("<svg") == 3
    assert text.count("data:image/png;base64,") == 2
    assert "behaviour cloning" in text
    assert "batch_size" in text
    body = text.split("</style>", 1)[1]
    assert not re.search(r"#(1a1c1f|6b7078|fefefe)", body), "a plot keeps a colour of its own"
    figures = json.loads((trained_run / "report.json").read_text())
    assert figures["baselines"] == {"behaviour_cloning": {"success_rate": 0.9}}
    for name in ("learning_curve", "intervention_rate", "cycle_time", "filmstrip_success"):
        assert (trained_run / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_missing_is_said_in_words(run_dir: Path) -> None:
    write_episode(run_dir, make_episode(0, phase=Phase.RECORD))
    line = write_report(run_dir)
    assert line.startswith("evaluation: none yet, 1 demonstrations and 0 training episodes")
    text = (run_dir / "report.html").read_text()
    assert "No training episode yet" in text
    assert "No failure in any evaluation so far" in text
    write_episode(run_dir, make_episode(1))
    write_episode(run_dir, make_episode(0, phase=Phase.EVALUATE))
    assert write_report(run_dir).startswith("evaluation: 100.0 % of 1 episodes (100 %)")
    assert "holds no camera frames" in (run_dir / "report.html").read_text()


def test_mistakes(tmp_path: Path, trained_run: Path) -> None:
    with pytest.raises(UserError, match="not a run"):
        write_report(tmp_path)
    with pytest.raises(SystemExit) as ending:
        main([str(trained_run), "--baseline", "nothing"])
    assert ending.value.code == 1


def test_a_filmstrip_goes_from_start_to_end(trained_run: Path) -> None:
    strip = filmstrip(trained_run / "evaluation" / "000000")
    assert strip is not None
    assert strip.cameras == ("front", "wrist")
    assert len(strip.times) == FRAMES
    assert strip.times[0] == 0.0
    assert strip.times[-1] == pytest.approx(3.0)
    assert (strip.width, strip.height) == (FRAMES * 20 - 4, 2 * 20 - 4)
