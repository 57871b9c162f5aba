"""Training in one process: what reaches the learner, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from hilserl_core.spec import ActionSpec, Field, ObservationSpec
from hilserl_core.step import Observation, Outcome, Phase, Source
from hilserl_learner.learner import Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.trainer import Result, Trainer

OBSERVATION = ObservationSpec((Field("place", (-1.0,), (1.0,)),))
ACTION = ActionSpec.box([-1.0], [1.0])
LENGTH = 5


class Line:
    """A point on a line; a demonstration succeeds after two actions, others end by time."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def begin(self, phase, number, rng):
        self.place, self.steps, self.goal = rng.uniform(-1, 1), 0, phase == Phase.RECORD
        self.starts.append(self.place)

    def observe(self, stamp):
        return Observation(stamp, np.float32([self.place]))

    def drive(self, phase, observation, propose):
        if phase == Phase.RECORD:
            return np.float32([0.5]), Source.OFFLINE
        return propose(observation), Source.POLICY

    def apply(self, values):
        self.place, self.steps = 0.9 * self.place + 0.1 * float(values[0]), self.steps + 1
        success = self.goal and self.steps == 2
        return Result(
            1.0, success, success, success or self.steps == LENGTH, score=float(self.steps), ticks=3
        )


def make(tmp_path, **settings) -> Trainer:
    values = {
        "hidden": (8,),
        "batch_size": 8,
        "cloning_steps": 2,
        "critic_warmup": 2,
        "run": str(tmp_path),
        **settings,
    }
    learner = Learner(LearnerParameters(**values), OBSERVATION, ACTION)
    return Trainer(learner, Line(), OBSERVATION, seed=3)


def test_a_run_from_demonstrations_to_evaluation(tmp_path):
    trainer = make(tmp_path, utd_ratio=1.0)
    shown = trainer.episode(Phase.RECORD)
    assert (shown.success, shown.steps, shown.ticks, shown.best, shown.total) == (True, 2, 6, 2, 3)
    assert shown.episode.outcome == Outcome.SUCCESS
    assert shown.episode.steps[-1].is_terminal
    trainer.start()
    assert trainer.learner.policy is not None
    played = trainer.train()
    assert (played.success, trainer.steps) == (False, LENGTH)
    assert played.episode.outcome == Outcome.TIMEOUT
    assert not played.episode.steps[-1].is_terminal
    assert trainer.learner.updates == 2 + LENGTH
    counts = trainer.learner.experience.counts()
    trainer.evaluate(3)
    assert trainer.learner.experience.counts() == counts == {"policy": 5, "human": 0, "offline": 2}
    assert trainer.seconds >= trainer.learning > 0


def test_episodes_start_the_same_whatever_was_learned(tmp_path):
    one, two = make(tmp_path), make(tmp_path, cloning_steps=50)
    for trainer in (one, two):
        trainer.episode(Phase.RECORD)
        trainer.start()
        trainer.train()
        trainer.evaluate(2)
    assert one.scene.starts == two.scene.starts
    assert len(set(one.scene.starts)) == 4


def test_a_policy_can_be_evaluated_that_is_not_the_newest(tmp_path):
    trainer = make(tmp_path, publish_updates=1, learning_rate=0.1)
    trainer.episode(Phase.RECORD)
    trainer.start()
    old = trainer.learner.policy
    trainer.train()
    newest = trainer.learner.policy
    assert newest.version > old.version
    trainer.evaluate(1, old.data)
    assert trainer.train().episode.transitions == LENGTH  # goes on with the newest
    acted = trainer.evaluate(1)[0].episode.steps[0].action
    assert np.abs(acted).max() <= 1


def test_recorded_demonstrations_can_be_handed_over(tmp_path):
    trainer, other = make(tmp_path), make(tmp_path)
    episodes = [trainer.episode(Phase.RECORD).episode for _ in range(3)]
    other.demonstrate(episodes)
    assert other.learner.experience.demonstrations == 3
    other.episode(Phase.RECORD)
    assert other.learner.experience.demonstrations == 4


@pytest.mark.parametrize("algorithm", ["rlpd", "bc"])
def test_cloning_alone_is_finished_after_the_start(tmp_path, algorithm):
    trainer = make(tmp_path, algorithm=algorithm)
    trainer.episode(Phase.RECORD)
    trainer.start()
    assert trainer.finished == (algorithm == "bc")
