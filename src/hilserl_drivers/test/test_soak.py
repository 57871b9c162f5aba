"""The short form of bench/bus_faults.py."""

import pytest
from rigs import BOTH

from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.soak import Soak


@pytest.mark.parametrize("name", BOTH)
def test_a_bad_wire_and_pulled_plugs(name):
    outcome = Soak(ARMS[name], rate=0.01, seed=7).run(packets=10_000, seconds=120, replugs=4)
    assert outcome.packets >= 10_000
    assert outcome.replugs == 4
    assert min(outcome.faults.values()) > 5
    assert len(outcome.faults) == 7
    assert outcome.escaped == []
    assert outcome.wrong == 0
    assert outcome.beyond == 0
    assert outcome.lost == 0
    assert max(outcome.recoveries) < 0.2
