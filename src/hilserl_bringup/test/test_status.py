"""What the panel says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hilserl_bringup.panel import panel
from hilserl_bringup.status import Pace, Status, bar, clock, line, rows
from hilserl_core.step import Phase


def run_status(**changed: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "run": "mine",
        "task": "lift_cube",
        "phase": int(Phase.TRAIN),
        "in_episode": True,
        "episode": 41,
        "episodes_in_phase": 20,
        "episodes_of_phase": 0,
        "steps": 1234,
        "policy_version": 7,
        "success_rate": 0.85,
        "intervention_rate": 0.04,
        "steps_per_s": 88.4,
        "time_left": 151.0,
        "message": "",
    }
    return SimpleNamespace(**{**values, **changed})


def learner_status(stage: str = "training") -> SimpleNamespace:
    return SimpleNamespace(stage=stage, updates=5000, updates_per_s=122.3)


def arbitration(state: int, holding: bool = False, reason: str = "") -> SimpleNamespace:
    return SimpleNamespace(state=state, device="leader", holding=holding, reason=reason)


def test_one_line_says_all() -> None:
    status = Status().with_run(run_status()).with_learner(learner_status())
    assert line(status) == (
        "training: episode 21, success 85 % of the last 20, interventions 4 %, "
        "122 updates/s, 88 steps/s, 2:31 left"
    )


def test_before_the_first_message_nothing_is_invented() -> None:
    values = dict(rows(Status()))
    assert values["phase"] == "starting"
    assert values["success, last 20"] == "?"
    assert line(Status()) == "starting"


def test_nan_is_unknown() -> None:
    nan = float("nan")
    status = Status().with_run(run_status(success_rate=nan, time_left=nan))
    assert dict(rows(status))["success, last 20"] == "?"
    assert "left" not in line(status)


def test_a_learner_that_prepares_says_how() -> None:
    status = Status().with_run(run_status()).with_learner(learner_status("behaviour_cloning"))
    assert "cloning" in dict(rows(status))["phase"]


def test_a_phase_of_known_length_counts_towards_it() -> None:
    status = Status().with_run(
        run_status(phase=int(Phase.EVALUATE), in_episode=False, episodes_of_phase=50)
    )
    assert dict(rows(status))["episode"] == "20 of 50"


@pytest.mark.parametrize(
    ("state", "holding", "expected"),
    [
        (0, False, "the policy"),
        (2, False, "the operator (leader)"),
        (2, True, "the operator (leader), holding: no action"),
        (3, False, "nobody: stopped"),
    ],
)
def test_who_drives(state: int, holding: bool, expected: str) -> None:
    status = Status().with_arbitration(arbitration(state, holding, "no action" if holding else ""))
    assert dict(rows(status))["driving"] == expected


def test_time_runs_between_messages_and_stops_at_zero() -> None:
    status = Status().with_run(run_status(time_left=10.0))
    assert status.later(4.0).time_left == 6.0
    assert status.later(40.0).time_left == 0.0
    assert Status().later(1.0).time_left is None


def test_clock() -> None:
    assert clock(59.9) == "0:59"
    assert clock(3600.0) == "60:00"


def test_a_status_survives_its_json() -> None:
    status = Status().with_run(run_status()).with_arbitration(arbitration(2))
    assert Status.from_json(status.to_json()) == status
    for text in ("[INFO] hello", "[1]", '{"other": 1}', "3"):
        with pytest.raises((ValueError, TypeError)):
            Status.from_json(text)


def test_the_panel_fits_a_small_terminal() -> None:
    console = Console(width=80, record=True)
    console.print(panel(Status().with_run(run_status()).with_learner(learner_status())))
    text = console.export_text()
    assert "lift_cube mine" in text
    assert "85 %" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_bar_has_its_share() -> None:
    assert bar(None) == "?"
    assert bar(0.0, 4) == "░░░░ 0 %"
    assert bar(0.5, 4) == "██░░ 50 %"
    assert bar(1.7, 4).startswith("████")


def test_training_is_as_far_as_its_time() -> None:
    pace = Pace()
    first = pace.judge(Status().with_run(run_status(time_left=200.0)), 0.0)
    later = pace.judge(Status().with_run(run_status(time_left=50.0)), 150.0)
    assert (first.done, later.done) == (0.0, 0.75)
    assert later.time_left == 50.0


def test_an_evaluation_is_as_far_as_its_episodes_and_lasts_as_they_did() -> None:
    pace = Pace()

    def at(done: int, now: float) -> Status:
        counts = {"episodes_in_phase": done, "episodes_of_phase": 10}
        return pace.judge(Status().with_run(run_status(phase=int(Phase.EVALUATE), **counts)), now)

    # The watcher came late: two episodes were over already.
    assert at(2, 100.0).done == 0.2
    assert at(2, 100.0).time_left is None
    assert at(6, 108.0).time_left == 8.0
    assert at(10, 116.0).time_left == 0.0
    # A second one follows, and is reckoned from its own start.
    assert at(0, 117.0).time_left is None
    assert at(5, 122.0).time_left == 5.0


def test_a_new_phase_starts_anew() -> None:
    pace = Pace()
    pace.judge(Status().with_run(run_status(time_left=1000.0)), 0.0)
    run = run_status(phase=int(Phase.RECORD), time_left=float("nan"), episodes_in_phase=0)
    run.episodes_of_phase = 4
    assert pace.judge(Status().with_run(run), 1.0).done == 0.0
    assert pace.judge(Status().with_run(run_status(time_left=10.0)), 2.0).done == 0.0
