"""Choosing episodes and steps as a person types them: ``3,5-9``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.step import Phase
from hilserl_replay.bags import FOLDERS, episode_folders


def numbers(text: str, option: str) -> list[range]:
    """The ranges that ``3,5-9`` names, both ends included; ``7-`` has no end.

    Raises:
        UserError: it cannot be read.
    """
    result = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        open_ended = dash and not last
        if not first.isdigit() or not (last.isdigit() or open_ended or not dash):
            raise UserError(f"{option} '{text}': give numbers and ranges, as 3,5-9")
        end = 2**32 if open_ended else int(last or first) + 1
        if end <= int(first):
            raise UserError(f"{option} '{text}': {part.strip()} ends before it begins")
        result.append(range(int(first), end))
    return result


def check_run(run_dir: Path) -> RunDirectory:
    """The run of a folder.

    Raises:
        UserError: it is none.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run: give a folder such as runs/NAME")
    run = RunDirectory(run_dir)
    if not run.config_path.exists() and not any(run.episodes(kind).is_dir() for kind in FOLDERS):
        raise UserError(f"{run_dir}: not a run: it holds neither config.yaml nor episodes")
    return run


def select_folders(run_dir: Path, text: str | None, phases: Collection[Phase]) -> list[Path]:
    """The episodes' folders of a run that ``text`` names; None names all.

    Args:
        run_dir: the run's folder.
        text: numbers, as ``numbers`` reads them.
        phases: one of each folder to look in, as in ``FOLDERS``.

    Raises:
        UserError: it is not a run, or has no episode of a number.
    """
    check_run(run_dir)
    folders = [folder for phase in phases for folder in episode_folders(run_dir, phase)]
    if not folders:
        kinds = " or ".join(RunDirectory(run_dir).episodes(phase).name for phase in phases)
        raise UserError(f"{run_dir}: no episode in {kinds}: record some first")
    if text is None:
        return folders
    ranges = numbers(text, "--episodes")
    present = {int(folder.name) for folder in folders}
    for wanted in ranges:
        if not present.intersection(wanted):
            raise UserError(
                f"--episodes '{text}': {run_dir} has no episode {wanted[0]}; its numbers go from "
                f"{min(present)} to {max(present)}"
            )
    return [f for f in folders if any(int(f.name) in wanted for wanted in ranges)]
