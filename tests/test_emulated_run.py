"""The suite on an emulated arm: everything goes through a serial port, in real time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hilserl_core.step import Outcome, Source
from person import Person
from runs import Run

pytestmark = pytest.mark.alone


@pytest.fixture
def person() -> Iterator[Person]:
    result = Person()
    yield result
    result.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def factory(graph: str, **arguments: object) -> Run:
        runs.append(Run(graph, tmp_path / "run", hardware="emulated", **arguments))
        return runs[-1]

    yield factory
    for run in runs:
        run.stop()


def test_the_scripted_person_demonstrates_through_the_port(start: Callable[..., Run]) -> None:
    run = start("so101_record", demos=1)  # A Koch is driven by the person below.
    assert run.wait(120) == 0
    (episode,) = [e for e in run.episodes() if e.outcome == Outcome.SUCCESS]
    assert episode.gaps == 0
    assert episode.count(Source.OFFLINE) >= 0.7 * episode.transitions


def test_a_person_takes_over_moves_marks_a_success_and_releases(
    start: Callable[..., Run], person: Person
) -> None:
    run = start("koch_record", demos=2, operator="keyboard")

    def demonstrate(key: str, number: int) -> None:
        def begun() -> bool:  # not the one before, whose last line may still stand there
            line = person.look()
            return f"record episode {number}" in line and "over" not in line

        run.until(begun, 60)
        person.press("t")
        run.until(lambda: "YOU DRIVE" in person.look(), 20)
        person.press(key, 8)
        person.press("c", 4)  # Long enough for ticks to see it before the end.
        person.press("y")

    demonstrate("w", 0)
    person.press("r")
    run.until(lambda: "policy drives" in person.look(), 20)
    demonstrate("d", 1)
    assert run.wait(60) == 0
    forwards, right = [e for e in run.episodes() if e.outcome == Outcome.SUCCESS]
    for episode, axis in ((forwards, 1), (right, 0)):
        moved = [step for step in episode.steps if step.source == Source.OFFLINE]
        assert sum(step.action[axis] > 0 for step in moved) >= 4
        assert any(step.action[3] < -1 / 3 for step in moved)
        first, last = (episode.steps[i].observation.state for i in (0, -1))
        tool = 18 + axis  # After three fields of the six joints.
        assert last[tool] > first[tool]
        assert episode.steps[-2].reward == 1.0
