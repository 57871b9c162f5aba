"""A run's curves: one table of tags, and their points from the run's logs.

TensorBoard, Weights & Biases and ``report.json`` all take theirs from here. The logs are the
truth (``history.jsonl`` of the policy node, ``learner.jsonl``, ``evaluations.jsonl``): the
processes that act and learn write nothing else, and curves can be made of a run at any time.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hilserl_core.run import WINDOW
from hilserl_core.step import Outcome, Phase

Line = Mapping[str, Any]

HISTORY, LEARNER, EVALUATIONS = "history", "learner", "evaluations"
"""The logs, each in the run's folder as NAME.jsonl."""
EPISODES, STEPS, UPDATES = "episodes", "steps", "updates"
"""What a curve is drawn over: training episodes, control steps in them, the learner's updates."""
_ACTING = (Phase.TRAIN, Phase.RUN)  # whose episodes have curves: people do not change with time


@dataclass(frozen=True)
class Tag:
    """One curve.

    Attributes:
        name: as TensorBoard and Weights & Biases show it; the part before "/" groups them.
        text: what it shows, with the unit.
        log: the log that it comes from.
        axis: what it is drawn over.
        value: of a line, given the last episodes including it; None: no point.
    """

    name: str
    text: str
    log: str
    axis: str
    value: Callable[[Line, Iterable[Line]], float | None]


def _key(name: str, scale: float = 1.0) -> Callable[[Line, Iterable[Line]], float | None]:
    """A number of the line; none where it has none."""

    def value(line: Line, _recent: Iterable[Line]) -> float | None:
        found = line.get(name)
        return None if found is None else scale * float(found)

    return value


def _success(line: Line) -> float:
    return float(line["outcome"] == Outcome.SUCCESS)


def _rate(line: Line) -> float | None:
    wall = float(line.get("wall") or 0.0)
    return line["steps"] / wall if wall > 0 else None


def _interventions(lines: Iterable[Line]) -> float | None:
    """Intervened steps over all steps; None of no step."""
    lines = list(lines)
    steps = sum(line["steps"] for line in lines)
    return sum(line["human_steps"] for line in lines) / steps if steps else None


def _mean_success(lines: Iterable[Line]) -> float:
    values = [_success(line) for line in lines]
    return sum(values) / len(values)


def _episode(name: str, text: str, value: Any, axis: str = EPISODES) -> Tag:
    return Tag(name, text, HISTORY, axis, value)


def _learning(name: str, text: str, key: str = "") -> Tag:
    """A curve of a figure in the learner's lines, by default of the name's second part."""
    return Tag(name, text, LEARNER, UPDATES, _key(key or name.partition("/")[2]))


_LAST = f"of the last {WINDOW} training episodes"
_SOURCES = {
    "policy": "on which the policy acted",
    "human": "on which a person had taken over",
    "offline": "of demonstrations",
}

TAGS: tuple[Tag, ...] = (
    _episode("episode/return", "sum of an episode's rewards", _key("reward")),
    _episode("episode/success", "1 where the episode succeeded", lambda line, _: _success(line)),
    _episode(
        "episode/success_rate",
        f"share of successes {_LAST}",
        lambda _, recent: _mean_success(recent),
    ),
    _episode(
        "episode/intervention",
        "share of an episode's steps on which a person drove",
        lambda line, _: _interventions([line]),
    ),
    _episode(
        "episode/intervention_rate",
        f"intervened steps over all steps {_LAST}",
        lambda _, recent: _interventions(recent),
    ),
    _episode(
        "step/intervention_rate",
        f"the same, over control steps: intervened steps over all steps {_LAST}",
        lambda _, recent: _interventions(recent),
        STEPS,
    ),
    _episode(
        "step/success_rate",
        f"share of successes {_LAST}, over control steps",
        lambda _, recent: _mean_success(recent),
        STEPS,
    ),
    _episode(
        "episode/cycle_time",
        "duration of a successful episode, s",
        lambda line, _: float(line["duration"]) if _success(line) else None,
    ),
    _episode(
        "episode/gripper_actions",
        "steps of an episode whose action closed or opened the gripper",
        _key("gripper_actions"),
    ),
    _episode(
        "actor/steps_per_s",
        "control steps per second of wall-clock time, resets included",
        lambda line, _: _rate(line),
    ),
    _episode(
        "actor/weights_age",
        "s from the arrival of weights to when they acted, mean over an episode's steps",
        _key("weights_age"),
    ),
    _episode(
        "actor/loop_lateness_ms",
        "lateness of an episode's latest control tick, ms; none in lockstep",
        _key("lateness", 1e3),
    ),
    Tag(
        "evaluation/success_rate",
        "share of successes of one evaluation, without help",
        EVALUATIONS,
        STEPS,
        _key("success_rate"),
    ),
    _learning("learner/critic_loss", "mean squared error of the critics to their target"),
    _learning("learner/q", "mean value that the critics give a batch"),
    *(
        _learning(f"learner/q_{name}", f"the same, of the samples {words}")
        for name, words in _SOURCES.items()
    ),
    _learning("learner/actor_loss", "loss of the actor, its cloning term included"),
    _learning("learner/cloning_error", "mean squared error of the actor to people's actions"),
    _learning("learner/entropy", "of the arm's action distribution, nat"),
    _learning("learner/gripper_entropy", "of the gripper's choice, nat"),
    _learning("learner/temperature", "weight of the arm's entropy in the actor's loss"),
    _learning("learner/updates_per_s", "updates of the critics per second of wall-clock time"),
    _learning(
        "learner/encoder_explained",
        "share of the old features' variance that a new encoder explains linearly, at its adoption",
    ),
    *(
        _learning(f"batch/{name}", f"samples of a batch {words}", f"batch_{name}")
        for name, words in _SOURCES.items()
    ),
    *(
        _learning(f"buffer/{name}", f"steps in the replay buffer {words}")
        for name, words in _SOURCES.items()
    ),
)


@dataclass(frozen=True)
class Point:
    """One point of a curve.

    Attributes:
        step: where it lies on the tag's axis.
        wall_time: s since 1970.
    """

    tag: Tag
    step: int
    value: float
    wall_time: float


@dataclass
class _Tail:
    """Reads a growing file of JSON lines, whole lines only."""

    path: Path
    offset: int = 0

    def read(self) -> Iterator[Line]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # A crash cut it off.


@dataclass
class Curves:
    """The points of a run's curves, as its logs grow.

    Attributes:
        run_dir: the run's folder; it need not exist yet.
    """

    run_dir: Path
    _recent: deque[Line] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _episodes: int = 0
    _steps: int = 0
    _updates: int = 0

    def __post_init__(self) -> None:
        self._tails = {
            name: _Tail(self.run_dir / f"{name}.jsonl") for name in (HISTORY, LEARNER, EVALUATIONS)
        }

    def new(self) -> Iterator[Point]:
        """What the logs say since the last call."""
        lines = [
            (float(line["wall_time"]), log, line)
            for log, tail in self._tails.items()
            for line in tail.read()
        ]
        # By time: an evaluation lies at the steps that were taken before it.
        for _, log, line in sorted(lines, key=lambda entry: entry[0]):
            yield from self._points(log, line)

    def _points(self, log: str, line: Line) -> Iterator[Point]:
        if log == HISTORY:
            if line["phase"] not in _ACTING or line["outcome"] == Outcome.ABORTED:
                return
            self._recent.append(line)
            self._episodes += 1
            self._steps += int(line["steps"])
        if log == LEARNER:
            updates, self._updates = self._updates, int(line["updates"])
            if self._updates == updates:
                return  # Nothing was learned since: during evaluations, or before the start.
        at = {
            EPISODES: self._episodes,
            STEPS: self._steps,
            UPDATES: self._updates,
        }
        for tag in TAGS:
            value = tag.value(line, self._recent) if tag.log == log else None
            if value is not None:
                yield Point(tag, at[tag.axis], value, float(line["wall_time"]))


def last_values(run_dir: Path) -> dict[str, float | None]:
    """Each curve's last value, None where that is not finite; only curves with a point."""
    last = {point.tag.name: point.value for point in Curves(run_dir).new()}
    return {
        tag.name: last[tag.name] if math.isfinite(last[tag.name]) else None
        for tag in TAGS
        if tag.name in last
    }
