"""Settings of the process that learns, for whoever starts it."""

from __future__ import annotations

import ctypes

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
