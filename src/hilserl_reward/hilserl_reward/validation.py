"""How far a classifier may be believed, from frames that it has not learned from.

Episodes, never frames, are kept apart to validate on: neighbouring frames are almost one frame.
Labelled episodes are few, and a threshold that hangs on a fifth of them is a matter of luck. So
they are divided into parts, each is judged by a classifier that has learned from the others, and
all of these judgements together calibrate the one that has learned from everything: its
probabilities (one temperature, Guo et al. 2017, arXiv 1706.04599), and the threshold, which is
put where no more than the stated share of other frames passes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_reward.classifier import ClassifierSpec, softmax
from hilserl_reward.frames import LabelledFrames, counts

_LEAST_THRESHOLD = 0.5
_TEMPERATURES = np.exp(np.linspace(np.log(0.5), np.log(8.0), 57))
_ATTEMPTS = 1000


def divide(frames: LabelledFrames, folds: int, seed: int) -> NDArray[np.int64]:
    """The part, from 0, that each frame belongs to, (n,).

    Whole episodes, of those with each label about as many in every part; every label is in
    two parts at least, so that what is left without one part still holds it.

    Raises:
        UserError: a label is in one episode only.
    """
    rng = np.random.default_rng(seed)
    labels = counts(frames.label)
    own = {label: np.unique(frames.episode[frames.label == label]) for label in labels}
    for label, episodes in own.items():
        if len(episodes) < 2:
            raise UserError(
                f"all frames with label {label.name} are of one episode: a second one is needed "
                "to validate on"
            )
    rarest_first = sorted(own.values(), key=len)
    for _ in range(_ATTEMPTS):
        part = _draw_parts(rarest_first, folds, rng)
        if all(len({part[int(e)] for e in episodes}) > 1 for episodes in rarest_first):
            return np.array([part[int(e)] for e in frames.episode], np.int64)
    raise UserError(
        f"{len(np.unique(frames.episode))} labelled episodes cannot be divided into {folds} parts "
        "so that what is left without one of them holds every label: label more episodes"
    )


def _draw_parts(
    groups: list[NDArray[np.int64]], folds: int, rng: np.random.Generator
) -> dict[int, int]:
    """A part for each episode, evenly within each of the groups, which may overlap."""
    part: dict[int, int] = {}
    for episodes in groups:
        taken = [part[int(e)] for e in episodes if int(e) in part]
        have = np.bincount(taken, minlength=folds) + rng.random(folds) / 2  # Ties by chance.
        for episode in rng.permutation(episodes):
            if int(episode) not in part:
                part[int(episode)] = int(have.argmin())
                have[part[int(episode)]] += 1
    return part


def calibrate(logits: NDArray[np.float32], target: NDArray[np.int64]) -> float:
    """The temperature with which logits (n, classes) predict targets (n,) best."""
    rows = np.arange(len(target))

    def surprise(temperature: float) -> float:
        share = softmax(logits / temperature)[rows, target]
        return float(-np.log(np.maximum(share, 1e-12)).mean())

    return float(min(_TEMPERATURES, key=surprise))


def threshold(
    probability: NDArray[np.float32], positive: NDArray[np.bool_], false_positives: float
) -> float:
    """The least probability to be believed, so that few enough other frames pass.

    Args:
        probability: (n,) of the class.
        positive: (n,), whether a frame is of it.
        false_positives: share of the others that may pass.

    Returns:
        Half way, in log odds, between the last of the others that may not pass and the
        frames of the class above it; at least 0.5.
    """
    others = np.sort(probability[~positive])[::-1]
    allowed = int(false_positives * len(others))
    highest = float(others[allowed]) if allowed < len(others) else 0.0
    above = probability[positive & (probability > highest)]
    # The nearest of the class are doubtful themselves: from the tenth on they are not.
    next_ = float(np.quantile(above, 0.1)) if len(above) else 1.0
    middle = _from_odds((_odds(highest) + _odds(next_)) / 2)
    return float(max(middle, np.nextafter(np.float32(highest), np.float32(1)), _LEAST_THRESHOLD))


def _odds(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))


def _from_odds(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


def with_thresholds(
    spec: ClassifierSpec,
    logits: NDArray[np.float32],
    target: NDArray[np.int64],
    false_positives: float,
) -> ClassifierSpec:
    """A classifier's spec, with temperature and thresholds from logits of frames it has not seen.

    Args:
        spec: of the classifier.
        logits: (n, classes).
        target: (n,), the right class.
        false_positives: share of frames of other classes that may pass.
    """
    temperature = calibrate(logits, target)
    share = softmax(logits / temperature)
    success = threshold(share[:, -1], target == len(spec.classes) - 1, false_positives)
    failure = threshold(share[:, 0], target == 0, false_positives) if spec.three else 0.5
    return dataclasses.replace(spec, temperature=temperature, success=success, failure=failure)
