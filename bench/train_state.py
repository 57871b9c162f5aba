"""Trains a task from state in one process, without ROS: a quick look at the learner.

The learner, the scripted operator and the scene are the real ones; only the topics
between them are missing. Evaluations do not count in the time given.

    python bench/train_state.py --seed 11 --minutes 3 --set n_step=3
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np

from hilserl_core.assembly import Measurements, ObservationAssembler
from hilserl_core.parameters import build, parse
from hilserl_core.spec import ObservationSpec
from hilserl_core.step import Event, Observation, Phase, Source
from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import GRIPPER, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.koch import KOCH
from hilserl_description.scenes import TASKS
from hilserl_learner import process
from hilserl_learner.learner import Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.presets import PRESETS
from hilserl_learner.trainer import Played, Propose, Result, Trainer, Values
from hilserl_sim.hand import DEMONSTRATING, SKILLED, Sight
from hilserl_sim.operator import Habits, ScriptedOperator
from hilserl_sim.world import World

TICKS = 100
OBSERVATION, ACTION = KOCH.observation_spec("state"), action_spec()


class KochScene:
    """The simulated arm, and the scripted operator who demonstrates and helps."""

    def __init__(
        self,
        task: str,
        seed: int,
        observation: ObservationSpec = OBSERVATION,
        looks: str = "plain",
        intervene: bool = True,
    ) -> None:
        self.world, self.mapping = World(task, scene=looks), ActionMapping(ACTION)
        self.assemble = ObservationAssembler(observation, ForwardKinematics().position)
        self.cameras = [image.name for image in observation.images]
        self.operator = ScriptedOperator(
            task, ACTION, seed, DEMONSTRATING, SKILLED, Habits(), intervene=intervene
        )
        self.driving, self.left = False, TICKS

    def begin(self, phase: Phase, number: int, rng: np.random.Generator) -> None:
        recording = phase == Phase.RECORD
        self.reset(phase, number, rng, "left" if recording else "whole")
        self.driving, self.left = recording, 2 * TICKS if recording else TICKS

    def reset(self, phase: Phase, number: int, rng: np.random.Generator, region: str) -> None:
        """Puts arm, object and operator at an episode's start."""
        self.world.reset(int(rng.integers(1 << 40)), region)
        self.mapping.reset(self.world.start)
        self.operator.begin(phase, number)

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
                images={camera: world.render(camera).copy() for camera in self.cameras},
            )
        )

    def sight(self) -> Sight:
        world, mapping = self.world, self.mapping
        return Sight(
            world.joint_position,
            world.tool_position,
            mapping.target,
            mapping.last[GRIPPER],
            world.object_position,
            world.peg,
        )

    def drive(
        self, phase: Phase, observation: Observation, propose: Propose
    ) -> tuple[Values, Source]:
        decision, driven = self.operator.tick(self.sight(), self.driving), self.driving
        self.driving = {Event.TAKEOVER: True, Event.RELEASE: False}.get(decision.event, driven)
        if phase == Phase.RECORD:
            return decision.values, Source.OFFLINE
        if driven:
            return decision.values, Source.HUMAN
        return propose(observation), Source.POLICY

    def apply(self, values: Values) -> Result:
        self.world.step(self.mapping.command(values))
        self.left -= 1
        reward = self.world.reward
        return Result(reward, reward > 0, bool(reward), bool(reward) or not self.left)


def evaluate(trainer: Trainer, episodes: int) -> tuple[float, float]:
    """Success rate, and median seconds of a success."""
    played = trainer.evaluate(episodes)
    cycles = [episode.steps / 10 for episode in played if episode.success]
    return float(np.mean([e.success for e in played])), float(np.median(cycles or [np.nan]))


def run(options: argparse.Namespace, parameters: LearnerParameters) -> None:
    learner = Learner(parameters, OBSERVATION, ACTION)
    scene = KochScene(options.task, options.seed, intervene=not options.alone)
    trainer = Trainer(learner, scene, OBSERVATION, options.seed, options.mean)
    start = time.perf_counter()
    demos = [trainer.episode(Phase.RECORD) for _ in range(options.demos)]
    print(
        f"demonstrations: {np.mean([d.success for d in demos]):.2f}, median "
        f"{np.median([d.steps for d in demos]) / 10:.1f} s, {sum(d.steps for d in demos)} "
        f"steps, in {time.perf_counter() - start:.1f} s",
        flush=True,
    )
    trainer.start()
    good, next_look = 0, 0
    last: list[Played] = []
    while True:
        if trainer.steps >= next_look:
            next_look += options.every
            success, cycle = evaluate(trainer, options.episodes)
            good = good + 1 if success >= 0.95 else 0
            print_row(trainer, last, success, cycle)
        if trainer.seconds > 60 * options.minutes or good >= 2 or trainer.finished:
            break
        last.append(trainer.train())
    words = "reached" if good >= 2 else "not reached"
    print(f"seed {options.seed}: {words} after {trainer.seconds:.0f} s, {trainer.steps} steps")


def print_row(trainer: Trainer, last: list[Played], success: float, cycle: float) -> None:
    recent = last[-20:]
    human = sum(e.human for e in recent) / max(sum(e.steps for e in recent), 1)
    alone = sum(e.success and not e.human for e in recent) / max(len(recent), 1)
    values = " ".join(f"{v:.3f}" for v in trainer.learner.metrics().values())
    print(
        f"{trainer.seconds:5.0f} s ({trainer.learning:3.0f} learning), {trainer.steps:5d} steps, "
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
    run(options, build(LearnerParameters, values))


if __name__ == "__main__":
    main()
