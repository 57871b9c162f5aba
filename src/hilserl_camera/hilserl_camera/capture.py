"""The thread that captures: the newest frame wins, and a camera that went may come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hilserl_camera.rate import Rate
from hilserl_camera.source import Clock, Frame, Source
from hilserl_core.errors import UserError
from hilserl_core.stamps import follows

RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Counts:
    """Of frames, since the start.

    Attributes:
        captured: whole ones.
        dropped: captured, and a newer one came before anybody took them.
        damaged: that came and could not be read, or whose stamp was not newer.
        reconnections: times that the source was lost and came back.
    """

    captured: int = 0
    dropped: int = 0
    damaged: int = 0
    reconnections: int = 0


class Capture:
    """Reads a source on a thread of its own.

    A frame is given out once; there is none that is older than the one before.

    Args:
        source: not opened yet; nobody else may use it.
        check: called with (width, height) whenever it was opened; raises UserError where that
            size is not of use.
        retry: s between attempts to open a source that was lost.
        clock: s, as ``time.monotonic``.

    Attributes:
        rate: of the frames that came.

    Raises:
        UserError: the source cannot be opened.
    """

    def __init__(
        self,
        source: Source,
        check: Callable[[int, int], None] = lambda width, height: None,
        retry: float = RETRY_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._source, self._check, self._retry = source, check, retry
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._last_stamp = 0
        self.rate = Rate(clock)
        self._problem = ""
        self._captured = self._dropped = self._damaged = self._reconnections = 0
        self._ended = threading.Event()
        self._open()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> Frame | None:
        """The newest frame that was not taken yet; None where none came within ``timeout`` s."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout)
            frame, self._newest = self._newest, None
            return frame

    @property
    def problem(self) -> str:
        """Why there are no frames; empty while there are."""
        return self._problem

    @property
    def counts(self) -> Counts:
        return Counts(self._captured, self._dropped, self._damaged, self._reconnections)

    def close(self) -> None:
        """Ends the thread and closes the source."""
        self._ended.set()
        self._thread.join(5.0)  # A device that hangs holds its thread, but not the program.

    def _open(self) -> None:
        width, height = self._source.open()
        try:
            self._check(width, height)
        except UserError:
            self._source.close()
            raise

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                frame = self._source.grab()
            except Exception as error:
                # A thread that died would leave a camera that is never heard of again.
                self._lost(str(error) if isinstance(error, UserError) else repr(error))
                continue
            if frame is None or not follows(frame.stamp, self._last_stamp):
                self._damaged += 1
                continue
            self._give(frame)
        self._source.close()

    def _give(self, frame: Frame) -> None:
        self._last_stamp = frame.stamp
        self.rate.tick()
        self._captured += 1
        with self._changed:
            self._dropped += self._newest is not None
            self._newest = frame
            self._changed.notify_all()

    def _lost(self, problem: str) -> None:
        """Tries to open the source again until it is back."""
        self._source.close()
        self.rate.restart()
        self._problem = problem
        while not self._ended.wait(self._retry):
            try:
                self._open()
            except Exception as error:
                self._problem = str(error) if isinstance(error, UserError) else repr(error)
                continue
            self._problem = ""
            self._reconnections += 1
            return
