"""What ``inspect`` finds out of a run, a recorded episode, or any bag: figures, free of print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.step import Episode, Outcome, Phase, Source
from hilserl_replay.bag_summary import BagSummary
from hilserl_replay.bags import episode_folders, read_episode
from hilserl_replay.column_statistics import number_statistics
from hilserl_replay.layout import Layout, layout
from hilserl_replay.summary import (
    EpisodeSummary,
    RunSummary,
    cycle_time,
    intervention_rate,
    success_rate,
    summarise,
    summarise_run,
)

FIGURES = ("min", "mean", "max", "std")
Rows = list[dict[str, Any]]


@dataclass
class _Numbers:
    """Vectors of one kind, of every episode of one size."""

    names: tuple[str, ...]
    parts: list[NDArray[np.float32]] = field(default_factory=list)

    def rows(self) -> Rows:
        if not self.parts:
            return []
        figures = number_statistics(np.concatenate(self.parts))
        return [
            {"name": name, **{figure: float(figures[figure][i]) for figure in FIGURES}}
            for i, name in enumerate(self.names)
        ]


class StepStatistics:
    """Collects the states and actions of episodes that were not discarded."""

    def __init__(self) -> None:
        self._layout: Layout | None = None
        self._state, self._action = _Numbers(()), _Numbers(())
        self.left_out: list[str] = []

    def add(self, summary: EpisodeSummary, episode: Episode) -> None:
        """Takes an episode's numbers; one of another size than the first is named instead."""
        if summary.discarded:
            return
        try:
            states = np.stack([step.observation.state for step in episode.steps])
            found = [step.action for step in episode.steps[:-1]]
            actions = np.stack(found) if found else None
        except ValueError:
            self.left_out.append(summary.name)
            return
        if self._layout is None:
            self._layout = layout(episode)
            self._state.names, self._action.names = self._layout.state, self._layout.action
        fits = states.shape[1] == len(self._state.names)
        fits &= actions is None or actions.shape[1] == len(self._action.names)
        if not fits:
            self.left_out.append(summary.name)
            return
        self._state.parts.append(states)
        if actions is not None:
            self._action.parts.append(actions)

    def rows(self) -> dict[str, Rows]:
        """Figures of every state and action element."""
        return {"state": self._state.rows(), "action": self._action.rows()}


@dataclass(frozen=True)
class Inspection:
    """A run's episodes, or one, with statistics of their steps."""

    summary: RunSummary
    statistics: dict[str, Rows]
    missing_episodes: tuple[str, ...] = ()
    other_shapes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or damaged."""
        gaps = any(episode.missing for episode in self.summary.episodes)
        return not (gaps or self.missing_episodes or self.summary.unreadable or self.other_shapes)


def inspect_run(run_dir: Path, each: Callable[[EpisodeSummary], None] | None = None) -> Inspection:
    """Reads a run; ``each`` is told of every episode read.

    Raises:
        UserError: it is not a run.
    """
    numbers = StepStatistics()

    def take(summary: EpisodeSummary, episode: Episode) -> None:
        numbers.add(summary, episode)
        if each is not None:
            each(summary)

    summary = summarise_run(run_dir, take)
    missing = [name for phase in (Phase.TRAIN, Phase.EVALUATE) for name in _lost(run_dir, phase)]
    return Inspection(summary, numbers.rows(), tuple(missing), tuple(numbers.left_out))


def inspect_episode(folder: Path) -> Inspection:
    """Reads one recorded episode.

    Raises:
        UserError: it is none, or is damaged.
    """
    if not folder.name.isdigit():
        raise UserError(f"{folder}: an episode's folder has a number for its name")
    episode, numbers = read_episode(folder), StepStatistics()
    summary = summarise(folder, episode)
    numbers.add(summary, episode)
    other = tuple(numbers.left_out)
    return Inspection(RunSummary((summary,)), numbers.rows(), other_shapes=other)


def _lost(run_dir: Path, phase: Phase) -> list[str]:
    """Numbers without a bag below the highest, as ``episodes/000013``."""
    folders = {int(folder.name): folder for folder in episode_folders(run_dir, phase)}
    if not folders:
        return []
    parent = folders[max(folders)].parent.name
    return [f"{parent}/{n:06d}" for n in range(max(folders)) if n not in folders]


def totals(episodes: Sequence[EpisodeSummary]) -> dict[str, Any]:
    """Figures of several episodes; of those that were discarded, only how many.

    ``steps`` are transitions by source, as the learner and a data set's ``source`` count them.
    """
    kept = [episode for episode in episodes if not episode.discarded]
    finished = [episode for episode in kept if episode.finished]
    outcomes = [episode.outcome for episode in finished]
    rates = [episode.rate for episode in kept if episode.rate is not None]
    return {
        "episodes": len(kept),
        "steps": _by_source(kept),
        "outcomes": {
            **{o.name.lower(): outcomes.count(o) for o in Outcome if o > Outcome.NONE},
            "discarded": len(episodes) - len(kept),
        },
        "success_rate": success_rate(finished),
        "intervention_rate": intervention_rate(kept),
        "cycle_time_s": cycle_time(kept),
        "rate_hz": float(np.median(rates)) if rates else None,
    }


def _by_source(episodes: Sequence[EpisodeSummary]) -> dict[str, int]:
    return {s.name.lower(): sum(e.steps[s] for e in episodes) for s in Source}


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Everything found out, as plain values."""
    summary = inspection.summary
    phases = {phase: summary.of(phase) for phase in Phase if summary.of(phase)}
    discarded = [episode for episode in summary.episodes if episode.discarded]
    return {
        "episodes": [_episode(episode) for episode in summary.episodes],
        "phases": {phase.name.lower(): totals(found) for phase, found in phases.items()},
        "all": totals(summary.episodes),
        "discarded": {"episodes": len(discarded), "steps": _by_source(discarded)},
        "missing_episodes": list(inspection.missing_episodes),
        "unreadable": list(summary.unreadable),
        "other_shapes": list(inspection.other_shapes),
        "statistics": inspection.statistics,
    }


def _episode(episode: EpisodeSummary) -> dict[str, Any]:
    return {
        "name": episode.name,
        "phase": episode.phase.name.lower(),
        "outcome": episode.outcome.name.lower(),
        "finished": episode.finished,
        "discarded": episode.discarded,
        "steps": _by_source([episode]),
        "duration_s": episode.duration,
        "rate_hz": episode.rate,
        "missing_steps": episode.missing,
        "late_ticks": episode.late,
        "wall_time": episode.wall_time,
    }


def bag_as_json(bag: BagSummary) -> dict[str, Any]:
    """A bag's topics as plain values."""
    return {
        "duration_s": bag.duration,
        "topics": {
            name: {
                "type": topic.type,
                "messages": topic.count,
                "rate_hz": topic.rate,
                "longest_gap_s": topic.longest,
                "missing": topic.missing,
                "backwards": topic.backwards,
            }
            for name, topic in bag.topics.items()
        },
        "problems": list(bag.problems),
    }
