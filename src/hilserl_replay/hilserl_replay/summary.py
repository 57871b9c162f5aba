"""What a run's episodes come to, episode by episode, without their observations."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilserl_core.errors import UserError
from hilserl_core.progress import track
from hilserl_core.run import WINDOW
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Episode, Outcome, Phase, Source
from hilserl_msgs.msg import Reward
from hilserl_replay.bag_metadata import is_finished, listed_topics, read_notes
from hilserl_replay.bags import FOLDERS, decode, episode_folders, read_episode
from hilserl_replay.mcap_bag import read_messages
from hilserl_replay.selection import check_run

_TRUTH = "/reward/truth"


@dataclass(frozen=True)
class EpisodeSummary:
    """One episode in figures.

    Attributes:
        folder: of its bag.
        number: within its folder.
        steps: transitions by who acted.
        missing: steps that its sequence of indices lacks.
        late: control periods between two steps in which there should have been others.
        duration: s, from the first observation to the last.
        wall_time: s since 1970, when its bag was closed; of one under way, last written.
        finished: whether the bag was closed.
        discarded: given up, or marked as deleted: nobody learns from it.
        truth: whether the task was done, by who knows better than the run's judge (a simulator,
            on ``reward/truth``); None where nobody does.
    """

    folder: Path
    number: int
    phase: Phase
    outcome: Outcome
    steps: dict[Source, int]
    missing: int
    late: int
    duration: float
    wall_time: float
    finished: bool
    discarded: bool = False
    truth: bool | None = None

    @property
    def transitions(self) -> int:
        return sum(self.steps.values())

    @property
    def rate(self) -> float | None:
        """Steps a second, where the episode has two or more."""
        return self.transitions / self.duration if self.duration > 0 else None

    @property
    def success(self) -> bool:
        """Whether the run's judge saw a success."""
        return self.outcome == Outcome.SUCCESS

    @property
    def true_success(self) -> bool:
        """Whether it was one, as far as anybody knows."""
        return self.success if self.truth is None else self.truth

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
        late=late_ticks(episode),
        duration=episode.duration,
        wall_time=wall_time,
        finished=finished,
        discarded=episode.discarded,
        truth=_truth(folder, episode),
    )


def late_ticks(episode: Episode) -> int:
    """Control periods, each the episode's median interval, that passed without a step.

    Where steps are missing from the sequence of indices, the time that they took is theirs.
    """
    stamps = np.array([step.observation.stamp for step in episode.steps])
    indices = np.array([step.index for step in episode.steps])
    if len(stamps) < 3:
        return 0
    intervals, counted = np.diff(stamps), np.diff(indices)
    period = float(np.median(intervals))
    if period <= 0:
        return 0
    return int(np.maximum(0, np.rint(intervals / period).astype(int) - counted).sum())


def _truth(folder: Path, episode: Episode) -> bool | None:
    """Whether any observation of an episode was a success by ``reward/truth``, if there is that."""
    if not any(topic.endswith(_TRUTH) for topic in listed_topics(folder)):
        return None
    first, last = (episode.steps[at].observation.stamp for at in (0, -1))
    known, success = False, False
    for message in read_messages(folder, {_TRUTH.rpartition("/")[2]}):
        reward = decode(message, Reward, folder)
        if first <= stamp_to_ns(reward.header.stamp) <= last:
            known, success = True, success or reward.value > 0
    return success if known else None


@dataclass(frozen=True)
class RunSummary:
    """A run's episodes in order, and the bags that could not be read, with the reason."""

    episodes: tuple[EpisodeSummary, ...]
    unreadable: tuple[str, ...] = ()

    def of(self, *phases: Phase) -> list[EpisodeSummary]:
        return [episode for episode in self.episodes if episode.phase in phases]


def summarise_run(
    run_dir: Path, each: Callable[[EpisodeSummary, Episode], None] | None = None
) -> RunSummary:
    """Reads every bag of a run.

    Args:
        run_dir: the run's folder.
        each: shown every episode while it is in memory.

    Raises:
        UserError: the folder is not a run.
    """
    check_run(run_dir)
    episodes, unreadable = [], []
    folders = [folder for kind in FOLDERS for folder in episode_folders(run_dir, kind)]
    for folder in track(folders, "reading episodes"):
        try:
            episode = read_episode(folder)
            episodes.append(summarise(folder, episode))
            if each is not None:
                each(episodes[-1], episode)
        except UserError as error:
            if is_finished(folder):  # else: under way, before its first step
                unreadable.append(str(error))
    return RunSummary(tuple(episodes), tuple(unreadable))


def success_rate(episodes: Sequence[EpisodeSummary]) -> float | None:
    """Share of episodes that the run's judge saw succeed; None of no episode."""
    return sum(episode.success for episode in episodes) / len(episodes) if episodes else None


def true_success_rate(episodes: Sequence[EpisodeSummary]) -> float | None:
    """Share of episodes that succeeded; None of no episode."""
    return sum(episode.true_success for episode in episodes) / len(episodes) if episodes else None


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
