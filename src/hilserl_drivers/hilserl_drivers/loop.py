"""The thread that owns a driver: it cycles at a rate, and does what others ask in between."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from hilserl_drivers.driver import Driver, Sample

T = TypeVar("T")

REMEMBERED = 1000
"""Cycles of which the timing is told."""


@dataclass(frozen=True)
class Timing:
    """Of the last cycles.

    Attributes:
        rate: Hz, of cycles.
        jitter: s, standard deviation of the time between them.
        period: s, the time between two, 99th percentile.
        cycle: s, a cycle's own time, 99th percentile.
        worst: s, the longest time between two.
    """

    rate: float
    jitter: float
    period: float
    cycle: float
    worst: float


class DriverLoop:
    """Runs a driver.

    Args:
        driver: nobody else may call it from then on, but for its mailboxes.
        rate: cycles a second.
        on_sample: called on the loop's thread with what each cycle measured.
        on_failure: called on the loop's thread with what is a mistake in this program.
    """

    def __init__(
        self,
        driver: Driver,
        rate: float,
        on_sample: Callable[[Sample], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._driver, self._period = driver, 1.0 / rate
        self._on_sample, self._on_failure = on_sample, on_failure
        self._requests: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = (
            queue.SimpleQueue()
        )
        self._ended = threading.Event()
        self._times: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._thread.start()

    def do(self, action: Callable[[], T]) -> Future[T]:
        """Has the loop's thread call ``action`` before its next cycle."""
        future: Future[T] = Future()
        self._requests.put((action, future))
        return future

    def timing(self) -> Timing:
        """How regular the last cycles were."""
        times = np.array(list(self._times))
        if len(times) < 3:
            return Timing(0.0, 0.0, 0.0, 0.0, 0.0)
        between = np.diff(times[:, 0])
        return Timing(
            rate=float(1.0 / between.mean()),
            jitter=float(between.std()),
            period=float(np.percentile(between, 99)),
            cycle=float(np.percentile(times[:, 1], 99)),
            worst=float(between.max()),
        )

    def end(self, last: Callable[[], None]) -> None:
        """Ends the thread; what it does last is ``last``."""
        self._ended.set()
        self._thread.join()
        while not self._requests.empty():
            self._requests.get()[1].cancel()
        last()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            self._answer()
            began = time.monotonic()
            try:
                sample = self._driver.cycle()
                if sample is not None:
                    self._on_sample(sample)
            except Exception as error:
                # A thread that died would leave the arm to itself, and under torque.
                self._driver.stop(f"the driver failed ({error!r}): this is a mistake in it")
                self._on_failure(error)
            now = time.monotonic()
            self._times.append((began, now - began))
            due += self._period
            if now - due > self._period:
                due = now  # It is far behind: the cycles that were missed are not made up for.
            self._ended.wait(due - now)

    def _answer(self) -> None:
        """Does what was asked."""
        while not self._requests.empty():
            action, future = self._requests.get()
            try:
                future.set_result(action())
            except Exception as error:
                future.set_exception(error)
