"""Settings of the process that learns, for whoever starts it."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, in glibc's malloc.h
_MMAP_LIMIT = 32 * 2**20  # bytes; the most that glibc accepts
_KEPT = 2**30  # bytes


def prepare(threads: int) -> None:
    """Sets torch's threads, and keeps freed memory in the process.

    As it comes, malloc gives large tensors back to the kernel as they are freed; with ten
    critics the page faults of getting them anew took a third of an update's time.

    Args:
        threads: that torch computes with.
    """
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _MMAP_LIMIT)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def yield_to_others(niceness: int) -> None:
    """Lowers this process's priority, for good: what drives the arm comes first.

    Where the kernel shares the processor by session first, niceness counts only within one;
    a process that leads a session of its own sets that session's share too.

    Args:
        niceness: 0 to 19; a process that is nicer already stays as it is.
    """
    os.nice(max(0, niceness - os.nice(0)))
    if niceness and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))
