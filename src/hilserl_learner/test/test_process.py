"""What is set for the process that learns."""

import ctypes
import resource
import sys

import pytest
import torch

from hilserl_learner import process


def test_threads_are_torchs():
    process.prepare(1)
    assert torch.get_num_threads() == 1


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc"
)
def test_large_tensors_come_without_page_faults():
    process.prepare(1)

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        tensors = [torch.zeros(3 * 2**18) for _ in range(5)]  # 3 MB each
        del tensors
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()  # memory that the process has not had yet
    assert min(faults() for _ in range(5)) < 100  # of 3840 pages
