"""Frames encoded a second: one at a time as the policy node does, and many as a refresh does.

A frame is what all cameras saw at one tick. Beside the default encoder stands a frozen
ResNet-10 on the same frames, at full size as the systems before us run it.

    python bench/bench_encoder.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hilserl_core.step import Observation
from hilserl_description.koch import KOCH
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.sight import encoder_spec
from hilserl_policy.encoders import make_encoder
from reference import ResNet10

OBSERVATION = KOCH.observation_spec("cameras")
BATCH = 256  # frames of a refresh
REFERENCE_BATCH = 32  # the same for ResNet-10, whose maps are large
SECONDS = 4.0  # of each figure, and at least one repeat


def per_second(encode: Callable[[], object], frames: int) -> float:
    """Frames a second, by the median of the repeats; the first warms and does not count."""
    encode()
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        encode()
        seconds.append(time.perf_counter() - start)
    return frames / statistics.median(seconds)


def _row(name: str, ours: float, theirs: float, how: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(ours, 1),
        "unit": "1/s",
        "compared_to": f"a frozen ResNet-10 on both cameras, {theirs:.1f} 1/s; {how}, 1 thread",
        "ratio": round(ours / theirs, 2),
    }


@torch.no_grad()
def rows() -> list[dict[str, Any]]:
    """The default encoder and ResNet-10, one frame of both cameras at a time and in batches."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    spec = encoder_spec(LearnerParameters(), OBSERVATION)
    assert spec is not None
    encoder, backbone = make_encoder(spec), ResNet10()
    images = tuple(
        rng.integers(0, 256, (image.height, image.width, 3)).astype(np.uint8)
        for image in OBSERVATION.images
    )
    observation = Observation(0, np.zeros(OBSERVATION.state_dim, np.float32), images)
    frames = rng.integers(0, 256, (BATCH, *spec.frame_shape)).astype(np.uint8)
    states = np.zeros((BATCH, OBSERVATION.state_dim), np.float32)
    cameras, size = len(images), images[0].shape[:2]
    one = torch.rand(cameras, 3, *size)
    many = torch.rand(REFERENCE_BATCH * cameras, 3, *size)
    return [
        _row(
            "frames_encoded_per_s",
            per_second(lambda: encoder.encode(encoder.prepare(observation)[None], states[:1]), 1),
            per_second(lambda: backbone(one), 1),
            "one frame of both at a time, from camera images",
        ),
        _row(
            "frames_encoded_per_s_batch",
            per_second(lambda: encoder.encode(frames, states), BATCH),
            per_second(lambda: backbone(many), REFERENCE_BATCH),
            f"{BATCH} reduced frames at once",
        ),
    ]


if __name__ == "__main__":
    for each in rows():
        print(each)
