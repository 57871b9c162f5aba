"""The program ``relabel``: says anew who acted, how an episode ended, and what it earned."""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.step import Episode, Outcome, Phase, Source, Step
from hilserl_replay.recorder import lock_run
from hilserl_replay.rewrite import closed_episode, recover, replace_episode
from hilserl_replay.selection import check_run, numbers, select_folders

LOG = "relabel"
"""``relabel.jsonl`` of a run holds what every episode said before it was relabelled."""

# All that relabelling changes of a step.
_CHANGED = ("source", "reward", "is_last", "is_terminal", "outcome")
# What an outcome makes of an episode's end: reward of the last transition, and terminal.
_ENDS = {
    Outcome.SUCCESS: (1.0, True),
    Outcome.FAILURE: (-1.0, True),
    Outcome.TIMEOUT: (0.0, False),
    Outcome.ABORTED: (0.0, False),
}


@dataclass(frozen=True)
class Labels:
    """What is to be said of an episode; None leaves a thing as it is.

    Attributes:
        source: who acted, on the transitions of ``steps``.
        reward: in [-1, 1], earned by each transition of ``steps``.
        outcome: how the episode ended; ABORTED discards it.
        steps: indices; None: all.
    """

    source: Source | None = None
    reward: float | None = None
    outcome: Outcome | None = None
    steps: tuple[range, ...] | None = None

    def __post_init__(self) -> None:
        if self.source is None and self.reward is None and self.outcome is None:
            raise UserError("nothing to change: give --source, --reward, --outcome or --discard")
        if self.reward is not None and not (math.isfinite(self.reward) and abs(self.reward) <= 1):
            raise UserError(f"--reward {self.reward}: give a number from -1 to 1")
        if self.reward is not None and self.outcome is not None:
            raise UserError(
                "--reward and --outcome: give one of them, an outcome sets the last reward"
            )
        if self.outcome == Outcome.NONE:
            raise UserError("an episode needs an outcome: success, failure, timeout or aborted")
        if self.steps is not None and self.source is None and self.reward is None:
            raise UserError("--steps: an outcome is of the whole episode, leave --steps out")

    def covers(self, index: int) -> bool:
        """Whether the step of that index is meant."""
        return self.steps is None or any(index in part for part in self.steps)


def relabelled(episode: Episode, labels: Labels) -> Episode:
    """An episode with other labels, its rewards, end and outcome consistent with each other.

    An outcome decides the last transition's reward (1, -1 or 0) and whether the end was
    terminal; a reward that is given to the last transition decides the outcome. Observations
    and actions stay as they are.

    Raises:
        UserError: the episode has no step that is meant.
    """
    if labels.steps is not None and not any(labels.covers(s.index) for s in episode.steps[:-1]):
        newest = episode.steps[-1].index
        raise UserError(f"--steps: episode {episode.steps[0].episode} has steps 0 to {newest - 1}")
    steps = [_labelled(step, labels) for step in episode.steps[:-1]]
    last = episode.steps[-1]
    if labels.outcome is not None:
        reward, _ = _ENDS[labels.outcome]
        if steps and not _earned(steps[-1].reward, reward):
            steps[-1] = replace(steps[-1], reward=reward)
        last = _ended(last, labels.outcome)
    elif labels.reward is not None and steps and labels.covers(steps[-1].index):
        outcome = _earned_outcome(labels.reward, episode.outcome)
        if outcome != episode.outcome:
            last = _ended(last, outcome)
    return Episode((*steps, last))


def _labelled(step: Step, labels: Labels) -> Step:
    if not labels.covers(step.index):
        return step
    source = step.source if labels.source is None else labels.source
    reward = step.reward if labels.reward is None else labels.reward
    return replace(step, source=source, reward=reward)


def _earned(reward: float, meant: float) -> bool:
    """Whether a reward says already what it is meant to, if only by its sign."""
    return (reward > 0) - (reward < 0) == meant


def _earned_outcome(reward: float, before: Outcome) -> Outcome:
    """How an episode ended whose last transition earned ``reward``."""
    if reward:
        return Outcome.SUCCESS if reward > 0 else Outcome.FAILURE
    return Outcome.TIMEOUT if before in (Outcome.SUCCESS, Outcome.FAILURE) else before


def _ended(last: Step, outcome: Outcome) -> Step:
    return replace(last, is_last=True, is_terminal=_ENDS[outcome][1], outcome=outcome)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; exits 1 where anything was refused."""
    arguments = _parser().parse_args(args)
    try:
        count = relabel(
            arguments.run,
            _labels(arguments),
            episodes=arguments.episodes,
            phase=Phase.EVALUATE if arguments.evaluation else Phase.TRAIN,
            dry_run=arguments.dry_run,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    verb = "would change" if arguments.dry_run else "changed"
    print(f"{verb} {count} episode{'' if count == 1 else 's'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="relabel",
        description="Says anew who acted in a run's episodes, how they ended, what they earned.",
        epilog="example: hilserl run hilserl_replay relabel runs/first --episodes 3 --outcome "
        "failure\n\nStop the run first. A running learner has read its bags already: it learns "
        "from\nthe new labels once it is started again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="the run's folder, runs/NAME")
    parser.add_argument("--episodes", metavar="3,5-9", help="which episodes [all]")
    parser.add_argument("--steps", metavar="0-20", help="which steps of them [all]")
    parser.add_argument("--evaluation", action="store_true", help="those in evaluation/")
    parser.add_argument("--source", choices=[source.name.lower() for source in Source])
    parser.add_argument("--reward", type=float, help="from -1 to 1; the last one is the outcome")
    outcome = parser.add_mutually_exclusive_group()
    names = [outcome_.name.lower() for outcome_ in _ENDS]
    outcome.add_argument("--outcome", choices=names, help="with the reward and end it implies")
    outcome.add_argument(
        "--discard", action="store_true", help="outcome aborted: nobody learns from it"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    return parser


def _labels(arguments: argparse.Namespace) -> Labels:
    outcome = "aborted" if arguments.discard else arguments.outcome
    steps = arguments.steps
    return Labels(
        source=None if arguments.source is None else Source[arguments.source.upper()],
        reward=arguments.reward,
        outcome=None if outcome is None else Outcome[outcome.upper()],
        steps=None if steps is None else tuple(numbers(steps, "--steps")),
    )


def relabel(
    run_dir: Path,
    labels: Labels,
    *,
    episodes: str | None = None,
    phase: Phase = Phase.TRAIN,
    dry_run: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Relabels a run's episodes on disk, each replaced whole once its new bag was read back.

    What they said before is added to the run's ``relabel.jsonl``.

    Args:
        run_dir: the run's folder.
        labels: what to say of them.
        episodes: which, as ``3,5-9``; None: all.
        phase: one of the folder they lie in.
        dry_run: changes nothing.
        say: told what changes, an episode a line.

    Returns:
        How many episodes changed.

    Raises:
        UserError: the run is being recorded, or an episode cannot be read or written. Every
            episode is read before the first is changed.
    """
    run = check_run(run_dir)
    with lock_run(run_dir):
        if not dry_run:
            recover(run.episodes(phase))
        folders = select_folders(run_dir, episodes, (phase,))
        changes = [(folder, *_before_and_after(folder, labels)) for folder in folders]
        changed = 0
        for folder, before, after in changes:
            differences = list(_differences(before, after))
            if not differences:
                continue
            changed += 1
            say(f"{folder.parent.name}/{folder.name}: {'; '.join(differences)}")
            if not dry_run:
                _write(run, folder, before, after)
    return changed


def _before_and_after(folder: Path, labels: Labels) -> tuple[Episode, Episode]:
    """An episode and what becomes of it, without observations: a run's do not fit in memory."""
    before = closed_episode(folder)
    after = relabelled(before, labels)
    return _light(before), _light(after)


def _light(episode: Episode) -> Episode:
    light = replace(episode.steps[0].observation, images=())
    return Episode(tuple(replace(s, observation=light, features=b"") for s in episode.steps))


def _differences(before: Episode, after: Episode) -> Iterator[str]:
    """In words, what differs between an episode's old labels and its new ones."""
    pairs = list(zip(before.steps[:-1], after.steps[:-1], strict=True))
    sources = [(a.source.name.lower(), b.source.name.lower()) for a, b in pairs]
    for (old, new), group in itertools.groupby(sorted(p for p in sources if p[0] != p[1])):
        yield f"{len(list(group))} steps {old} -> {new}"
    rewards = sorted((a.reward, b.reward) for a, b in pairs if a.reward != b.reward)
    for (was, now), same in itertools.groupby(rewards):
        yield f"reward of {len(list(same))} steps {was:g} -> {now:g}"
    if before.outcome != after.outcome:
        yield f"outcome {before.outcome.name.lower()} -> {after.outcome.name.lower()}"
    elif not before.complete and after.complete:
        yield "closed"
    if before.steps[-1].is_terminal != after.steps[-1].is_terminal:
        yield f"terminal -> {after.steps[-1].is_terminal}".lower()


def _write(run: RunDirectory, folder: Path, before: Episode, after: Episode) -> None:
    """Replaces an episode's bag, having noted what it said."""
    run.append(LOG, {"episode": f"{folder.parent.name}/{folder.name}", **_record(before)})
    labels = {step.index: step for step in after.steps}

    def change(step: Step) -> Step:
        new = labels[step.index]
        return replace(step, **{name: getattr(new, name) for name in _CHANGED})

    replace_episode(folder, change)


def _record(episode: Episode) -> dict[str, object]:
    """All that relabelling can change of an episode: sources and rewards as [value, count]."""

    def runs(values: list[float] | list[int]) -> list[list[float]]:
        return [[value, len(list(group))] for value, group in itertools.groupby(values)]

    last = episode.steps[-1]
    return {
        "sources": runs([int(step.source) for step in episode.steps]),
        "rewards": runs([step.reward for step in episode.steps]),
        "outcome": int(last.outcome),
        "is_last": last.is_last,
        "is_terminal": last.is_terminal,
    }


if __name__ == "__main__":
    main()
