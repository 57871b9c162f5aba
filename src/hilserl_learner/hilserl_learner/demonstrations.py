"""Episodes in one file, for training without ROS: plain arrays, compressed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step

FILE = "demonstrations.npz"


def save(path: Path, episodes: Sequence[Episode], settings: str) -> None:
    """Writes episodes without images; a crash leaves the old file or the new one.

    Args:
        settings: what they were made in, to be compared when they are read.

    Raises:
        UserError: the file cannot be written.
    """
    steps = [step for episode in episodes for step in episode.steps]
    width = max((step.action.size for step in steps), default=0)
    actions = [step.action if step.action.size else np.zeros(width) for step in steps]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        lengths=np.array([len(episode.steps) for episode in episodes]),
        states=np.array([step.observation.state for step in steps], np.float32),
        actions=np.array(actions, np.float32),
        rewards=np.array([step.reward for step in steps], np.float32),
        sources=np.array([step.source for step in steps], np.uint8),
        terminal=np.array([step.is_terminal for step in steps]),
        outcomes=np.array([step.outcome for step in steps], np.uint8),
        settings=np.array(settings),
        spec=np.array(steps[0].spec if steps else ""),
    )
    try:
        write_aside(path, buffer.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def load(path: Path, spec: str, settings: str) -> list[Episode]:
    """Reads what ``save`` wrote.

    Args:
        spec: hash of this run's observation and action specs.
        settings: of this run.

    Raises:
        UserError: the file is missing or damaged, or was made otherwise.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        made_in, made_for = str(arrays["settings"]), str(arrays["spec"])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, BadZipFile, EOFError):
        raise UserError(f"{path} is damaged: record the demonstrations again") from None
    if made_for != spec or made_in != settings:
        raise UserError(
            f"{path} was made in another environment ({made_in}; this run: {settings}): give the "
            "same environment and settings, or record new demonstrations"
        )
    episodes, start = [], 0
    for length in arrays["lengths"].tolist():
        episodes.append(_episode(arrays, start, length, spec))
        start += length
    return episodes


def _episode(arrays: dict[str, np.ndarray], start: int, length: int, spec: str) -> Episode:
    return Episode(
        tuple(
            Step(
                Observation(index, arrays["states"][at]),
                action=arrays["actions"][at] if index < length - 1 else np.zeros(0, np.float32),
                source=Source(int(arrays["sources"][at])),
                reward=float(arrays["rewards"][at]),
                is_first=index == 0,
                is_last=index == length - 1,
                is_terminal=bool(arrays["terminal"][at]),
                outcome=Outcome(int(arrays["outcomes"][at])),
                phase=Phase.RECORD,
                index=index,
                spec=spec,
            )
            for index, at in enumerate(range(start, start + length))
        )
    )
