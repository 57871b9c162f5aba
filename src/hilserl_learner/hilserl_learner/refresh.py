"""The learner's side of the process that trains its encoder."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Protocol

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_learner.encoder_training import Refresh, read_refresh

_RESTARTS = 3
"""Times that a process which died is started anew."""


class Refresher(Protocol):
    """Who trains the encoder."""

    @property
    def progress(self) -> float:
        """Share of the refresh under way that is done."""

    def request(self, updates: int, alone: bool) -> None:
        """Asks for a refresh after ``updates``; ``alone``: nothing else needs the processor."""

    def poll(self) -> Refresh | None:
        """The refresh asked for, once, when it is whole.

        Raises:
            UserError: the training has ended for good.
        """

    def close(self) -> None:
        """Ends the training."""


class EncoderProcess:
    """Runs ``encoder_process`` and reads what it writes.

    Args:
        run: the run's folder.
        settings: what the process is told: run, demonstrations, robot, spec,
            training, niceness, seed.
    """

    def __init__(self, run: Path, settings: dict[str, Any]):
        self._folder = RunDirectory(run).encoder
        files = sorted(self._folder.glob("*.safetensors"))
        self._number = int(files[-1].stem) if files else 0
        self._settings = settings
        self._asked = ""  # the request that has not been answered
        self._restarts = 0
        self.progress = 0.0
        self._start()

    def _start(self) -> None:
        self._answers: queue.Queue[list[str]] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hilserl_learner.encoder_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C goes to the terminal's whole group: the learner ends this process itself.
            start_new_session=True,
        )
        arguments = (self._process.stdout, self._answers)
        threading.Thread(target=_read, args=arguments, daemon=True).start()
        self._send(json.dumps(self._settings))

    @property
    def pid(self) -> int:
        """Of the process under way."""
        return self._process.pid

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # It has ended; poll() says why.

    def request(self, updates: int, alone: bool) -> None:
        self._number += 1
        self.progress = 0.0
        self._asked = f"{self._number} {updates} {int(alone)}"
        self._send(self._asked)

    def poll(self) -> Refresh | None:
        while True:
            try:
                kind, *words = self._answers.get_nowait()
            except queue.Empty:
                return None
            if kind == "progress":
                self.progress = int(words[0]) / int(words[1])
            elif kind == "done":
                return self._take(int(words[0]))
            elif kind == "error":
                raise UserError(f"the encoder's training ended: {' '.join(words)}")
            elif kind == "ended":
                self._restart(self._process.wait())

    def _restart(self, code: int) -> None:
        """Starts the process again after it died; what it had learned lies on disk."""
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise UserError(
                f"the encoder's training ended with code {code}, again and again: see the "
                "learner's log, and free memory if there is little"
            )
        self._start()
        if self._asked:
            self._send(self._asked)

    def _take(self, number: int) -> Refresh:
        self._asked = ""
        refresh = read_refresh(self._folder / f"{number:06d}.safetensors")
        for path in self._folder.glob("*.safetensors"):
            if int(path.stem) < number:
                path.unlink(missing_ok=True)
        return refresh

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _read(output: IO[str], answers: queue.Queue[list[str]]) -> None:
    """Hands on what a process says, line by line, and that it has ended."""
    for line in output:
        answers.put(line.split(maxsplit=2))
    answers.put(["ended"])
