"""How well a classifier judges frames: pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilserl_core.labels import Label
from hilserl_reward.classifier import Classifier, ClassifierSpec, softmax
from hilserl_reward.frames import LabelledFrames
from hilserl_reward.training import targets_of


@dataclass(frozen=True)
class Judged:
    """Frames with what a classifier makes of them.

    Attributes:
        frames: n of them.
        classes: in the order of the probabilities.
        probability: (n, classes).
        target: (n,), the right class.
        said: (n,), the class that the classifier's thresholds say.
    """

    frames: LabelledFrames
    classes: tuple[Label, ...]
    probability: NDArray[np.float32]
    target: NDArray[np.int64]
    said: NDArray[np.int64]

    @property
    def success(self) -> NDArray[np.float32]:
        """(n,), the probability of success."""
        result: NDArray[np.float32] = self.probability[:, -1]
        return result

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes): frames of each class (row) by what was said (column)."""
        result = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(result, (self.target, self.said), 1)
        return result

    @property
    def accuracy(self) -> float:
        """Share of frames of which the right thing was said."""
        return float((self.target == self.said).mean())

    @property
    def false_positives(self) -> float:
        """Share of frames without success of which success was said."""
        last = len(self.classes) - 1
        others = self.target != last
        return float((self.said[others] == last).mean()) if others.any() else 0.0

    @property
    def recall(self) -> float:
        """Share of successes of which success was said."""
        last = len(self.classes) - 1
        own = self.target == last
        return float((self.said[own] == last).mean()) if own.any() else 0.0

    @property
    def calibration_error(self) -> float:
        """Mean gap between confidence and accuracy in ten bins (ECE, Guo et al. 2017)."""
        confidence = self.probability.max(1)
        right = self.probability.argmax(1) == self.target
        bins = np.minimum((confidence * 10).astype(int), 9)
        gaps = [
            abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
            for b in range(10)
            if (bins == b).any()
        ]
        return float(sum(gaps))

    def precision_recall(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision and recall of success at every threshold, the highest first."""
        positive = self.target == len(self.classes) - 1
        order = np.argsort(-self.success, kind="stable")
        found = np.cumsum(positive[order])
        # Frames of the same probability pass together.
        at = np.flatnonzero(np.append(np.diff(self.success[order]) != 0, True))
        return found[at] / (at + 1), found[at] / max(int(positive.sum()), 1)

    def worst(self, count: int) -> NDArray[np.int64]:
        """Indices of the frames judged worst: the least probability of what is right first."""
        right = self.probability[np.arange(len(self.target)), self.target]
        result: NDArray[np.int64] = np.argsort(right, kind="stable")[:count]
        return result

    def figures(self) -> dict[str, Any]:
        """What a report says in numbers."""
        names = [label.name.lower() for label in self.classes]
        return {
            "frames": len(self.target),
            "episodes": len(np.unique(self.frames.episode)),
            "frames_of_each": dict(
                zip(names, map(int, np.bincount(self.target, minlength=len(names))), strict=True)
            ),
            "accuracy": round(self.accuracy, 5),
            "false_positive_rate": round(self.false_positives, 5),
            "recall": round(self.recall, 5),
            "calibration_error": round(self.calibration_error, 4),
            "confusion": {
                name: dict(zip(names, map(int, row), strict=True))
                for name, row in zip(names, self.confusion, strict=True)
            },
        }


def judge(classifier: Classifier, frames: LabelledFrames) -> Judged:
    """Has a classifier judge frames."""
    return judged_by(classifier.spec, frames, classifier.logits(frames.images, frames.state))


def judged_by(spec: ClassifierSpec, frames: LabelledFrames, logits: NDArray[np.float32]) -> Judged:
    """What a classifier's thresholds make of logits (n, classes) of n frames."""
    probability = softmax(logits / spec.temperature)
    number = {label: at for at, label in enumerate(spec.classes)}
    said = np.array([number[spec.verdict(each)] for each in probability], np.int64)
    return Judged(frames, spec.classes, probability, targets_of(frames, spec), said)
