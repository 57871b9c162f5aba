"""Keeps a set of programs going: restarts those that crash, stops all at the end.

No process library does this part better in less: honcho ends everything with the first
program that ends, and circus and supervisor are daemons with sockets and configuration
of their own. asyncio has processes, streams and signals; what is left is the policy.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hilserl_bringup.process import Child, LogFile

INTERRUPTED = 130


@dataclass(frozen=True)
class Program:
    """One program to keep going.

    Attributes:
        name: in front of its output, and of its log file.
        command, environment: as for a process.
        ends_run: its exit with code 0 ends the run.
        respawn: whether it is started again when it ends otherwise.
        essential: whether the run ends where it is given up.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ends_run: bool = False
    respawn: bool = True
    essential: bool = True


@dataclass(frozen=True)
class Patience:
    """How often and how long, in seconds.

    Attributes:
        restarts: within ``window`` before a program is given up.
        first_delay: before a restart; doubles with each within the window.
        longest_delay: before a restart.
        interrupt: from SIGINT to SIGTERM.
        terminate: from SIGTERM to SIGKILL.
    """

    restarts: int = 5
    window: float = 60.0
    first_delay: float = 0.5
    longest_delay: float = 8.0
    interrupt: float = 10.0
    terminate: float = 3.0


@dataclass(frozen=True)
class Ending:
    """How a run ended: an exit code, and why for a person to read."""

    code: int
    reason: str


Log = Callable[[str, str], None]


class Supervisor:
    """Runs programs until one that ends the run is done, one is given up, or a signal comes.

    Args:
        programs: started in this order.
        logs: folder of the log files.
        log: shows a line of a program, called with (name, line).
        tell: shows what the supervisor itself does.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        logs: Path,
        log: Log,
        tell: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._programs = programs
        self._logs = logs
        self._log = log
        self._tell = tell
        self._patience = patience or Patience()
        self._children: dict[str, Child] = {}
        self._ending: asyncio.Future[Ending] | None = None
        self._stopping = False

    async def run(self) -> Ending:
        """Starts the programs, waits for the end, and stops them all."""
        loop = asyncio.get_running_loop()
        self._ending = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt, number)
        tasks = [asyncio.create_task(self._keep(program)) for program in self._programs]
        try:
            ending = await self._ending
            if ending.code:
                self._tell(f"stopping: {ending.reason}")
            await self._stop(tasks)
            return ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._signal_all(signal.SIGKILL)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _interrupt(self, number: int) -> None:
        """The first signal stops the programs in order, the second at once."""
        if self._stopping:
            self._signal_all(signal.SIGKILL)
        self._end(Ending(INTERRUPTED, f"{signal.Signals(number).name} received"))

    def _end(self, ending: Ending) -> None:
        if self._ending is not None and not self._ending.done():
            self._stopping = True
            self._ending.set_result(ending)

    async def _keep(self, program: Program) -> None:
        """Starts one program, and again as long as it crashes and there is patience."""
        file = LogFile(self._logs / f"{program.name}.log")
        ends: deque[float] = deque()

        def line(text: str) -> None:
            file.write(text)
            self._log(program.name, text)

        try:
            while not self._stopping:
                ending = await self._once(program, line, ends)
                if ending is not None and (program.essential or not ending.code):
                    self._end(ending)
                    return
                if ending is not None:
                    self._tell(f"{ending.reason}; the run goes on without it")
                    return
        except Exception as error:
            self._end(Ending(1, f"{program.name}: {type(error).__name__}: {error}"))
        finally:
            file.close()

    async def _once(
        self, program: Program, line: Callable[[str], None], ends: deque[float]
    ) -> Ending | None:
        """One life of a program, and the wait before the next; the ending where it was the last."""
        try:
            child = await Child.start(program.command, program.environment)
        except OSError as error:
            return Ending(1, f"{program.name} cannot be started: {error}")
        self._children[program.name] = child
        if self._stopping:
            child.signal(signal.SIGINT)
        code = await child.finish(line)
        if self._stopping:
            return None
        how = describe_exit(code)
        if program.ends_run and code == 0:
            return Ending(0, f"{program.name} is done")
        if code == 1 and child.last_line.startswith("error: "):
            # A mistake of the user or of the world, said in one line: it would come again.
            return Ending(1, f"{program.name}: {child.last_line.removeprefix('error: ')}")
        if not program.respawn:
            return Ending(1, f"{program.name} {how}")
        delay = self._delay(ends)
        if delay is None:
            return Ending(1, f"{program.name} {how}, again and again: given up")
        self._tell(f"{program.name} {how}, starting it again in {delay:g} s")
        await asyncio.sleep(delay)
        return None

    def _delay(self, ends: deque[float]) -> float | None:
        """Seconds before the next restart, or None where patience is at its end."""
        now = time.monotonic()
        while ends and now - ends[0] > self._patience.window:
            ends.popleft()
        if len(ends) >= self._patience.restarts:
            return None
        ends.append(now)
        return min(
            self._patience.first_delay * 2.0 ** (len(ends) - 1),
            self._patience.longest_delay,
        )

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Asks, then tells, then kills, until every program has ended."""
        for number, wait in (
            (signal.SIGINT, self._patience.interrupt),
            (signal.SIGTERM, self._patience.terminate),
            (signal.SIGKILL, self._patience.terminate),
        ):
            alive = self._running()
            if not alive:
                break
            if number != signal.SIGINT:
                self._tell(f"{signal.Signals(number).name} to {', '.join(alive)}")
            self._signal_all(number)
            deadline = time.monotonic() + wait
            while self._running() and time.monotonic() < deadline:
                await asyncio.wait(tasks, timeout=0.05)

    def _running(self) -> list[str]:
        return [name for name, child in self._children.items() if child.running]

    def _signal_all(self, number: int) -> None:
        for child in self._children.values():
            if child.running:
                child.signal(number)


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
