"""Lateness of the control loop by the clock, with the learner busy on the same cores.

A real ``koch_train`` runs in real time from cameras, on demonstrations recorded in lockstep
before. The learner is asked for more updates than it can make, so that it never rests, and
the encoder is refreshed meanwhile, as in every run. The policy node measures how late each
tick of its timer comes against the even grid, and which do not come or find nothing new.

    python bench/bench_loop.py --seconds 600
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from bench_lockstep import DOMAIN
from hilserl_core.qos import RELIABLE

GOAL_MS = 5.0
TRAINING_SECONDS = 60.0
START_SECONDS = 400.0
"""Limit of what comes before and after: demonstrations, the encoder's start, an evaluation."""

UTD = 30.0
"""Updates a step that the learner is asked for: 300 a second, more than two cores make."""

PRETRAIN_UPDATES = 200


class Watch(Node):
    """Hears what the policy node says of its ticks while the policy trains."""

    def __init__(self) -> None:
        super().__init__(f"bench_loop_{os.getpid()}")
        self.values: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.hardware_id == "policy_node" and values.get("phase") == "train":
                self.values = values


def _up(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hilserl_bringup.cli", "up", *words]
    command += ["observation:=cameras", "scene:=hard", "panel:=false"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _train(folder: Path, seconds: float) -> tuple[dict[str, str], Path]:
    """Runs the system; returns the last figures of its training, and the run."""
    demonstrations, run, config = folder / "demonstrations", folder / "run", folder / "config.yaml"
    config.write_text(
        "learner_node:\n  ros__parameters:\n"
        f"    utd_ratio: {UTD}\n    pretrain_updates: {PRETRAIN_UPDATES}\n"
        # No rate of interventions is under 0: nothing is evaluated before time is up.
        "policy_node:\n  ros__parameters:\n    target_intervention: 0.0\n"
    )
    if _up("koch_record", "demos:=6", f"run:={demonstrations}").wait(START_SECONDS):
        raise RuntimeError("recording demonstrations failed")
    rclpy.init()
    watch, executor = Watch(), SingleThreadedExecutor()
    executor.add_node(watch)
    # The encoder's start counts too; the run is stopped when it has trained long enough.
    minutes = f"train_minutes:={(seconds + START_SECONDS) / 60:.2f}"
    training = _up(
        "koch_train",
        "lockstep:=false",
        f"demonstrations:={demonstrations}",
        f"config:={config}",
        f"run:={run}",
        minutes,
        "evaluation_episodes:=1",
    )
    end = time.monotonic() + seconds + START_SECONDS
    try:
        while training.poll() is None and int(watch.values.get("ticks", 0)) < 10 * seconds:
            if time.monotonic() > end:
                raise RuntimeError(f"no {seconds:.0f} s of training in {START_SECONDS:.0f} s more")
            executor.spin_once(timeout_sec=0.5)
    finally:
        training.terminate()
        training.wait(60)
        rclpy.try_shutdown()
    return watch.values, run


def _learning(run: Path) -> tuple[float, int]:
    """Median updates a second while training, and the encoder's refreshes."""
    lines = [json.loads(line) for line in (run / "learner.jsonl").read_text().splitlines()]
    rates = sorted(line["updates_per_s"] for line in lines if line["stage"] == "training")
    refreshes = max((int(line["encoder_refreshes"]) for line in lines), default=0)
    return (rates[len(rates) // 2] if rates else 0.0), refreshes


def rows(seconds: float = TRAINING_SECONDS) -> list[dict[str, Any]]:
    """The 99th percentile of the lateness, and what was missed."""
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    with tempfile.TemporaryDirectory(prefix="hilserl-bench-") as folder:
        values, run = _train(Path(folder), seconds)
        rate, refreshes = _learning(run)
    if not values.get("ticks"):
        raise RuntimeError("the run ended before it trained: see its output above")
    value = float(values["tick lateness p99 (ms)"])
    return [
        {
            "name": "loop_lateness_ms_p99",
            "value": value,
            "unit": "ms",
            "compared_to": f"the goal of {GOAL_MS:.0f} ms; of {values['ticks']} ticks at 10 Hz "
            f"{values['ticks missed']} missed, {values['ticks without new measurements']} without "
            f"new measurements, worst {values['tick lateness max (ms)']} ms, at {rate:.0f} "
            f"updates/s and {refreshes} encoders",
            "ratio": round(value / GOAL_MS, 3),
        }
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of training")
    print(rows(parser.parse_args().seconds))
