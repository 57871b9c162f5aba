"""Trains a task from state in one process, without ROS: a quick look at the learner.

The learner, the scripted operator and the scene are the real ones; only the topics
between them are missing. Evaluations do not count in the time given.

    python bench/train_state.py --task push_cube --seed 11 --minutes 3 --set n_step=3
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilserl_core.assembly import Measurements, ObservationAssembler
from hilserl_core.parameters import build, parse
from hilserl_core.step import Event, Observation, Outcome, Phase, Source, Step
from hilserl_description import koch
from hilserl_description.action_mapping import ActionMapping
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.scenes import TASKS
from hilserl_learner import process
from hilserl_learner.learner import CLONED, Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.presets import PRESETS
from hilserl_policy.networks import PolicyNetwork
from hilserl_policy.weights import decode
from hilserl_sim.hand import DEMONSTRATING, SKILLED, Sight
from hilserl_sim.operator import Habits, ScriptedOperator
from hilserl_sim.world import World

TICKS = 100
_OUTCOMES = {1: Outcome.SUCCESS, -1: Outcome.FAILURE, 0: Outcome.TIMEOUT}
OBSERVATION, ACTION = koch.observation_spec("state"), koch.action_spec()


@dataclass(frozen=True)
class Summary:
    """One episode."""

    success: bool
    steps: int
    human: int


class Trainer:
    """Runs episodes and hands their steps to the learner."""

    def __init__(self, options: argparse.Namespace, parameters: LearnerParameters) -> None:
        self.options, self.parameters = options, parameters
        self.world, self.mapping = World(options.task), ActionMapping(ACTION)
        self.assemble = ObservationAssembler(OBSERVATION, ForwardKinematics().position)
        self.learner = Learner(parameters, OBSERVATION, ACTION)
        self.operator = ScriptedOperator(
            options.task,
            ACTION,
            options.seed,
            DEMONSTRATING,
            SKILLED,
            Habits(),
            intervene=not options.alone,
        )
        self.network: PolicyNetwork | None = None
        self.numbers = {Phase.TRAIN: 0, Phase.EVALUATE: 0}
        self.learning = 0.0

    def observe(self, stamp: int) -> Observation:
        world = self.world
        w, x, y, z = world.object_quaternion
        return self.assemble(
            Measurements(
                stamp=stamp,
                joint_position=world.joint_position,
                joint_velocity=world.joint_velocity,
                motor_current=world.motor_current,
                command=self.mapping.last,
                object_position=world.object_position,
                object_orientation=np.array([x, y, z, w]),
            )
        )

    def sight(self) -> Sight:
        world, mapping = self.world, self.mapping
        return Sight(
            world.joint_position,
            world.tool_position,
            mapping.target,
            mapping.last[koch.GRIPPER],
            world.object_position,
            world.peg,
        )

    def episode(self, phase: Phase, region: str = "whole") -> Summary:
        """Plays one episode; its steps reach the learner as they happen."""
        kind = Phase.EVALUATE if phase == Phase.EVALUATE else Phase.TRAIN
        number = self.numbers[kind]
        self.numbers[kind] += 1
        rng = np.random.default_rng([self.options.seed, int(phase), number])
        self.world.reset(int(rng.integers(1 << 40)), region)
        self.mapping.reset(self.world.start)
        self.operator.begin(phase, number)
        driving, human, head = phase == Phase.RECORD, 0, {"phase": phase, "episode": number}
        for index in range(2 * TICKS if phase == Phase.RECORD else TICKS):
            observation = self.observe(index)
            decision = self.operator.tick(self.sight(), driving)
            action, source = decision.values, Source.OFFLINE
            if phase != Phase.RECORD:
                action, source = self.act(observation, driving, decision.values, rng, phase)
            human += source == Source.HUMAN
            driving = {Event.TAKEOVER: True, Event.RELEASE: False}.get(decision.event, driving)
            self.world.step(self.mapping.command(action))
            reward = self.world.reward
            self.take(Step(observation, action, source=source, reward=reward, index=index, **head))
            if reward:
                break
        success = reward > 0
        outcome = _OUTCOMES[int(reward)]
        self.take(
            Step(
                self.observe(index + 1),
                is_last=True,
                is_terminal=outcome != Outcome.TIMEOUT,
                outcome=outcome,
                index=index + 1,
                **head,
            )
        )
        return Summary(success, index + 1, human)

    def act(
        self, observation: Observation, driving: bool, values: Any, rng: Any, phase: Phase
    ) -> tuple[Any, Source]:
        if driving:
            return values, Source.HUMAN
        assert self.network is not None
        state = OBSERVATION.normalise(observation.state)
        alone = self.parameters.algorithm != "rlpd"  # as the policy node does
        mean = self.options.mean if phase == Phase.EVALUATE else alone
        return self.network.act(state, rng, deterministic=mean), Source.POLICY

    def take(self, step: Step) -> None:
        learner = self.learner
        if step.phase == Phase.EVALUATE:
            return
        learner.experience.add(Step(**{**step.__dict__, "spec": learner.experience.spec}))
        if step.phase == Phase.TRAIN:
            self.learn()

    def learn(self) -> None:
        """Does all the work that is due, and takes the newest policy."""
        start = time.perf_counter()
        while self.learner.work():
            pass
        self.learning += time.perf_counter() - start
        policy = self.learner.policy
        assert policy is not None
        if self.network is None or self.network.version != policy.version:
            self.network = decode(policy.data, self.learner.experience.spec)

    def evaluate(self) -> tuple[float, float]:
        """Success rate, and median seconds of a success."""
        episodes = [self.episode(Phase.EVALUATE) for _ in range(self.options.episodes)]
        cycles = [e.steps / 10 for e in episodes if e.success]
        return float(np.mean([e.success for e in episodes])), float(np.median(cycles or [np.nan]))

    def run(self) -> None:
        options, start = self.options, time.perf_counter()
        demos = [self.episode(Phase.RECORD, "left") for _ in range(options.demos)]
        print(
            f"demonstrations: {np.mean([d.success for d in demos]):.2f}, median "
            f"{np.median([d.steps for d in demos]) / 10:.1f} s, {sum(d.steps for d in demos)} "
            f"steps, in {time.perf_counter() - start:.1f} s",
            flush=True,
        )
        self.learner.phase = Phase.TRAIN
        start = time.perf_counter()
        self.learn()
        training, good, steps, next_look = time.perf_counter() - start, 0, 0, 0
        last: list[Summary] = []
        while True:
            if steps >= next_look:
                next_look += options.every
                success, cycle = self.evaluate()
                good = good + 1 if success >= 0.95 else 0
                self.print_row(training, steps, last, success, cycle)
            if training > 60 * options.minutes or good >= 2 or self.learner.stage == CLONED:
                break
            start = time.perf_counter()
            last.append(self.episode(Phase.TRAIN))
            training += time.perf_counter() - start
            steps += last[-1].steps
        words = "reached" if good >= 2 else "not reached"
        print(f"seed {options.seed}: {words} after {training:.0f} s, {steps} steps")

    def print_row(
        self, training: float, steps: int, last: list[Summary], success: float, cycle: float
    ) -> None:
        recent = last[-20:] or [Summary(False, 1, 0)]
        human = sum(e.human for e in recent) / sum(e.steps for e in recent)
        alone = np.mean([e.success and not e.human for e in recent])
        values = " ".join(f"{v:.3f}" for v in self.learner.metrics().values())
        print(
            f"{training:5.0f} s ({self.learning:3.0f} learning), {steps:5d} steps, "
            f"{len(last):3d} episodes, human {human:.2f}, unaided {alone:.2f}, "
            f"evaluation {success:.2f} in {cycle:.1f} s | {values}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="lift_cube")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--demos", type=int, default=20)
    parser.add_argument("--every", type=int, default=1000, help="steps between evaluations")
    parser.add_argument("--episodes", type=int, default=50, help="of an evaluation")
    parser.add_argument("--mean", action="store_true", help="evaluate the mean action")
    parser.add_argument("--alone", action="store_true", help="no interventions")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE of the learner")
    options = parser.parse_args()
    process.prepare(threads=1)
    values: dict[str, Any] = {
        **PRESETS[options.preset],
        "seed": options.seed,
        "run": tempfile.mkdtemp(),
    }
    for word in options.set:
        name, _, text = word.partition("=")
        values[name] = parse(LearnerParameters, name, text)
    Trainer(options, build(LearnerParameters, values)).run()


if __name__ == "__main__":
    main()
