"""A person at the console takes over from the scripted one and finishes a lift by jogging."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console_pages import CHROMIUM, Ears, needs_browser, started, until
from hilserl_core.step import Outcome, Phase, Source
from hilserl_msgs.msg import Arbitration
from hilserl_replay.bags import read_episodes

pytestmark = pytest.mark.alone

playwright = needs_browser()

CONFIG = """
policy_node: {ros__parameters: {episode_seconds: 300.0}}
mux_node: {ros__parameters: {countdowns: [0.5]}}
learner_node: {ros__parameters: {threads: 1}}
operator_node: {ros__parameters: {help_speed: 0.1}}
"""
KEYS = (("a", "d"), ("s", "w"), ("k", "i"))  # back and forth along x, y and z
FAST = 0.0625  # m/s at a quarter of the full speed
HOVER, GRASP = 0.085, 0.015  # m


class Hand:
    """A person who sees the arm and the cube, and has the page's keys."""

    def __init__(self, page: Any, ears: Ears) -> None:
        self.page, self.ears = page, ears

    def go(self, target: Callable[[], np.ndarray], axes: tuple[int, ...], within: float) -> None:
        """Jogs until the tool is near the target along some axes."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            error = target() - self.ears.tool
            axis = max(axes, key=lambda each: abs(error[each]))
            if abs(error[axis]) < within:
                return
            key = KEYS[axis][int(error[axis] > 0)]
            if abs(error[axis]) > 0.02:
                self.page.keyboard.down(key)
                time.sleep(0.8 * abs(error[axis]) / FAST)
                self.page.keyboard.up(key)
            else:
                self.page.keyboard.press(key)
            time.sleep(0.35)
        pytest.fail(f"the tool does not get there: {self.ears.tool} to {target()}")

    def over(self, height: float) -> Callable[[], np.ndarray]:
        return lambda: np.array([*self.ears.object[:2], height])

    def lift(self, done: Callable[[], bool]) -> None:
        """Opens, goes over the cube and down, closes, and goes up; again where it slips."""
        for _ in range(3):
            self.page.keyboard.press("o")
            self.go(self.over(HOVER), (2,), 0.01)
            self.go(self.over(HOVER), (0, 1), 0.004)
            self.go(self.over(GRASP), (2,), 0.005)
            self.page.keyboard.press("c")
            time.sleep(1.5)
            self.page.keyboard.down("i")
            slipped = time.monotonic() + 5
            while not done() and time.monotonic() < slipped:
                time.sleep(0.05)
            self.page.keyboard.up("i")
            if done():
                return
        pytest.fail(f"the cube is not lifted: it is at {self.ears.object}")


def test_a_person_takes_over_from_the_scripted_one_and_the_bag_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    words = ["observation:=state", "lockstep:=false", "demos:=1", "train_minutes:=20", "seed:=4"]
    history = tmp_path / "run" / "history.jsonl"

    def trained() -> list[dict[str, Any]]:
        lines = history.read_text().splitlines() if history.exists() else []
        return [line for line in map(json.loads, lines) if line["phase"] == Phase.TRAIN]

    ears = Ears()
    try:
        with (
            started(tmp_path, "koch_train", *words, f"config:={tmp_path / 'config.yaml'}") as up,
            playwright.sync_playwright() as engine,
        ):
            browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(up[0])
            training = "() => document.querySelector('#phase').innerText.startsWith('training')"
            page.wait_for_function(training, timeout=120_000)
            until(lambda: ears.state == (Arbitration.HUMAN, "leader"), 60, "for the scripted help")
            before = len(trained())
            page.click("#takeover")
            until(lambda: ears.state == (Arbitration.HUMAN, "console"))
            page.keyboard.press("-")  # to a quarter of the full speed
            Hand(page, ears).lift(lambda: len(trained()) > before)
            assert trained()[before]["outcome"] == Outcome.SUCCESS
            page.keyboard.press("r")
            browser.close()
        number = trained()[before]["episode"]
    finally:
        ears.close()
    (episode,) = read_episodes(tmp_path / "run", Phase.TRAIN, numbers=[number])
    assert episode.outcome == Outcome.SUCCESS
    jogged = [step for step in episode.steps[:-1] if np.abs(step.action).max() > 0][-20:]
    assert len(jogged) == 20
    assert all(step.source == Source.HUMAN for step in jogged)
    # What was pressed is what the bag holds: a quarter of the full speed, along one axis.
    ups = [step.action[2] for step in jogged if step.action[2] > 0]
    np.testing.assert_allclose(ups[-3:], 0.25)
