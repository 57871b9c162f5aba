"""The drivers on a wire where everything goes wrong, for long: what gets through.

Emulated arms of both families are driven to and fro on a virtual clock, through the
vendors' SDKs, while packets are lost, late, split, corrupted and under wrong ids, requests
too; and the plug is pulled and put back. A believed position is wrong if its joint was not
within 0.06 rad of there in the last 0.1 s.

    python bench/bus_faults.py --packets 10000000 --replugs 200 --minutes 120
"""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.soak import Outcome, Soak

FOLLOWERS = ("koch_follower", "so101_follower")
RECOVERY_GOAL = 0.2  # s


def main() -> int:
    """Returns 1 where something got through that may not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packets", type=int, default=300_000, help="of each arm")
    parser.add_argument("--replugs", type=int, default=20, help="of each arm")
    parser.add_argument("--rate", type=float, default=0.01, help="of each kind of fault")
    parser.add_argument("--minutes", type=float, default=10.0, help="limit of it all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    table = Table("arm", "what", "figure", title="a bad wire", title_justify="left")
    bad = False
    for name in FOLLOWERS:
        began = time.monotonic()
        outcome = Soak(ARMS[name], options.rate, options.seed).run(
            options.packets, 60 * options.minutes / len(FOLLOWERS), options.replugs
        )
        for what, figure in rows(outcome, time.monotonic() - began):
            table.add_row(name, what, figure)
        wrong = failed(outcome, options.packets, options.replugs)
        for what in wrong:
            table.add_row(name, "FAILED", what)
        table.add_section()
        bad = bad or bool(wrong)
    Console(width=None if sys.stdout.isatty() else 110, highlight=False).print(table)
    return int(bad)


def failed(outcome: Outcome, packets: int, replugs: int) -> list[str]:
    """What happened that may not, or did not happen that should have."""
    slowest = max(outcome.recoveries, default=0.0)
    judged = {
        "a wrong position was believed": outcome.wrong > 0,
        "a setpoint was beyond a limit": outcome.beyond > 0,
        "an exception escaped": bool(outcome.escaped),
        f"a recovery took {RECOVERY_GOAL} s or more": slowest >= RECOVERY_GOAL,
        # Of a servo that was told something else past the checksum no driver can know.
        "the arm was lost without a misheard request": outcome.lost > outcome.misheard,
        "the time was up before all packets and replugs": outcome.packets < packets
        or outcome.replugs < replugs,
    }
    return [what for what, happened in judged.items() if happened]


def rows(outcome: Outcome, seconds: float) -> list[tuple[str, str]]:
    """An outcome, for a person."""
    recoveries = outcome.recoveries
    return [
        ("packets", f"{outcome.packets:,} in {seconds:.0f} s"),
        ("faults", ", ".join(f"{kind} {n:,}" for kind, n in sorted(outcome.faults.items()))),
        ("positions believed", f"{outcome.readings:,}"),
        ("of them wrong", f"{outcome.wrong} (the worst was {outcome.worst:.3f} rad off)"),
        ("setpoints beyond a limit", str(outcome.beyond)),
        ("exceptions that escaped", ", ".join(outcome.escaped[:3]) or "0"),
        ("recovery after the last fault", f"{max(recoveries, default=0.0):.3f} s at worst"),
        ("plug pulled and put back", str(outcome.replugs)),
        ("requests misheard past the checksum", str(outcome.misheard)),
        ("servos set wrong by those, and repaired", str(outcome.lost)),
    ]


if __name__ == "__main__":
    sys.exit(main())
