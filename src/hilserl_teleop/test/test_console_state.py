import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.run import RunDirectory
from hilserl_core.step import Outcome, Phase, Source
from hilserl_teleop.console_history import SHOWN, History, episode_curves
from hilserl_teleop.console_state import ConsoleState

NAN = float("nan")


class Clock:
    now = 10.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    return ConsoleState(clock)


def run(state, episode=0, in_episode=True, **changes):
    said = {
        "run": "first",
        "phase": Phase.TRAIN,
        "episode": episode,
        "in_episode": in_episode,
        "last_outcome": 0,
        "success_rate": NAN,
        "intervention_rate": 0.5,
        "steps_per_s": 9.9,
        "time_left": NAN,
        **changes,
    }
    state.run(**said)


def test_before_anything_has_arrived_there_is_nothing_to_show(state):
    shown = state.snapshot()
    assert "arbitration" not in shown
    assert shown["episode"] == {"seconds": None, "steps": {}}
    assert not state.mine
    assert not state.driving


def test_the_countdown_runs_between_two_words_of_the_mux(state, clock):
    state.arbitration(1, "console", 2.0, True, "console takes over")
    clock.now += 0.5
    shown = state.snapshot()["arbitration"]
    assert shown["countdown"] == 1.5
    assert shown["age"] == 0.5
    assert state.mine
    assert not state.driving
    clock.now += 5.0
    assert state.snapshot()["arbitration"]["countdown"] == 0.0
    state.arbitration(2, "console", 0.0, False, "")
    assert state.driving
    state.arbitration(2, "keyboard", 0.0, False, "")
    assert not state.mine


def test_the_episodes_clock_counts_from_its_first_tick(state):
    run(state, episode=3)
    for tick in range(5):
        source = Source.HUMAN if tick > 2 else Source.POLICY
        state.executed(7_000_000_000 + tick * 100_000_000, source, 12, [0.1, NAN])
    shown = state.snapshot()
    assert shown["episode"] == {"seconds": 0.4, "steps": {"policy": 3, "human": 2}}
    assert shown["action"]["command"] == [0.1, None]
    run(state, episode=3, in_episode=False)
    state.executed(8_000_000_000, Source.POLICY, 12, [])
    assert state.snapshot()["episode"]["seconds"] == 0.4
    run(state, episode=4)
    assert state.snapshot()["episode"]["seconds"] is None


def test_a_part_that_falls_silent_is_a_warning_and_then_forgotten(state, clock):
    state.health("mux", 0, "well", {"ticks": "9"})
    state.health("driver", 1, "hot", {})
    assert [part["name"] for part in state.snapshot()["health"]] == ["driver", "mux"]
    clock.now += 5.0
    state.health("driver", 1, "hot", {})
    parts = {part["name"]: part for part in state.snapshot()["health"]}
    assert parts["mux"]["level"] == 1
    assert parts["mux"]["message"] == "silent for 5 s"
    clock.now += 100.0
    assert state.snapshot()["health"] == []


def test_notes_pass(state, clock):
    state.note("sent: success")
    assert state.snapshot()["notes"] == ["sent: success"]
    clock.now += 60.0
    assert state.snapshot()["notes"] == []


@given(st.lists(st.floats(), max_size=8), st.floats(), st.floats())
def test_whatever_is_measured_a_page_can_read_it(values, rate, reward):
    state = ConsoleState(Clock())
    run(state, success_rate=rate)
    state.joints(["a"] * len(values), values)
    state.servos(["a"], temperature=values, current=values, voltage=values, error=[0])
    state.reward(reward, values, "classifier")
    state.learner("training", 5, 6, rate)
    json.loads(json.dumps(state.snapshot(), allow_nan=False))


def line(success: bool, steps=10, human=0, phase=Phase.TRAIN):
    outcome = Outcome.SUCCESS if success else Outcome.TIMEOUT
    return {"phase": int(phase), "outcome": int(outcome), "steps": steps, "human_steps": human}


def test_curves_are_means_over_the_last_twenty_of_training():
    lines = [line(False, human=10, phase=Phase.RECORD)] * 3
    lines += [line(False, human=10)] * 20 + [line(True)] * 10
    curves = episode_curves(lines)
    assert curves["episode"] == list(range(1, 31))
    assert curves["success"][-1] == curves["intervention"][-1] == 0.5
    assert curves["success"][19] == 0.0


def test_a_long_run_is_thinned_and_keeps_its_newest():
    curves = episode_curves([line(True)] * 3000)
    assert len(curves["episode"]) <= SHOWN
    assert curves["episode"][-1] == 3000


def test_a_run_being_written_is_read_as_far_as_it_is_whole(tmp_path):
    history = History(tmp_path)
    history.refresh()
    assert history.curves()["episodes"]["episode"] == []
    RunDirectory(tmp_path).append("history", line(True))
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"phase": 1, "outcome"')
    history.refresh()
    assert history.curves()["episodes"]["success"] == [1.0]
    before = history.version
    history.refresh()
    assert history.version == before
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write(": 3}\n")  # whole now, and not of this program
    history.refresh()
    assert history.curves()["episodes"]["success"] == [1.0]


def test_a_cameras_node_tells_what_region_the_policy_sees(state):
    state.health("/front_camera: camera", 0, "", {"camera": "front", "region": "[1, 2, 30, 40]"})
    state.health("/eye: crop", 0, "", {"camera": "wrist", "region": "[0, 0, 0, 0]"})
    state.health("/mux_node: arbitration", 0, "", {"region": "[5, 6, 7, 8]"})
    for nonsense in ("", "[1, 2]", "[1, 2, 3, 0.5]", '{"x": 1}', "[1, 2, 3, true]"):
        state.health("/odd: camera", 0, "", {"camera": "odd", "region": nonsense})
    assert state.snapshot()["regions"] == {"front": [1, 2, 30, 40], "wrist": [0, 0, 0, 0]}
    assert "regions" not in state.snapshot(slowly=False)
