"""The learner's work without its node, for whatever is measured beside it: it never rests.

Updates as ``learner_node`` makes them with its default settings, from two cameras' features,
on batches that are sampled anew, with its threads and its niceness; and in a second process,
with that one's niceness, the same again in place of the encoder that is trained meanwhile.
Prints a line once it is at work, and ends when its standard input does.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench_update import STATE_DIM, filled_buffer, networks
from hilserl_learner import process
from hilserl_learner.parameters import AlgorithmParameters, LearnerParameters

FEATURES = 2 * (2 * 2 * 16 + 12)
"""Numbers that stand for a step's two images."""

WARM_UP = 20
"""Updates before it counts as at work."""


def work(niceness: int) -> None:
    """Updates until standard input is closed."""
    process.prepare(LearnerParameters.threads)
    process.yield_to_others(niceness)
    settings = AlgorithmParameters()
    buffer = filled_buffer(settings, STATE_DIM, FEATURES)
    sac = networks(settings, STATE_DIM + FEATURES)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    updates = 0
    while not ended.is_set():
        sac.update(buffer.sample())
        updates += 1
        if updates == WARM_UP:
            print("at work", flush=True)
    print(updates, flush=True)


@contextmanager
def busy() -> Iterator[None]:
    """A learner and its encoder's process at work."""
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(niceness)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # As the supervisor starts a node: with a share of the processor of its own.
            start_new_session=True,
        )
        for niceness in (LearnerParameters.niceness, LearnerParameters.encoder_niceness)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            if not worker.stdout.readline():
                raise RuntimeError("the learner did not start: see its output above")
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


if __name__ == "__main__":
    work(int(sys.argv[1]))
