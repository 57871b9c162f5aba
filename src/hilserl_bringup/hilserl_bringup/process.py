"""One child process: its output line by line, and its certain end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import datetime
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LONGEST_LINE = 1 << 20
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent(parent: int) -> Callable[[], None]:
    """Makes a child that the kernel kills when the process that started it dies."""

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    return prepare


class Child:
    """A program under way.

    It leads a process group of its own, so that a Ctrl-C in the terminal reaches it only
    through its owner, and what it started ends with it.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        output: asyncio.StreamReader,
        pipe: asyncio.ReadTransport,
    ) -> None:
        self._process = process
        self._output = output
        self._pipe = pipe
        self.last_line = ""

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Starts ``command``; its standard output and error come as one stream.

        Raises:
            OSError: it cannot be started.
        """
        # A pipe of our own: asyncio's would make the wait for the process's end also wait
        # for every grandchild that holds it open.
        read_end, write_end = os.pipe()
        output = asyncio.StreamReader(limit=_LONGEST_LINE)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(read_end, "rb")
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
            )
        except BaseException:
            pipe.close()
            raise
        finally:
            os.close(write_end)
        return cls(process, output, pipe)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def finish(self, line: Callable[[str], None]) -> int:
        """Passes every line of output on until the process ends; returns its exit code.

        The code is negative where a signal ended it. What it started and left behind is
        killed.
        """
        reading = asyncio.ensure_future(self._read(line))
        try:
            code = await self._process.wait()
            self.signal(signal.SIGKILL)
            # A grandchild may hold the pipe open: do not wait for ever.
            await asyncio.wait([reading], timeout=1.0)
            return code
        finally:
            reading.cancel()
            self._pipe.close()

    async def _read(self, line: Callable[[str], None]) -> None:
        while True:
            try:
                data = await self._output.readline()
            except ValueError:  # longer than the limit; it has been dropped
                data = b"(a line too long to show)\n"
            if not data:
                return
            text = data.decode(errors="replace").rstrip("\r\n")
            self.last_line = text or self.last_line
            line(text)

    def signal(self, number: int) -> None:
        """Sends a signal to the process and to all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class LogFile:
    """A node's log in the run's folder: each line with its time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def write(self, line: str) -> None:
        time = datetime.datetime.now().isoformat(sep=" ", timespec="milliseconds")
        self._file.write(f"{time} {line}\n")

    def close(self) -> None:
        self._file.close()
