"""From what a classifier says of each observation, and the operator's word, to a reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.labels import Label
from hilserl_core.step import Event

Probabilities = NDArray[np.float32]

_WORDS = {Event.SUCCESS: Label.SUCCESS, Event.FAILURE: Label.FAILURE}


@dataclass(frozen=True)
class Judgement:
    """What is said of one observation.

    Attributes:
        value: the reward: -1, 0 or 1.
        probabilities: of the classifier's classes; none where it was not asked.
        judge: "classifier" or "operator".
    """

    value: float
    probabilities: Probabilities
    judge: str


class Judge:
    """Says success (or failure) once the classifier saw it in so many observations in a row.

    The operator's word beats it: it holds for the next observation after the one that they had
    seen. A word about an episode that is over is none about the next one.

    Args:
        verdict: what probabilities say; None: the operator alone judges.
        frames: observations in a row that must say the same.
        gap: ns between two observations beyond which they are not in a row: between two episodes
            there is more.
    """

    def __init__(
        self, verdict: Callable[[Probabilities], Label] | None, frames: int, gap: int
    ) -> None:
        self._verdict, self._frames, self._gap = verdict, frames, gap
        self._name = "operator" if verdict is None else "classifier"
        self._newest = -gap - 1
        self._last, self._row = Label.NEITHER, 0
        self._word: tuple[int, Label] | None = None

    def event(self, stamp: int, event: Event) -> None:
        """Takes what the operator said of the observation of ``stamp``, ns."""
        if event in _WORDS:
            self._word = (stamp, _WORDS[event])

    def judge(self, stamp: int, probabilities: Probabilities) -> Judgement:
        """Judges the observation of ``stamp``, ns.

        Args:
            stamp: later than any before.
            probabilities: (classes,) that the classifier gives it.
        """
        self._count(stamp, probabilities)
        word = self._word
        if word is not None and word[0] < stamp:
            self._word = None
            if stamp - word[0] <= self._gap:
                return Judgement(float(word[1]), probabilities, "operator")
        sure = self._row >= self._frames
        return Judgement(float(self._last) if sure else 0.0, probabilities, self._name)

    def _count(self, stamp: int, probabilities: Probabilities) -> None:
        said = Label.NEITHER if self._verdict is None else self._verdict(probabilities)
        continues = said == self._last and stamp - self._newest <= self._gap
        self._row = (self._row if continues else 0) + (said != Label.NEITHER)
        self._last, self._newest = said, stamp
