"""The scripted person: demonstrates, or watches the policy and helps when it is stuck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.spec import ActionSpec
from hilserl_core.step import Event, Phase
from hilserl_description.arm_model import CONTROL_PERIOD
from hilserl_sim.hand import Sight, Style
from hilserl_sim.scripted import ScriptedMotion
from hilserl_sim.skills import skill_of
from hilserl_sim.tasks import Judge

_RATE = 1 / CONTROL_PERIOD  # ticks a second
_ASK_AGAIN = 40  # ticks, longer than any handover takes
_SAY_AGAIN = 10  # ticks, after which a word that ended no episode is said again

WORDS = ("never", "demonstrations", "always")
"""When a person says that the task is done: never, where somebody else judges everything; in
demonstrations; or in every episode."""


@dataclass(frozen=True)
class Habits:
    """How a person watches and helps.

    Attributes:
        patience: s without progress before a person wants to help.
        reaction: s from there to the key.
        hesitation: s, mean of what comes on top of the reaction at random.
        progress: m that the best so far must be beaten by to count as progress.
        release: "grasped" or "done": when to give the arm back.
        words: one of ``WORDS``.
        failures: share of the demonstrations that are spoiled on purpose, to show what is no
            success; the person says so in the end.
        linger: s, most of the time that is spent on such an end.
    """

    patience: float = 1.5
    reaction: float = 0.3
    hesitation: float = 0.2
    progress: float = 0.01
    release: str = "done"
    words: str = "never"
    failures: float = 0.0
    linger: float = 1.5


@dataclass(frozen=True)
class Decision:
    """What the person does at a tick: an action (zeros while not driving), and an event."""

    values: NDArray[np.float32]
    event: Event | None = None


class TakeoverKey:
    """Which key to press so that who drives becomes what the person wants.

    A key is pressed once; again only if the arm was lost (the mux restarted) or the key went
    unheard for long.
    """

    def __init__(self) -> None:
        self._asked = self._agreed = False
        self._unheard = 0  # ticks

    def press(self, wanted: bool, driving: bool) -> Event | None:
        """The key of this tick.

        Args:
            wanted: whether the person wants to drive.
            driving: whether the person's last action was the one executed.
        """
        if wanted != self._asked:
            self._asked, self._agreed, self._unheard = wanted, False, 0
            return Event.TAKEOVER if wanted else Event.RELEASE
        if driving == wanted:
            self._agreed, self._unheard = True, 0
            return None
        self._unheard += 1
        if self._unheard < (3 if self._agreed else _ASK_AGAIN):
            return None
        self._agreed, self._unheard = False, 0
        return Event.TAKEOVER if wanted else Event.RELEASE


class Progress:
    """Whether the task gets on."""

    def __init__(self, task: str, threshold: float) -> None:
        self._skill = skill_of(task)
        self._threshold = threshold
        self.restart()

    def restart(self) -> None:
        """Forgets the best so far and the time since."""
        self._best = -np.inf
        self.stalled = 0.0

    def see(self, sight: Sight) -> float:
        """Takes note of a tick; returns the seconds since the last progress."""
        value = self._skill.progress(sight)
        if value > self._best + self._threshold:
            self._best, self.stalled = value, 0.0
        else:
            self.stalled += CONTROL_PERIOD
        return self.stalled


class ScriptedOperator:
    """Decides tick by tick; all that is random follows from (seed, phase, episode)."""

    def __init__(
        self,
        task: str,
        spec: ActionSpec,
        seed: int,
        demonstrating: Style,
        helping: Style,
        habits: Habits,
        intervene: bool = True,
    ) -> None:
        ScriptedMotion(task, spec, helping, np.random.default_rng(0))  # Refuses what it can't do.
        self._skill = skill_of(task)
        self._task, self._spec, self._seed = task, spec, seed
        self._demonstrating, self._helping, self._habits = demonstrating, helping, habits
        self._intervene = intervene
        self.rest = np.zeros(spec.dim, np.float32)
        self._progress = Progress(task, habits.progress)
        self._judge = Judge(task)
        self._phase = Phase.DONE
        self._key = TakeoverKey()
        self._done_for = self._doubted_for = self._patience = 0  # ticks
        self._motion: ScriptedMotion | None = None
        self._rng = np.random.default_rng(seed)

    def begin(self, phase: Phase, episode: int) -> None:
        """An episode starts."""
        self._phase = phase
        self._rng = np.random.default_rng([self._seed, int(phase), episode])
        self._judge.reset()
        self._watch()
        self._motion, self._patience = None, 0
        self._done_for = self._doubted_for = 0
        if phase == Phase.RECORD:
            failures = self._habits.failures
            spoil = failures > 0 and self._rng.random() < failures
            self._motion = self._new_motion(self._demonstrating, spoil)
            if spoil:
                self._patience = round(self._rng.uniform(0.3, 1) * self._habits.linger * _RATE)

    def tick(self, sight: Sight, driving: bool, ready: bool = True) -> Decision:
        """What to do now.

        Args:
            sight: what there is to see.
            driving: whether the person's last action was the one executed.
            ready: whether one given now would be: nobody begins before the countdown is over.
        """
        done = self._judge.update(sight.scene, CONTROL_PERIOD)
        if self._phase == Phase.TRAIN and self._intervene:
            self._consider(sight, done)
        values = self.rest
        if self._motion is not None and ready:
            values = self._motion.act(sight)
        event = self._word(done) or self._key.press(self._motion is not None, driving)
        return Decision(values, event)

    def overrules(self) -> bool:
        """Whether an episode that was judged a success when it ended was none to be seen."""
        return not self._judge.met

    def _word(self, done: bool) -> Event | None:
        """What the person says of the task, once they have had the time to be sure.

        What was done, and is not any more before they could say so, is neither a success nor
        none to show: such a demonstration they discard.
        """
        lost = self._done_for > 0 and not done
        self._done_for = self._done_for + 1 if done else 0
        showing, words = self._phase == Phase.RECORD, self._habits.words
        speaks = words == "always" or (words == "demonstrations" and showing)
        if showing and speaks and (lost or self._doubted_for):
            self._doubted_for += 1
            return Event.DISCARD if self._doubted_for % _SAY_AGAIN == 1 else None
        spoiled = self._motion is not None and self._motion.ended
        if spoiled and not done:
            self._patience -= 1
            if self._patience <= 0 and -self._patience % _SAY_AGAIN == 0:
                return Event.FAILURE
        if not speaks:
            return None
        since = self._done_for - round(self._habits.reaction * _RATE)
        return Event.SUCCESS if since > 0 and (since - 1) % _SAY_AGAIN == 0 else None

    def _consider(self, sight: Sight, done: bool) -> None:
        """Starts or ends to help."""
        if self._motion is not None:
            if done or (self._habits.release == "grasped" and self._skill.secured(sight)):
                self._motion = None
                self._watch()
            return
        stalled = self._progress.see(sight)
        if not done and stalled >= self._habits.patience + self._delay:
            self._motion = self._new_motion(self._helping)

    def _watch(self) -> None:
        """Starts to watch with fresh patience."""
        self._progress.restart()
        self._delay = self._habits.reaction + self._rng.exponential(self._habits.hesitation)

    def _new_motion(self, style: Style, spoil: bool = False) -> ScriptedMotion:
        return ScriptedMotion(self._task, self._spec, style, self._rng, spoil)
