"""What a run's episodes come to, episode by episode, without their observations."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.progress import track
from hilserl_core.run import WINDOW, RunDirectory
from hilserl_core.step import Episode, Outcome, Phase, Source
from hilserl_replay.bag_metadata import is_finished, read_notes
from hilserl_replay.bags import FOLDERS, episode_folders, read_episode


@dataclass(frozen=True)
class EpisodeSummary:
    """One episode in figures.

    Attributes:
        folder: of its bag.
        number: within its folder.
        steps: transitions by who acted.
        missing: steps that its sequence of indices lacks.
        duration: s, from the first observation to the last.
        wall_time: s since 1970, when its bag was closed; of one under way, last written.
        finished: whether the bag was closed.
    """

    folder: Path
    number: int
    phase: Phase
    outcome: Outcome
    steps: dict[Source, int]
    missing: int
    duration: float
    wall_time: float
    finished: bool

    @property
    def transitions(self) -> int:
        return sum(self.steps.values())

    @property
    def success(self) -> bool:
        return self.outcome == Outcome.SUCCESS

    @property
    def name(self) -> str:
        """As a person names it: ``episodes/000042``."""
        return f"{self.folder.parent.name}/{self.folder.name}"


def summarise(folder: Path, episode: Episode) -> EpisodeSummary:
    """The figures of one episode, read from ``folder``."""
    finished = is_finished(folder)
    noted = read_notes(folder).get("wall_time")
    wall_time = float(noted) if noted else max(p.stat().st_mtime for p in folder.iterdir())
    return EpisodeSummary(
        folder=folder,
        number=int(folder.name),
        phase=episode.steps[0].phase,
        outcome=episode.outcome,
        steps={source: episode.count(source) for source in Source},
        missing=episode.gaps,
        duration=episode.duration,
        wall_time=wall_time,
        finished=finished,
    )


@dataclass(frozen=True)
class RunSummary:
    """A run's episodes in order, and the bags that could not be read, with the reason."""

    episodes: tuple[EpisodeSummary, ...]
    unreadable: tuple[str, ...] = ()

    def of(self, *phases: Phase) -> list[EpisodeSummary]:
        return [episode for episode in self.episodes if episode.phase in phases]


def summarise_run(run_dir: Path) -> RunSummary:
    """Reads every bag of a run.

    Raises:
        UserError: the folder is not a run.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run: give a folder such as runs/NAME")
    run = RunDirectory(run_dir)
    if not run.config_path.exists() and not any(run.episodes(kind).is_dir() for kind in FOLDERS):
        raise UserError(f"{run_dir}: not a run: it holds neither config.yaml nor episodes")
    episodes, unreadable = [], []
    folders = [folder for kind in FOLDERS for folder in episode_folders(run_dir, kind)]
    for folder in track(folders, "reading episodes"):
        try:
            episodes.append(summarise(folder, read_episode(folder)))
        except UserError as error:
            if is_finished(folder):  # else: under way, before its first step
                unreadable.append(str(error))
    return RunSummary(tuple(episodes), tuple(unreadable))


def success_rate(episodes: Sequence[EpisodeSummary]) -> float | None:
    """Share of successful episodes; None of no episode."""
    return sum(episode.success for episode in episodes) / len(episodes) if episodes else None


def cycle_time(episodes: Iterable[EpisodeSummary]) -> float | None:
    """Median duration of the successful episodes, s; None where none was."""
    durations = [episode.duration for episode in episodes if episode.success]
    return statistics.median(durations) if durations else None


def intervention_rate(episodes: Sequence[EpisodeSummary]) -> float | None:
    """Intervened steps over all steps; None of no step."""
    total = sum(episode.transitions for episode in episodes)
    human = sum(episode.steps[Source.HUMAN] for episode in episodes)
    return human / total if total else None


def running(
    episodes: Sequence[EpisodeSummary], figure: str, window: int = WINDOW
) -> list[float | None]:
    """A figure over the last ``window`` episodes, at each episode.

    Args:
        episodes: in order.
        figure: ``success``, ``unaided`` (success without a human step), ``intervention``
            or ``cycle_time``.
    """
    result: list[float | None] = []
    for end in range(1, len(episodes) + 1):
        recent = episodes[max(0, end - window) : end]
        if figure == "success":
            result.append(success_rate(recent))
        elif figure == "unaided":
            alone = sum(e.success and not e.steps[Source.HUMAN] for e in recent)
            result.append(alone / len(recent))
        elif figure == "intervention":
            result.append(intervention_rate(recent))
        else:
            result.append(cycle_time(recent))
    return result
