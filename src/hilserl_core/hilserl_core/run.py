"""The layout of a run on disk, and its configuration.

runs/NAME/config.yaml            every parameter of the run, as resolved
runs/NAME/episodes/000042/       one bag an episode: RECORD, TRAIN and RUN
runs/NAME/evaluation/000007/     the same for EVALUATE
runs/NAME/checkpoints/           the learner's state
runs/NAME/encoder/               the newest encoder, with the features of the run's frames
runs/NAME/history.jsonl          one line an episode
runs/NAME/learner.jsonl          one line a second: how learning goes
runs/NAME/evaluations.jsonl      one line an evaluation
runs/NAME/labels.jsonl           what frames show, one line a label
runs/NAME/tensorboard/           curves, made from these logs
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hilserl_core.errors import UserError
from hilserl_core.step import Phase

ALGORITHMS = ("rlpd", "hg_dagger", "bc")
"""How a run learns: by reinforcement, by cloning every correction as it comes, by cloning once."""

EPISODE_DIGITS = 6
WINDOW = 20
"""Episodes that a running figure is taken over, as HIL-SERL plots them."""


def _differences(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """Names the settings in which two configurations differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}, key=str):
            yield from _differences(old.get(key), new.get(key), f"{prefix}{key}.")
    elif old != new:
        yield f"{prefix.rstrip('.')} was {old!r}, now {new!r}"


@dataclass(frozen=True)
class RunDirectory:
    """A run's folder."""

    path: Path

    @classmethod
    def create_or_resume(cls, path: Path, config: Mapping[str, Any]) -> RunDirectory:
        """Makes the folder and saves ``config``, or checks that it holds the same.

        Raises:
            UserError: the folder holds another configuration, or cannot be written.
        """
        run = cls(path)
        plain = yaml.safe_load(yaml.safe_dump(_plain(config)))
        if run.config_path.exists():
            old = run.config()
            differences = list(_differences(old, plain))
            if differences:
                shown = "; ".join(differences[:3])
                raise UserError(
                    f"{path} holds a run with another configuration ({shown}): "
                    "choose another run name, or give the same settings to resume it"
                )
            return run
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_aside(run.config_path, yaml.safe_dump(plain, sort_keys=True).encode())
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None
        return run

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def encoder(self) -> Path:
        """Where the newest encoder lies, with the features of the run's frames."""
        return self.path / "encoder"

    def config(self) -> dict[str, Any]:
        """The configuration as saved.

        Raises:
            UserError: there is none, or it is damaged.
        """
        try:
            result = yaml.safe_load(self.config_path.read_text())
        except OSError as error:
            raise UserError(f"{self.path} is not a run: {error.strerror}: config.yaml") from None
        except yaml.YAMLError as error:
            raise UserError(f"{self.config_path} is damaged: {error}") from None
        if not isinstance(result, dict):
            raise UserError(f"{self.config_path} is damaged: it holds no settings")
        return result

    def episodes(self, phase: Phase = Phase.TRAIN) -> Path:
        """Where the episodes of a phase lie."""
        return self.path / ("evaluation" if phase == Phase.EVALUATE else "episodes")

    def next_episode(self, phase: Phase = Phase.TRAIN) -> int:
        """The first episode number of that folder that is free, also of unfinished ones."""
        folder = self.episodes(phase)
        if not folder.is_dir():
            return 0
        names = (entry.name[:EPISODE_DIGITS] for entry in folder.iterdir())
        return max((int(name) + 1 for name in names if name.isdigit()), default=0)

    def append(self, name: str, record: Mapping[str, Any]) -> None:
        """Adds one line to ``name``.jsonl, stamped with the wall-clock time."""
        self.extend(name, [record])

    def extend(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Adds a line for each record to ``name``.jsonl, stamped with the wall-clock time."""
        self.path.mkdir(parents=True, exist_ok=True)
        now = time.time()
        lines = "".join(json.dumps({"wall_time": now, **record}) + "\n" for record in records)
        with open(self.path / f"{name}.jsonl", "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")  # A crash cut the last line off: it must not take this one.
            file.write(lines.encode())

    def read(self, name: str) -> list[dict[str, Any]]:
        """The lines of ``name``.jsonl; a last line cut off by a crash is left out."""
        try:
            lines = (self.path / f"{name}.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        result = []
        for line in lines:
            try:
                result.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return result


def _plain(value: Any) -> Any:
    """Configuration values as YAML has them: no tuples, no paths."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write, which takes its place once the block has ended well.

    A crash leaves the old file or the new one, never a part; an error leaves the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_aside(path: Path, data: bytes) -> None:
    """Replaces a file whole, as ``replacing`` does."""
    with replacing(path) as aside:
        aside.write_bytes(data)
