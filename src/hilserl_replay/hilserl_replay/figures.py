"""The figures of a run's report: pure arithmetic on its episodes and its logs."""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.run import WINDOW, RunDirectory
from hilserl_core.step import Outcome, Phase, Source
from hilserl_replay.curves import last_values
from hilserl_replay.summary import (
    EpisodeSummary,
    RunSummary,
    cycle_time,
    intervention_rate,
    success_rate,
    summarise_run,
    true_success_rate,
)

_PACKAGES = ("hilserl_core", "torch", "numpy", "mujoco", "mcap")
_PAUSE = 60.0  # s between two episodes beyond which the run was stopped in between
_REPORTED_EVALUATIONS = 2


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: unaided episodes of one policy."""

    episodes: tuple[EpisodeSummary, ...]
    policy_version: int
    whole: bool
    wall_time: float

    @property
    def success_rate(self) -> float:
        return true_success_rate(self.episodes) or 0.0


@dataclass(frozen=True)
class RunData:
    """All that a report is made of.

    Attributes:
        demonstrations: the run's own, or those of the run that it learnt from.
        history: lines of ``history.jsonl``: how each episode ended and how long it took.
        learner: lines of ``learner.jsonl``, one a second.
    """

    run_dir: Path
    config: Mapping[str, Any]
    summary: RunSummary
    demonstrations: list[EpisodeSummary]
    evaluations: list[Evaluation]
    history: list[dict[str, Any]] = field(default_factory=list)
    learner: list[dict[str, Any]] = field(default_factory=list)

    @property
    def training(self) -> list[EpisodeSummary]:
        return self.summary.of(Phase.TRAIN)

    @property
    def reported(self) -> list[Evaluation]:
        """The evaluations that the report's figure is taken from: the last two whole ones."""
        return [e for e in self.evaluations if e.whole][-_REPORTED_EVALUATIONS:]

    def argument(self, name: str) -> Any:
        """A setting of the run, as its graph was given it; None where there is none."""
        return (self.config.get("arguments") or self.config).get(name)


def load(run_dir: Path) -> RunData:
    """Reads a run.

    Raises:
        UserError: the folder is not a run.
    """
    summary = summarise_run(run_dir)
    run = RunDirectory(run_dir)
    config = run.config() if run.config_path.exists() else {}
    return RunData(
        run_dir=run_dir,
        config=config,
        summary=summary,
        demonstrations=_demonstrations(summary, config),
        evaluations=_evaluations(summary, run.read("evaluations")),
        history=sorted(run.read("history"), key=lambda line: float(line["wall_time"])),
        learner=run.read("learner"),
    )


def _demonstrations(summary: RunSummary, config: Mapping[str, Any]) -> list[EpisodeSummary]:
    """Successful demonstrations, from the run itself or from the one that it names."""
    own = [episode for episode in summary.of(Phase.RECORD) if episode.success]
    nodes = config.get("nodes") or {}
    named = [
        node["parameters"]["demonstrations"]
        for node in nodes.values()
        if (node.get("parameters") or {}).get("demonstrations")
    ]
    if own or not named:
        return own
    try:
        return [e for e in summarise_run(Path(named[0])).of(Phase.RECORD) if e.success]
    except UserError:
        return []  # Moved away since: the report says that there are none.


def _evaluations(summary: RunSummary, lines: Sequence[Mapping[str, Any]]) -> list[Evaluation]:
    """The evaluations that ended, each with its episodes from the bags."""
    # An aborted episode was done again: it belongs to no evaluation.
    episodes = [e for e in summary.of(Phase.EVALUATE) if e.outcome != Outcome.ABORTED]
    result = []
    for line in lines:
        own = [e for e in episodes if e.number >= line["first_episode"]][: line["episodes"]]
        if own:
            evaluation = Evaluation(
                tuple(own),
                int(line.get("policy_version", 0)),
                bool(line.get("whole", True)),
                float(line["wall_time"]),
            )
            result.append(evaluation)
    if not lines and episodes:
        result.append(Evaluation(tuple(episodes), 0, True, episodes[-1].wall_time))
    return result


def report(data: RunData, baselines: Mapping[str, RunData] | None = None) -> dict[str, Any]:
    """The content of ``report.json``; a figure that there is none of yet is null."""
    return {
        "task": data.argument("task"),
        "seed": data.argument("seed"),
        "observation": data.argument("observation"),
        "evaluation": _evaluation_figures(data),
        "demonstrations": {
            "episodes": len(data.demonstrations),
            "cycle_time_s": rounded(cycle_time(data.demonstrations), 2),
        },
        "training": training_figures(data),
        "baselines": {
            name: {"success_rate": _evaluation_figures(baseline)["success_rate"]}
            for name, baseline in (baselines or {}).items()
        },
        "curves": last_values(data.run_dir),
        "versions": versions(),
    }


def _evaluation_figures(data: RunData) -> dict[str, Any]:
    episodes = [episode for evaluation in data.reported for episode in evaluation.episodes]
    return {
        "episodes": len(episodes),
        "success_rate": rounded(true_success_rate(episodes)),
        "judged_success_rate": rounded(success_rate(episodes)),
        "wrongly_judged_success": sum(e.success and not e.true_success for e in episodes),
        "missed_success": sum(e.true_success and not e.success for e in episodes),
        "judge": data.argument("reward") or "sim",
        "success_rate_of_each": [rounded(e.success_rate) for e in data.reported],
        "cycle_time_s": rounded(cycle_time(episodes), 2),
    }


def training_figures(data: RunData) -> dict[str, Any]:
    """The ``training`` part of the report."""
    episodes = data.training
    env_steps = sum(episode.transitions for episode in episodes)
    wall, active = training_times(data)
    updates, updates_per_s = _updates(data.learner)
    by_source = {
        source.name.lower(): sum(episode.steps[source] for episode in episodes) for source in Source
    }
    by_source["offline"] += sum(e.transitions for e in data.demonstrations)
    return {
        "wall_s": rounded(wall, 1),
        "env_steps": env_steps,
        "episodes": len(episodes),
        "updates": updates,
        "updates_per_s": rounded(updates_per_s, 1),
        "steps_per_s": rounded(env_steps / active, 1) if active else None,
        "intervention_rate_last_20": rounded(intervention_rate(episodes[-WINDOW:])),
        "steps_by_source": by_source,
    }


def training_start(data: RunData) -> float | None:
    """Wall-clock time, s since 1970, at which training began: the demonstrations were in."""
    lines = [line for line in data.history if line["phase"] in (Phase.TRAIN, Phase.EVALUATE)]
    if lines:
        before = [line for line in data.history if line["wall_time"] < lines[0]["wall_time"]]
        if before:
            return float(before[-1]["wall_time"])
        return float(lines[0]["wall_time"]) - float(lines[0].get("wall", 0.0))
    episodes = data.summary.of(Phase.TRAIN, Phase.EVALUATE)
    if not episodes:
        return None
    first = min(episodes, key=lambda episode: episode.wall_time)
    recorded = [e.wall_time for e in data.summary.of(Phase.RECORD)]
    return max(recorded, default=first.wall_time - first.duration)


def training_times(data: RunData) -> tuple[float | None, float | None]:
    """Wall-clock s of training with its evaluations, and s within training episodes.

    The time for which a run was stopped before it was resumed counts for neither.
    """
    start = training_start(data)
    if start is None:
        return None, None
    ends = [
        (float(line["wall_time"]), float(line.get("wall", 0.0)), line["phase"] == Phase.TRAIN)
        for line in data.history
        if line["phase"] in (Phase.TRAIN, Phase.EVALUATE)
    ]
    if not ends:
        episodes = data.summary.of(Phase.TRAIN, Phase.EVALUATE)
        ends = [(e.wall_time, e.duration, e.phase == Phase.TRAIN) for e in episodes]
        ends.sort()
    total = active = 0.0
    for end, within, is_training in ends:
        total += end - start if end - start < within + _PAUSE else within
        active += within * is_training
        start = end
    return total, active or None


def training_minutes(data: RunData) -> list[float]:
    """When each training episode ended, min after the start of training."""
    start = training_start(data) or 0.0
    ended = {
        line["episode"]: line["wall_time"] for line in data.history if line["phase"] == Phase.TRAIN
    }
    return [(ended.get(e.number, e.wall_time) - start) / 60 for e in data.training]


def _updates(lines: Sequence[Mapping[str, Any]]) -> tuple[int, float | None]:
    """Updates in all, and the median rate while there were any."""
    points = [
        (float(line.get("wall_time", line.get("time", 0.0))), int(line["updates"]))
        for line in lines
        if "updates" in line
    ]
    rates = [
        (after[1] - before[1]) / (after[0] - before[0])
        for before, after in itertools.pairwise(points)
        if after[1] > before[1] and 0 < after[0] - before[0] < _PAUSE
    ]
    return max((count for _, count in points), default=0), (
        statistics.median(rates) if rates else None
    )


def versions() -> dict[str, str]:
    """Of what the figures were reached with."""
    result = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            result[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    for package in ("ros-jazzy-rclpy", "rclpy"):
        try:
            result["rclpy"] = importlib.metadata.version(package)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    return result


def rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
