"""The replay buffer: a batch beside naive indexing, and the memory that a step takes.

python bench/bench_replay.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from hilserl_core.step import Source
from hilserl_description.arm_model import action_spec
from hilserl_description.koch import KOCH
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.sight import encoder_spec
from hilserl_replay.buffer import Batch, ReplayBuffer

OBSERVATION, ACTION = KOCH.observation_spec("cameras"), action_spec()
EPISODE = 100  # steps
HELD = 20_000  # steps that batches are drawn from
MILLION = 1_000_000
CAMERAS, SIZE = 2, 128
REFERENCE_BYTES = 2 * CAMERAS * 3 * SIZE * SIZE * 4
"""Of the reference's step: images of two cameras as float32, of this observation and the next."""


def make_buffer(capacity: int) -> ReplayBuffer:
    """The learner's, for two cameras' features."""
    settings = LearnerParameters()
    spec = encoder_spec(settings, OBSERVATION)
    assert spec is not None
    return ReplayBuffer(
        capacity,
        OBSERVATION.state_dim,
        ACTION.arm_dim,
        feature_dim=spec.feature_dim,
        batch_size=settings.batch_size,
        n_step=settings.n_step,
        discount=settings.discount,
    )


class Naive:
    """A list of transitions, each with its own tensors, gathered item by item.

    Args:
        buffer: of which to copy what can be sampled; the first number of each state is its own.
        states: numbers of all states.
    """

    def __init__(self, buffer: ReplayBuffer, states: int):
        self.transitions: list[Batch] = []
        self.place: dict[int, int] = {}
        while len(self.place) < states:
            batch = buffer.sample()
            for row, number in enumerate(batch.state[:, 0].int().tolist()):
                if number not in self.place:
                    self.place[number] = len(self.transitions)
                    self.transitions.append(Batch(*(tensor[row].clone() for tensor in batch)))
        self._rng = np.random.default_rng(0)

    def gather(self, places: NDArray[np.int64]) -> Batch:
        items = [self.transitions[place] for place in places]
        return Batch(*(torch.stack(values) for values in zip(*items, strict=True)))

    def sample(self, size: int) -> Batch:
        return self.gather(self._rng.integers(len(self.transitions), size=size))


def fill(buffer: ReplayBuffer, steps: int, features: int) -> None:
    """Episodes whose states carry their number, with a source each in turn."""
    rng = np.random.default_rng(0)
    state = rng.normal(size=OBSERVATION.state_dim).astype(np.float32)
    seen = rng.uniform(-1, 1, (257, features)).astype(np.float16)
    action = rng.uniform(-1, 1, ACTION.arm_dim).astype(np.float32)
    for number in range(steps):
        state[0] = number
        if number % EPISODE == EPISODE - 1:
            buffer.end(state, True, seen[number % 257])
        else:
            source = Source(number // EPISODE % len(Source))
            buffer.append(state, action, number % 3, 0.0, source, seen[number % 257])


def _median_of(functions: tuple[Callable[[], object], ...], repeats: int) -> list[float]:
    """Median seconds of each, taking turns."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, times in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def sample_row() -> dict[str, Any]:
    """A batch of ours against the same gathered item by item."""
    torch.set_num_threads(LearnerParameters.threads)
    buffer = make_buffer(HELD)
    features = buffer.features_of(np.zeros(1, np.int64)).shape[1]
    fill(buffer, HELD, features)
    naive = Naive(buffer, HELD - HELD // EPISODE)
    batch = buffer.sample()
    same = naive.gather(np.array([naive.place[int(number)] for number in batch.state[:, 0]]))
    for name, ours, theirs in zip(Batch._fields, batch, same, strict=True):
        if ours.dtype != theirs.dtype or not torch.equal(ours, theirs):
            raise RuntimeError(f"naive indexing gives another {name}")
    size = buffer.batch_size
    ours_s, naive_s = _median_of((buffer.sample, lambda: naive.sample(size)), 300)
    return {
        "name": "replay_sample_vs_naive",
        "value": round(naive_s / ours_s, 2),
        "unit": "times",
        "compared_to": f"indexing a list of transitions, {1e3 * naive_s:.2f} ms; ours "
        f"{1e3 * ours_s:.3f} ms, the same tensors with exact shares by source",
        "ratio": round(naive_s / ours_s, 2),
    }


def memory_row() -> dict[str, Any]:
    """What the process grows by for each of a million steps."""
    process = psutil.Process()
    before = process.memory_info().rss
    buffer = make_buffer(MILLION)
    features = buffer.features_of(np.zeros(1, np.int64)).shape[1]
    fill(buffer, MILLION, features)
    per_step = (process.memory_info().rss - before) / MILLION
    return {
        "name": "memory_per_step_bytes",
        "value": round(per_step, 1),
        "unit": "B",
        "compared_to": f"two cameras' images as float32 with the next ones, {REFERENCE_BYTES} B; "
        f"{MILLION} steps of features held here in {buffer.bytes / 1e9:.2f} GB",
        "ratio": round(per_step / REFERENCE_BYTES, 6),
    }


def rows() -> list[dict[str, Any]]:
    """Memory first: what the other frees would hide growth."""
    return [memory_row(), sample_row()]


if __name__ == "__main__":
    for each in rows():
        print(each)
