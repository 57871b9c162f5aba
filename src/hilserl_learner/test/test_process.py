"""Tests of how the learning process yields to what drives the arm."""

import subprocess
import sys

import pytest

PROGRAM = """
import os
from hilserl_learner import process
process.yield_to_others({first})
process.yield_to_others({second})
print(os.nice(0))
"""


@pytest.mark.parametrize(("first", "second", "niceness"), [(0, 0, 0), (5, 5, 5), (7, 3, 7)])
def test_a_process_becomes_nicer_and_never_less_so(first, second, niceness):
    program = PROGRAM.format(first=first, second=second)
    result = subprocess.run(
        ["nice", "-n", "0", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    own = int(subprocess.run(["nice"], capture_output=True, text=True, check=True).stdout)
    assert int(result.stdout) == max(own, niceness)
