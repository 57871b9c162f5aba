"""A run of training in a Gymnasium environment, in one process and without ROS."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hilserl_core.errors import UserError
from hilserl_core.parameters import build, parameter
from hilserl_core.progress import Meter
from hilserl_core.run import RunDirectory, write_aside
from hilserl_core.step import Episode, Observation, Phase, Source
from hilserl_learner import demonstrations
from hilserl_learner.encoder_training import EncoderTraining
from hilserl_learner.learner import Learner
from hilserl_learner.local_refresher import LocalRefresher
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.presets import SUITED
from hilserl_learner.representation import RepresentationSettings
from hilserl_learner.sight import encoder_spec, trained_apart
from hilserl_learner.trainer import Played, Propose, Result, Trainer, Values
from hilserl_policy.encoders import make_encoder
from hilserl_sim.gym_settings import GymSettings
from hilserl_sim.gym_tasks import Demonstrator
from hilserl_sim.gym_world import GymWorld

POLICY_FILE = "policy.safetensors"
EVALUATIONS = "evaluations"
_ATTEMPTS = 4  # episodes tried for each demonstration wanted, before it is given up
_RECENT = 20  # training episodes that a progress line is about

ACTION_SECONDS = 0.1
"""s that an action counts for, where the learner does something after a time."""

_OFFLINE = {
    "checkpoint_seconds": 1000.0,
    # Of an encoder: nobody waits for its first, and each refresh encodes all frames anew.
    "pretrain_updates": 2000,
    "refresh_seconds": 1000.0,
    "refresh_updates": 500,
}


@dataclass(frozen=True)
class OfflineParameters(GymSettings):
    """What a run of ``train_offline`` does, and for how long."""

    run: str = parameter("", "folder of the run; empty: runs/ENV-seedSEED")
    seed: int = parameter(1, "seed of episodes, networks and sampling", low=0, high=2**31 - 1)
    total_steps: int = parameter(100_000, "actions of training", low=0, high=10**9)
    demos: int = parameter(
        100, "successful demonstrations to record first, where the program can", low=0, high=10**6
    )
    demonstrations: str = parameter(
        "", "folder of another run, or its demonstrations.npz, to learn from instead"
    )
    eval_every: int = parameter(10_000, "actions between two evaluations", low=1, high=10**9)
    eval_episodes: int = parameter(40, "episodes of an evaluation", low=1, high=10**6)
    final_episodes: int = parameter(
        100, "episodes of the last evaluation, of the best policy before it", low=1, high=10**6
    )
    mean: bool = parameter(False, "evaluate the mean action instead of a sampled one")


class GymScene:
    """A Gymnasium environment as a trainer's scene."""

    def __init__(self, world: GymWorld, demonstrator: Demonstrator | None) -> None:
        self._world, self._demonstrator = world, demonstrator
        self._actions = 0

    def clock(self) -> float:
        """Seconds as actions count them: a run goes the same way however fast the machine is."""
        return self._actions * ACTION_SECONDS

    def begin(self, phase: Phase, number: int, rng: np.random.Generator) -> None:
        self._world.reset(int(rng.integers(2**31)))
        if self._demonstrator is not None:
            self._demonstrator.reset()

    def observe(self, stamp: int) -> Observation:
        return self._world.observe(stamp)

    def drive(
        self, phase: Phase, observation: Observation, propose: Propose
    ) -> tuple[Values, Source]:
        if phase != Phase.RECORD:
            return propose(observation), Source.POLICY
        assert self._demonstrator is not None
        return self._demonstrator.act(self._world.info), Source.OFFLINE

    def apply(self, values: Values) -> Result:
        step = self._world.step(values)
        self._actions += 1
        return Result(
            step.reward,
            bool(step.success),
            step.terminal,
            step.terminal or step.truncated,
            float(step.info.get("score", step.reward)),
            int(step.info.get("ticks", 1)),
        )


def summarise(episodes: Sequence[Played]) -> dict[str, float]:
    """The figures of some episodes."""
    return {
        "episodes": len(episodes),
        "success": float(np.mean([e.success for e in episodes])),
        "best": float(np.mean([e.best for e in episodes])),
        "total": float(np.mean([e.total for e in episodes])),
        "ticks": float(np.mean([e.ticks for e in episodes])),
    }


class OfflineRun:
    """One run.

    Args:
        parameters: of the run.
        learning: settings of the learner that were given; the rest is what suits the
            environment, or else the default.
        tell: takes lines of progress.

    Raises:
        UserError: the environment, its spaces, or a setting does not fit; or the folder
            holds a run already.
    """

    def __init__(
        self,
        parameters: OfflineParameters,
        learning: Mapping[str, Any],
        tell: Callable[[str], None] = print,
    ) -> None:
        p = self.parameters = parameters
        self._tell = tell
        self.world, self._demonstrator = p.make()
        spec = self.world.observation_spec
        folder = p.run or f"runs/{p.env.rpartition('/')[2]}-seed{p.seed}"
        suited = SUITED.get(p.env, {}) if p.view == "auto" else {}
        self.learner_parameters = build(
            LearnerParameters, {**_OFFLINE, **suited, **learning, "run": folder, "seed": p.seed}
        )
        scene = GymScene(self.world, self._demonstrator)
        refresher = self._make_refresher()
        self.learner = Learner(
            self.learner_parameters, spec, self.world.action_spec, refresher, scene.clock
        )
        self._made_in = p.described
        self._given = self._load() if p.demonstrations else None
        self.folder = self._new_folder(Path(folder))  # last: a mistake leaves none behind
        self.trainer = Trainer(self.learner, scene, spec, p.seed, p.mean, refresher)
        self._best = (-1.0, -np.inf)
        self._recent: list[Played] = []

    def _make_refresher(self) -> LocalRefresher | None:
        """What trains the encoder; None where the policy sees no images, or the critics do.

        Raises:
            UserError: there is nothing to train it on.
        """
        p, world = self.learner_parameters, self.world
        if not trained_apart(p, world.observation_spec):
            return None
        shown = self._demonstrator is not None and self.parameters.demos
        if not (shown or self.parameters.demonstrations):
            raise UserError(
                "an encoder learns from demonstrations first, and there are none: give "
                "--demonstrations, or choose --encoder end_to_end"
            )
        spec = encoder_spec(p, world.observation_spec)
        assert spec is not None
        training = EncoderTraining(
            make_encoder(spec, p.seed),
            world.observation_spec,
            world.action_spec,
            RepresentationSettings(),
            Path(tempfile.gettempdir()),
            p.seed,
        )
        return LocalRefresher(training)

    def _new_folder(self, path: Path) -> RunDirectory:
        if (path / "config.yaml").exists():
            raise UserError(f"{path} holds a run already: choose another --run, or remove it")
        config = {
            "offline": dataclasses.asdict(self.parameters),
            "learner": dataclasses.asdict(self.learner_parameters),
        }
        return RunDirectory.create_or_resume(path, config)

    def train(self) -> dict[str, Any]:
        """Does the whole run and closes the environment; returns the last evaluation's figures.

        The run's folder then holds ``evaluations.jsonl``, one line an evaluation, the best
        policy as ``policy.safetensors``, and the learner's checkpoint.
        """
        with contextlib.closing(self.world):
            return self._train()

    def _train(self) -> dict[str, Any]:
        p, trainer = self.parameters, self.trainer
        self._demonstrate()
        trainer.start()
        due = 0
        with Meter("training", p.total_steps) as meter:
            while True:
                meter.update(trainer.steps)
                if trainer.steps >= due or trainer.steps >= p.total_steps:
                    self._evaluate()
                    due += p.eval_every
                if trainer.steps >= p.total_steps or trainer.finished:
                    break
                self._recent = [*self._recent[1 - _RECENT :], trainer.train()]
        self.learner.save()
        return self._finish()

    # -- demonstrations

    def _demonstrate(self) -> None:
        p = self.parameters
        if self._given is not None:
            self.trainer.demonstrate(self._given)
        elif self._demonstrator is None and p.demos:
            self._tell("demonstrations: none, since nobody can show this environment")
        else:
            self._record()
        experience = self.learner.experience
        count = self.learner.buffer.count(Source.OFFLINE)
        self._tell(f"demonstrations: {experience.demonstrations} successful, {count} actions")

    def _load(self) -> Sequence[Episode]:
        path, spec = Path(self.parameters.demonstrations), self.learner.experience.spec
        file = path / demonstrations.FILE if path.is_dir() else path
        if path.is_dir() and not file.exists() and RunDirectory(path).episodes().is_dir():
            from hilserl_replay.bags import read_episodes  # the one thing here that needs ROS

            return list(read_episodes(path, Phase.RECORD, spec=spec))
        return demonstrations.load(file, spec, self._made_in)

    def _record(self) -> None:
        """Records successful demonstrations, and keeps them in the run's folder."""
        wanted, tried = self.parameters.demos, 0
        kept: list[Episode] = []
        while len(kept) < wanted:
            if tried == _ATTEMPTS * wanted:
                raise UserError(
                    f"only {len(kept)} of {tried} demonstrations succeeded: choose fewer --demos, "
                    "or other --view-settings"
                )
            tried += 1
            played = self.trainer.episode(Phase.RECORD)
            if played.success:
                kept.append(played.episode)
        if kept:
            self._tell(f"demonstrations: {len(kept)} of {tried} succeeded")
        if kept and not self.world.observation_spec.images:  # the file holds none
            demonstrations.save(self.folder.path / demonstrations.FILE, kept, self._made_in)

    # -- evaluation

    def _evaluate(self) -> None:
        figures = self._figures(self.trainer.evaluate(self.parameters.eval_episodes))
        self.folder.append(EVALUATIONS, figures)
        recent = ""
        if self._recent:
            recent = f", training {np.mean([e.success for e in self._recent]):.2f}"
        self._tell(
            f"{figures['steps']:7d} steps, {figures['processor_seconds']:5.0f} s of processor: "
            f"success {figures['success']:.2f}, best score {figures['best']:.3f}, "
            f"{figures['ticks']:.0f} ticks{recent}"
        )
        rank = (figures["success"], figures["best"] if figures["success"] else figures["total"])
        if rank >= self._best:
            self._best = rank
            policy = self.learner.policy
            assert policy is not None
            write_aside(self.folder.path / POLICY_FILE, policy.data)

    def _figures(self, episodes: Sequence[Played]) -> dict[str, Any]:
        trainer = self.trainer
        return {
            "steps": trainer.steps,
            "ticks_trained": trainer.ticks,
            "updates": self.learner.updates,
            "seconds": round(trainer.seconds, 1),
            "processor_seconds": round(trainer.processor_seconds, 1),
            **summarise(episodes),
            **self.learner.metrics(),
        }

    def _finish(self) -> dict[str, Any]:
        """Evaluates the best policy on episodes that no evaluation has had yet."""
        data = (self.folder.path / POLICY_FILE).read_bytes()
        episodes = self.trainer.evaluate(self.parameters.final_episodes, data)
        figures = {**self._figures(episodes), "final": True}
        self.folder.append(EVALUATIONS, figures)
        self._tell(
            f"final: success {100 * figures['success']:.0f} % of {len(episodes)} episodes, "
            f"average maximum score {figures['best']:.3f}, average return {figures['total']:.1f}, "
            f"{figures['steps']} steps of training, {figures['processor_seconds'] / 60:.1f} min of "
            f"processor time · run: {self.folder.path}"
        )
        return figures
