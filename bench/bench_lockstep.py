"""Control steps a second of the whole graph in lockstep simulation, while learning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# A domain of its own: a run under way on this machine must not be disturbed, nor disturb.
DOMAIN = "91"
GOAL = 50.0
LIMIT_SECONDS = 600.0


def rows() -> list[dict[str, Any]]:
    """A short run of koch_train: few demonstrations, a minute of training."""
    with tempfile.TemporaryDirectory(prefix="hilserl-bench-") as folder:
        run = Path(folder, "run")
        words = ["demos:=6", "train_minutes:=1.0", "evaluation_episodes:=2", "panel:=false"]
        subprocess.run(
            [
                sys.executable,
                "-m",
                "hilserl_bringup.cli",
                "up",
                "koch_train",
                f"run:={run}",
                *words,
            ],
            env={**os.environ, "ROS_DOMAIN_ID": DOMAIN},
            stdout=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=True,
        )
        training = json.loads((run / "report.json").read_text())["training"]
    value = float(training["steps_per_s"])
    return [
        {
            "name": "lockstep_steps_per_s",
            "value": value,
            "unit": "1/s",
            "compared_to": f"the goal of {GOAL:.0f} while learning, here at "
            f"{training['updates_per_s']:.0f} updates/s",
            "ratio": value / GOAL,
        }
    ]
