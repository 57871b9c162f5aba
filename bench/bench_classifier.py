"""The reward classifier on lift_cube, from the cameras of the hard scene.

Two runs are recorded as a person records them before training: a half of the episodes are
successes and the others failures shown on purpose (empty lifts, cubes barely raised or dropped, a
hand above the cube), each ended by the operator's word. From the one 200 frames of success and 1000
others are drawn, and a classifier is trained on them; on the other run's episodes, which differ
in floor, clutter, light and camera poses, it is judged on every labelled frame.

    python bench/bench_classifier.py
    python bench/bench_classifier.py --fit runs/A --test runs/B   (labelled runs of one's own)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hilserl_core.labels import Label, append_labels
from hilserl_core.step import Observation
from hilserl_replay.bags import read_episode
from hilserl_reward.classifier import Classifier
from hilserl_reward.evaluation import Judged, judge
from hilserl_reward.frames import LabelledFrames, read_frames
from hilserl_reward.labelling import LabelSettings, label_run
from hilserl_reward.train import fit
from hilserl_reward.training import TrainingSettings

SUCCESSES, OTHERS = 200, 1000  # frames to learn from
EPISODES = 40  # successful ones of each run
DOMAIN = "92"  # of its own: a run under way on this machine must not be disturbed
LIMIT_SECONDS = 1200.0
_GOALS = {"accuracy": 0.98, "false positives": 0.005, "training": 120.0, "judging": 10.0}


@dataclass(frozen=True)
class Figures:
    """What was measured; times in s and ms."""

    judged: Judged
    training: float
    seeing: float
    deciding: float


def record(run: Path, seed: int) -> None:
    """Records and labels a run."""
    words = {
        "run": run,
        "seed": seed,
        "demos": EPISODES,
        "failures": 0.5,
        "region": "whole",
        "observation": "cameras",
        "scene": "hard",
        "reward": "operator",
        "panel": "false",
    }
    subprocess.run(
        [
            *(sys.executable, "-m", "hilserl_bringup.cli", "up", "koch_record"),
            *(f"{name}:={value}" for name, value in words.items()),
        ],
        env={**os.environ, "ROS_DOMAIN_ID": DOMAIN},
        stdout=subprocess.DEVNULL,
        timeout=LIMIT_SECONDS,
        check=True,
    )
    append_labels(run, [label for labels in label_run(run, LabelSettings()) for label in labels])


def draw(frames: LabelledFrames, seed: int) -> LabelledFrames:
    """So many frames of success and others, at random."""
    rng = np.random.default_rng(seed)
    success = frames.label == Label.SUCCESS
    chosen = [
        rng.choice(np.flatnonzero(own), min(count, int(own.sum())), replace=False)
        for own, count in ((success, SUCCESSES), (~success, OTHERS))
    ]
    return frames.part(np.sort(np.concatenate(chosen)))


def measure(learned: Path, asked: Path, settings: TrainingSettings) -> Figures:
    """Trains on the one run, and judges the other."""
    torch.set_num_threads(1)
    frames = draw(read_frames(learned, settings.reduce), settings.seed)
    start = time.monotonic()
    classifier, _ = fit(frames, settings, threads=os.cpu_count() or 1)
    training = time.monotonic() - start
    judged = judge(classifier, read_frames(asked, settings.reduce))
    place = judged.frames.places[0]
    observation = read_episode(place.run / place.episode).steps[place.index].observation
    return Figures(judged, training, *times(classifier, observation))


def times(
    classifier: Classifier, observation: Observation, count: int = 200
) -> tuple[float, float]:
    """ms to see an observation, and ms to judge what was seen; medians, one thread."""
    see, decide = [], []
    frame, state = classifier.encoder.prepare(observation)[None], observation.state[None]
    for _ in range(count):
        start = time.perf_counter()
        with torch.no_grad():
            seen = classifier.encoder.see(classifier.encoder.normalise(torch.from_numpy(frame)))
            between = time.perf_counter()
            classifier.decide(seen, classifier.normalise(torch.from_numpy(state)))
        see.append(between - start)
        decide.append(time.perf_counter() - between)
    return 1e3 * float(np.median(see)), 1e3 * float(np.median(decide))


def rows(learned: Path | None = None, asked: Path | None = None) -> list[dict[str, Any]]:
    """Accuracy, false positives, and times, beside what they should be."""
    with tempfile.TemporaryDirectory(prefix="hilserl-bench-") as folder:
        if learned is None or asked is None:
            learned, asked = Path(folder, "fit"), Path(folder, "test")
            record(learned, 101)
            record(asked, 202)
        figures = measure(learned, asked, TrainingSettings())
    judged = figures.judged
    episodes = len(np.unique(judged.frames.episode))
    told = f"{len(judged.target)} frames of {episodes} unseen episodes"
    return [
        _row("accuracy", judged.accuracy, "", f"at least 0.98, on {told}"),
        _row("false positives", judged.false_positives, "", "below 0.005, of the others of them"),
        _row("recall", judged.recall, "", "of the successes among them"),
        _row("training", figures.training, "s", "below 120 s, 200 success and 1000 other frames"),
        _row("seeing", figures.seeing, "ms", "an observation's features, 1 thread"),
        _row("judging", figures.deciding, "ms", "below 10 ms, beyond the features"),
    ]


def _row(name: str, value: float, unit: str, goal: str) -> dict[str, Any]:
    limit = _GOALS.get(name)
    return {
        "name": f"classifier_{name.replace(' ', '_')}",
        "value": value,
        "unit": unit,
        "compared_to": goal,
        "ratio": value / limit if limit else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=Path, help="a labelled run to learn from")
    parser.add_argument("--test", type=Path, help="a labelled run to be judged on")
    arguments = parser.parse_args()
    for row in rows(arguments.fit, arguments.test):
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}  ({row['compared_to']})")


if __name__ == "__main__":
    main()
