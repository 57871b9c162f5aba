"""A run's folder, written aside and put in place once it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hilserl_core.episode_loop import EpisodeLoop
from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.step import Step
from hilserl_replay.bags import EpisodeWriter, episode_folder


class RunWriter:
    """Writes episodes into a new run; a context, which leaves either the whole run or nothing.

    Args:
        output: the run's folder, which must not exist.
        config: goes into its ``config.yaml``.

    Raises:
        UserError: the folder exists, or cannot be written.
    """

    def __init__(self, output: Path, config: Mapping[str, Any]) -> None:
        self.output = output
        if output.exists():
            raise UserError(f"{output}: exists already: give another --output, or remove it")
        self._aside = output.with_name(f".{output.name}.{os.getpid()}.partial")
        self._run = RunDirectory(self._aside)
        self._config = config
        self._writer: EpisodeWriter | None = None

    def __enter__(self) -> RunWriter:
        RunDirectory.create_or_resume(self._aside, self._config)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._aside.rename(self.output)
        except OSError as problem:
            raise self._unwritable(problem) from None
        finally:
            if self._writer is not None:
                self._writer.abandon()
            shutil.rmtree(self._aside, ignore_errors=True)
        if isinstance(error, OSError):
            raise self._unwritable(error) from None

    def write(self, step: Step) -> None:
        """Writes a step; the first of an episode opens its bag."""
        if self._writer is None:
            folder = episode_folder(self._aside, step.phase, step.episode)
            self._writer = EpisodeWriter(folder)
        self._writer.write_step(step)

    def end(self, keep: bool, loop: EpisodeLoop) -> None:
        """Closes the episode's bag, or removes it; what is kept is noted as a run notes it."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if not keep:
            writer.abandon()
            shutil.rmtree(writer.folder)
            return
        writer.close()
        rate = float(self._config["contract"]["terms"]["control_rate"])
        record = {
            "phase": int(loop.header.phase),
            "episode": loop.header.episode,
            "outcome": int(loop.outcome),
            "steps": loop.steps,
            "human_steps": loop.human_steps,
            "duration": loop.steps / rate,
            "wall": loop.steps / rate,
            "policy_version": 0,
        }
        self._run.append("history", record)

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self.output}: cannot be written: {error.strerror or error}: make room")
