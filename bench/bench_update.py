"""Times one full update of the learner beside its matrix products alone.

The twin makes the products that the update makes, on tensors of the same shapes and
layouts, into memory that is already there. Some updates follow one another, as a learner makes
them, then as many twins, and so on in turns, so that what else runs on the machine weighs on
both, and neither finds its caches full of the other's numbers.

    python bench/bench_update.py --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hilserl_learner import process
from hilserl_learner.parameters import AlgorithmParameters, LearnerParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture
from hilserl_replay.buffer import ReplayBuffer

STATE_DIM, ARM_DIM = 36, 3
IN_A_ROW, WARMING = 20, 3  # of either in its turn; the first of these fill caches, untimed
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class _Products(TorchDispatchMode):
    """Notes the operands of every matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.operands: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            self.operands.append(args[-2:])
        return func(*args, **(kwargs or {}))


def _like(tensor: Tensor) -> Tensor:
    """Random numbers in the layout of ``tensor``, expanded and transposed as it is."""
    storage = torch.randn(tensor.untyped_storage().nbytes() // 4)
    return storage.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def products_of(update: Callable[[], object]) -> Callable[[], None]:
    """A function that makes the matrix products of ``update``, and nothing else."""
    with _Products() as seen:
        update()
    calls = []
    for left, right in seen.operands:
        a, b = _like(left), _like(right)
        calls.append((torch.bmm if a.dim() == 3 else torch.mm, a, b, a @ b))

    def twin() -> None:
        for product, a, b, out in calls:
            product(a, b, out=out)

    return twin


def filled_buffer(settings: AlgorithmParameters, state_dim: int, feature_dim: int) -> ReplayBuffer:
    """Episodes of random numbers, of every source."""
    buffer = ReplayBuffer(
        2000,
        state_dim,
        ARM_DIM,
        feature_dim=feature_dim,
        batch_size=settings.batch_size,
        n_step=settings.n_step,
    )
    rng = np.random.default_rng(0)
    for _ in range(15):
        buffer.add_episode(
            rng.normal(size=(101, state_dim)).astype(np.float32),
            rng.uniform(-1, 1, (100, ARM_DIM)).astype(np.float32),
            rng.integers(0, 3, 100),
            np.zeros(100, np.float32),
            rng.integers(0, 3, 100),
            terminal=True,
        )
    held = np.arange(15 * 101)
    buffer.replace_features(held, rng.uniform(-1, 1, (len(held), feature_dim)).astype(np.float16))
    return buffer


def networks(settings: AlgorithmParameters, inputs: int) -> Sac:
    """Actor and critics that read ``inputs`` numbers."""
    return Sac(Architecture(inputs, ARM_DIM, True, settings.hidden, settings.activation), settings)


def full_update(
    settings: AlgorithmParameters, state_dim: int = STATE_DIM, feature_dim: int = 0
) -> Callable[[], object]:
    """One update of critics, actor, temperatures and targets on one batch."""
    sac = networks(settings, state_dim + feature_dim)
    batch = filled_buffer(settings, state_dim, feature_dim).sample()
    return lambda: sac.update(batch)


def compare(
    update: Callable[[], object], twin: Callable[[], None], repeats: int
) -> tuple[float, float]:
    """Median seconds of each, taking turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(-(-repeats // (IN_A_ROW - WARMING))):
        for function, times in zip((update, twin), seconds, strict=True):
            for i in range(IN_A_ROW):
                start = time.perf_counter()
                function()
                if i >= WARMING:
                    times.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def row(critics: int, threads: int, repeats: int) -> dict[str, Any]:
    """A full update against its matrix products, with ``threads`` threads of torch."""
    process.prepare(threads)
    with torch.no_grad():
        update = full_update(AlgorithmParameters(critics=critics, hidden=(256, 256)))
        mine, products = compare(update, products_of(update), repeats)
    many = "" if threads == LearnerParameters.threads else f"_threads_{threads}"
    plural = "" if threads == 1 else "s"
    return {
        "name": f"update_state_{critics}{many}",
        "value": round(1e3 * mine, 3),
        "unit": "ms",
        "compared_to": (
            f"its matrix products alone, {1e3 * products:.1f} ms, {threads} thread{plural}"
        ),
        "ratio": round(mine / products, 3),
    }


def rows(
    repeats: int = 200, threads: Sequence[int] = (LearnerParameters.threads, 2)
) -> list[dict[str, Any]]:
    """Updates with 2 and 10 critics, with the learner's own number of threads and with 2."""
    return [row(critics, count, repeats) for count in threads for critics in (2, 10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", help="of torch", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=200, help="updates timed")
    options = parser.parse_args()
    for each in rows(options.repeats, options.threads):
        print(
            f"{each['name']:26} {each['value']:8.2f} {each['unit']}, ratio {each['ratio']:.2f} "
            f"to {each['compared_to']}"
        )


if __name__ == "__main__":
    main()
