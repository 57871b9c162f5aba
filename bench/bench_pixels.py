"""Times the learner's update from cameras, beside the reference's and beside its products.

Ours samples a batch from a buffer of features and makes one full update, with the settings
that a run has by default; the reference's, ``reference.py``, does so as the systems before
us. Each side runs in a process of its own, once with the allocator that it comes with and
once with malloc told to keep its memory: page faults are the main cost of image batches.
Ours is measured before and after the reference, so that what else runs weighs on both.

    python bench/bench_pixels.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from bench_update import compare, filled_buffer, full_update, networks, products_of
from hilserl_description.arm_model import action_spec
from hilserl_description.koch import KOCH
from hilserl_learner import process
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.sight import encoder_spec
from reference import Reference

TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "2000000000",
}
CAPACITY = 500  # transitions in the reference's storage: 0.4 GB
OURS, REFERENCE = "ours", "reference"
REPEATS = {OURS: 300, REFERENCE: 5}
LIMIT = {OURS: 20.0, REFERENCE: 45.0}  # s, of the repeats of one process
SUBPROCESS_LIMIT = 300.0  # s
OBSERVATION, ACTION = KOCH.observation_spec("cameras"), action_spec()


def features() -> int:
    """Of both cameras, by the default encoder."""
    spec = encoder_spec(LearnerParameters(), OBSERVATION)
    assert spec is not None
    return spec.feature_dim


def our_update() -> Callable[[], object]:
    """What the learner does for one update of everything, sampling included."""
    settings, inputs = LearnerParameters(), features()
    buffer = filled_buffer(settings, OBSERVATION.state_dim, inputs)
    sac = networks(settings, OBSERVATION.state_dim + inputs)
    return lambda: sac.update(buffer.sample())


def reference_update() -> Callable[[], object]:
    """The reference's, with as many critics and as large a batch."""
    settings = LearnerParameters()
    return Reference(
        OBSERVATION.state_dim, ACTION.dim, settings.critics, settings.batch_size, CAPACITY
    ).update


def seconds_of(side: str, tuned: bool) -> list[float]:
    """Seconds of each repeat, in this process; the first one warms it and is left out.

    Ours computes with the learner's threads, the reference with all that torch takes.
    """
    if side == OURS and tuned:
        torch.set_num_threads(LearnerParameters.threads)
    elif side == OURS:
        process.prepare(LearnerParameters.threads)
    update = our_update() if side == OURS else reference_update()
    update()
    result: list[float] = []
    end = time.perf_counter() + LIMIT[side]
    while len(result) < REPEATS[side] and (len(result) < 2 or time.perf_counter() < end):
        start = time.perf_counter()
        update()
        result.append(time.perf_counter() - start)
    return result


def run_side(side: str, tuned: bool) -> list[float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--side", side, *(["--tuned"] if tuned else [])]
    environment = {**os.environ, **(TUNED if tuned else {})}
    output = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SUBPROCESS_LIMIT,
        check=True,
    ).stdout
    seconds: list[float] = json.loads(output)
    return seconds


def against_reference(tuned: bool) -> dict[str, Any]:
    """How many of our updates one of the reference's takes."""
    before = run_side(OURS, tuned)
    theirs = statistics.median(run_side(REFERENCE, tuned))
    ours = statistics.median(before + run_side(OURS, tuned))
    allocator = "malloc tuned for both" if tuned else "each with its own allocator"
    return {
        "name": "update_pixels_2_vs_reference" + ("_tuned" if tuned else ""),
        "value": round(theirs / ours, 1),
        "unit": "times",
        "compared_to": f"ResNet-10 in every update, {1e3 * theirs:.0f} ms; ours "
        f"{1e3 * ours:.2f} ms with sampling, {allocator}",
        "ratio": round(theirs / ours, 1),
    }


def against_products(critics: int, repeats: int = 200) -> dict[str, Any]:
    """A full update against its matrix products alone."""
    process.prepare(LearnerParameters.threads)
    settings = LearnerParameters(critics=critics)
    with torch.no_grad():
        update = full_update(settings, OBSERVATION.state_dim, features())
        mine, products = compare(update, products_of(update), repeats)
    plural = "" if settings.threads == 1 else "s"
    return {
        "name": f"update_pixels_{critics}_vs_matmul",
        "value": round(mine / products, 3),
        "unit": "times",
        "compared_to": f"its matrix products alone, {1e3 * products:.2f} ms; ours "
        f"{1e3 * mine:.2f} ms, {settings.threads} thread{plural}",
        "ratio": round(mine / products, 3),
    }


def rows() -> list[dict[str, Any]]:
    """Against the reference with either allocator, and against the products."""
    result = [against_products(critics) for critics in (2, 10)]
    return [*result, against_reference(tuned=False), against_reference(tuned=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=(OURS, REFERENCE), help=argparse.SUPPRESS)
    parser.add_argument("--tuned", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(seconds_of(options.side, options.tuned)))
        return
    for each in rows():
        print(f"{each['name']:34} {each['value']:8.2f} {each['unit']}, to {each['compared_to']}")


if __name__ == "__main__":
    main()
