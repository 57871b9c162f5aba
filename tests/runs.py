"""Whole runs as a user starts them: every node a process, over real DDS."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hilserl_core.step import Episode
from hilserl_replay.bags import read_episodes

ROOT = Path(__file__).parent.parent


class Run:
    """A run under way, started by ``hilserl up``."""

    def __init__(self, graph: str, path: Path, **arguments: object) -> None:
        settings = [f"{name}:={value}" for name, value in arguments.items()]
        self.path = path
        self._log = open(path.parent / f"{path.name}.txt", "w")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hilserl_bringup.cli", "up", graph, f"run:={path}", *settings],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    def node(self, name: str) -> psutil.Process | None:
        """The process of one of the run's nodes."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if any(name in word for word in child.cmdline()[:3]):
                    return child
            except psutil.NoSuchProcess:
                continue
        return None

    def wait(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the run did not end within {seconds} s:\n{self.output[-3000:]}")

    def until(self, condition: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"not within {seconds} s:\n{self.output[-3000:]}")
            time.sleep(0.05)

    def history(self) -> list[dict]:
        path = self.path / "history.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def episodes(self) -> list[Episode]:
        return list(read_episodes(self.path))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.wait(30)
        self._log.close()
