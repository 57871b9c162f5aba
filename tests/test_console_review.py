"""Looking back in a real browser: what is pressed stands on the disk afterwards.

The run was recorded by the real nodes, and the console calls the real programs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console_pages import PATIENCE, Page, console, needs_browser, until
from hilserl_core.labels import By, Label, read_labels
from hilserl_core.step import Episode, Outcome, Source
from hilserl_replay.bags import read_episode
from runs import ROOT, Run

needs_browser()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations with pictures, complete."""
    folder = tmp_path_factory.mktemp("review") / "run"
    recorded = Run("koch_record", folder, observation="cameras", demos=2, console="false")
    assert recorded.wait(240) == 0
    recorded.stop()
    return folder


@pytest.fixture(scope="module")
def address(run: Path) -> Iterator[str]:
    starter = f"['{sys.executable}', '-m', 'hilserl_bringup.cli', 'run']"
    with console(run.parent, run=run, starter=starter) as address:
        yield address


class Opened:
    """An episode opened on the page, and its bag."""

    def __init__(self, page: Page, run: Path, number: int) -> None:
        self.page, self.folder = page, run / "episodes" / f"{number:06d}"
        page.press("#load")
        self.item = page.page.locator("#episodes > li", has_text=self.folder.name)
        self.item.locator("summary").click(timeout=PATIENCE)
        self.item.locator(".strip").wait_for(timeout=60_000)

    def press(self, group: str, name: str, answer: str) -> None:
        """Presses a button and waits for what is said of it."""
        self.item.locator(f"[aria-label='{group}'] button:text-is('{name}')").click()
        self.says(answer)

    def says(self, text: str) -> None:
        until(lambda: text in self.item.inner_text(), 90, f"for '{text}'")

    def go(self, step: int) -> None:
        self.item.locator("input[type=range]").fill(str(step))

    @property
    def bag(self) -> Episode:
        return read_episode(self.folder)


@pytest.fixture
def open_episode(browser: Any, run: Path, address: str) -> Iterator[Callable[[int], Opened]]:
    page = Page(browser, address)
    yield lambda number: Opened(page, run, number)
    refused = "status of 400"  # of what the page is told in words
    assert [each for each in page.complaints if refused not in each] == []
    page.context.close()


ENDS = [  # button, and how the bag ends: outcome, last reward, terminal; at last as it was
    ("failure", Outcome.FAILURE, -1.0, True),
    ("timeout", Outcome.TIMEOUT, 0.0, False),
    ("deleted", Outcome.ABORTED, 0.0, False),
    ("success", Outcome.SUCCESS, 1.0, True),
]


def test_how_an_episode_ended_is_said_anew_marked_as_deleted_and_taken_back(
    open_episode: Callable[[int], Opened], run: Path
) -> None:
    episode = open_episode(0)
    before = episode.bag
    assert before.outcome == Outcome.SUCCESS
    for name, outcome, reward, terminal in ENDS:
        episode.press("The episode ended in", name, f", {name}, {len(before.steps)} steps")
        episode.says("changed 1 episode")
        bag = episode.bag
        assert (bag.outcome, bag.steps[-2].reward) == (outcome, reward)
        assert bag.steps[-1].is_terminal == terminal
        assert [s.action.tolist() for s in bag.steps] == [s.action.tolist() for s in before.steps]
        deleted = episode.item.evaluate("item => item.classList.contains('deleted')")
        assert deleted == (name == "deleted")
    noted = [json.loads(line) for line in (run / "relabel.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in noted] == [before.outcome, *(end[1] for end in ENDS[:-1])]


def test_who_acted_is_said_anew_and_drawn_anew(open_episode: Callable[[int], Opened]) -> None:
    episode = open_episode(1)
    assert "demonstration" in episode.item.locator(".key").all_inner_texts()
    outcome = episode.bag.outcome
    episode.press("All its steps are", "human", "changed 1 episode")
    bag = episode.bag
    assert {step.source for step in bag.steps[:-1]} == {Source.HUMAN}
    assert bag.outcome == outcome
    assert episode.item.locator(".key").all_inner_texts() == ["human"]
    drawn = episode.item.locator(".timeline").get_attribute("aria-label")
    assert drawn == f"who acted: {bag.transitions} steps human"
    episode.press("All its steps are", "demonstration", "changed 1 episode")
    assert {step.source for step in episode.bag.steps[:-1]} == {Source.OFFLINE}


def test_frames_are_labelled_and_the_classifiers_program_counts_them(
    open_episode: Callable[[int], Opened], run: Path
) -> None:
    episode = open_episode(1)
    last = len(episode.bag.steps) - 1
    presses = ((0, "failure"), (last, "success"), (3, "success"), (3, "neither"), (4, "success"))
    for step, label in presses:
        episode.go(step)
        episode.press("Label this frame", label, f"step {step} of episodes/000001: {label}")
    episode.press("Label this frame", "no label", "step 4 of episodes/000001: none")
    labels = read_labels(run)
    assert {frame: (each.label, each.by) for frame, each in labels.items()} == {
        ("episodes/000001", 0): (Label.FAILURE, By.HAND),
        ("episodes/000001", 3): (Label.NEITHER, By.HAND),
        ("episodes/000001", last): (Label.SUCCESS, By.HAND),
    }
    command = [sys.executable, "-m", "hilserl_bringup.cli", "run", "hilserl_reward", "label"]
    said = subprocess.run([*command, run], capture_output=True, text=True, check=True, cwd=ROOT)
    counted = "1 success (1 by hand), 1 failure (1 by hand), 1 neither (1 by hand)"
    assert said.stdout.endswith(f"3 frames of 1 episodes: {counted}\n")


def test_an_episode_that_goes_away_is_said_and_the_others_stay(
    open_episode: Callable[[int], Opened], run: Path
) -> None:
    episode = open_episode(0)
    aside = run / "aside"
    episode.folder.rename(aside)
    try:
        episode.press("The episode ended in", "failure", "no episode 0")
        episode.press("Label this frame", "failure", "has no episode episodes/000000")
    finally:
        aside.rename(episode.folder)
    episode.press("The episode ended in", "success", "changed 0 episodes")
