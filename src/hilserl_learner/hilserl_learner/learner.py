"""What the learner does when: cloning, critics first, then updates as steps arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from hilserl_core.spec import ActionSpec, ObservationSpec
from hilserl_core.step import Phase, Source
from hilserl_learner import checkpoint
from hilserl_learner.acceleration import device_of
from hilserl_learner.experience import Experience
from hilserl_learner.metrics import ACTOR_METRICS, CRITIC_METRICS, critic_figures
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.pixels import PixelSac
from hilserl_learner.refresh import Refresher
from hilserl_learner.sac import Sac
from hilserl_learner.sight import Sight, encoder_spec, trained_apart
from hilserl_policy.encoders import Encoder, EncoderSpec, make_encoder
from hilserl_policy.networks import Architecture
from hilserl_policy.weights import encode
from hilserl_replay.buffer import ReplayBuffer
from hilserl_replay.sampling import NO_FRAMES

WAITING, PRETRAINING, CLONING = "waiting", "pretraining", "behaviour_cloning"
WARM_UP, TRAINING, CLONED = "critic_warmup", "training", "cloned"
QUIET = 0.3  # s without a step after which the demonstrations are taken to be complete
PEOPLE = (0.0, 1.0, 1.0)
"""Shares of a batch without the policy's own steps, in the order of Source."""


@dataclass(frozen=True)
class Policy:
    """A version of the actor, ready to be sent."""

    version: int
    data: bytes


class Learner:
    """The learner without ROS: steps in, policies out, one unit of ``work`` at a time.

    ``experience.add`` and ``phase`` may come from another thread than ``work``.

    Args:
        parameters: the node's.
        observation, action: the run's specs.
        refresher: trains the encoder, where ``trained_apart`` says that one is needed.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        parameters: LearnerParameters,
        observation: ObservationSpec,
        action: ActionSpec,
        refresher: Refresher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        p = parameters
        seeing = encoder_spec(p, observation)
        features = seeing.feature_dim if seeing is not None else 0
        architecture = Architecture(
            observation.state_dim + features,
            action.arm_dim,
            action.gripper,
            p.hidden,
            p.activation,
        )
        # The encoder that the critics train, from frames in the buffer.
        critics = None if trained_apart(p, observation) else seeing
        self.parameters = p
        device = device_of(p.device)
        self.sac = Sac(architecture, p, p.seed, device)
        if critics is not None:
            encoder, shift = make_encoder(critics, p.seed), round(p.shift / critics.reduce)
            self.sac = PixelSac(architecture, p, encoder, shift, p.seed, device)
        self.buffer = _make_buffer(p, observation, action, 0 if critics else features, critics)
        self.experience = Experience(
            self.buffer, observation, action, p.gripper_penalty, seeing, critics is not None
        )
        self.sight = None
        if seeing is not None and critics is None:
            assert refresher is not None, "images need somebody who trains their encoder"
            self.sight = Sight(refresher, self.experience, p, observation.state_dim, clock)
        self.phase: Phase | None = None  # the run's; None until it is known
        self.stage = WAITING
        self.updates = 0  # of the critics; with HG-DAgger of the actor
        self.version = 0
        self.policy: Policy | None = None  # the newest
        self.last_step = -QUIET
        self._clock = clock
        self._cloned = 0
        self._critic = torch.zeros(len(CRITIC_METRICS))  # a critic_record: of no sample yet
        self._actor = torch.zeros(len(ACTOR_METRICS))
        self._checkpointed = clock()

    @property
    def encoder(self) -> Encoder | None:
        """What the policy sees with; None: nothing, or nothing yet."""
        return self.sac.encoder if isinstance(self.sac, PixelSac) else self.experience.encoder

    # -- resuming

    @property
    def checkpoint_path(self) -> Path:
        return Path(self.parameters.run) / "checkpoints" / checkpoint.FILE

    def restore_encoder(self) -> None:
        """Takes the checkpoint's encoder up, if there is one, before any episode is read."""
        if self.sight is not None and self.checkpoint_path.exists():
            encoder = checkpoint.read_encoder_of(self.checkpoint_path)
            if encoder is not None:
                self.experience.use(encoder)

    def resume(self) -> bool:
        """Goes on from the run's checkpoint, if it has one; the episodes are in already."""
        if not self.checkpoint_path.exists():
            return False
        progress = checkpoint.read(
            self.checkpoint_path, self.sac, self.buffer.rng, self.experience.spec
        )
        self.updates = int(progress["updates"])
        self.stage = str(progress["stage"])
        # What was published after the checkpoint was written may have acted since.
        self.version = max(int(progress["version"]), self.experience.policy_version)
        self._publish()
        return True

    def save(self) -> None:
        """Writes a checkpoint; before the first policy there is nothing worth it."""
        if self.policy is None:
            return
        progress = {"updates": self.updates, "stage": self.stage, "version": self.version}
        checkpoint.write(
            self.checkpoint_path,
            self.sac,
            self.buffer.rng,
            self.experience.spec,
            progress,
            self.experience.encoder,
        )

    # -- learning

    @property
    def owed(self) -> float:
        """Updates that the steps received so far ask for and that are not yet made."""
        p = self.parameters
        first = p.critic_warmup if p.algorithm == "rlpd" else 0
        return first + p.utd_ratio * self.experience.training_steps - self.updates

    def work(self) -> bool:
        """Does one thing that is due; returns False where nothing is."""
        self._checkpoint_if_due()
        if self.stage == WAITING:
            return self._begin()
        if self.sight is not None and self._look():
            return True
        if self.stage == PRETRAINING:
            return False
        if self.stage == CLONING:
            self._clone()
            return True
        if self.stage == CLONED or self.owed < 1 or not len(self.buffer):
            return False
        self._update()
        return True

    def _begin(self) -> bool:
        """Starts once the demonstrations are complete."""
        recording = self.phase in (None, Phase.RECORD) or self.experience.in_episode
        if recording or self._clock() - self.last_step < QUIET:
            return False
        if self.sight is not None and self.experience.encoder is None:
            self.stage = PRETRAINING
            self.sight.pretrain()
        else:
            self._clone_or_go_on()
        return True

    def _clone_or_go_on(self) -> None:
        people = self.buffer.count(Source.OFFLINE) + self.buffer.count(Source.HUMAN)
        if people and self.parameters.cloning_steps:
            self.stage = CLONING
        else:
            self._cloning_done()

    def _look(self) -> bool:
        """Follows the encoder's training; returns whether there was something to do."""
        assert self.sight is not None
        learned = self.stage in (WARM_UP, TRAINING, CLONED)
        if learned:
            self.sight.refresh_if_due()
        busy, changed = self.sight.work(self.sac.state if learned else None)
        if changed and self.stage == PRETRAINING:
            self._clone_or_go_on()
        elif changed:
            self._publish()
            self.save()  # a learner that starts anew is to have the encoder that acts
        return busy

    def _clone(self) -> None:
        steps = self.parameters.cloning_steps
        if self._cloned < steps:
            self._actor[1:2] = self.sac.cloning_update(self.buffer.sample(PEOPLE))
            self._cloned += 1
        if self._cloned >= steps:
            self._cloning_done()

    def _cloning_done(self) -> None:
        self.sac.restart_actor()
        following = {"rlpd": WARM_UP, "hg_dagger": TRAINING, "bc": CLONED}
        self.stage = following[self.parameters.algorithm]
        self._publish()
        self.save()

    def _update(self) -> None:
        p = self.parameters
        if p.algorithm == "hg_dagger":
            self._imitate()
        else:
            self._reinforce()
        if self.stage == TRAINING and self.updates % p.publish_updates == 0:
            self._publish()

    def _reinforce(self) -> None:
        p = self.parameters
        self._critic = self.sac.critic_update(self.buffer.sample())
        self.updates += 1
        if self.updates <= p.critic_warmup:
            return
        self.stage = TRAINING
        if self.updates % p.critic_updates_per_actor == 0:
            self._actor = self.sac.actor_update(self.buffer.sample())

    def _imitate(self) -> None:
        """HG-DAgger (Kelly et al. 2019, arXiv 1810.02890): clones all that people did so far.

        One small update for each step stands for its retraining after every rollout.
        """
        self._actor[1:2] = self.sac.cloning_update(self.buffer.sample(PEOPLE))
        self.updates += 1

    def _publish(self) -> None:
        self.version += 1
        data = encode(
            {name: value.cpu() for name, value in self.sac.acting.items()},
            self.sac.architecture,
            self.experience.spec,
            self.version,
            self.encoder,
        )
        self.policy = Policy(self.version, data)

    def _checkpoint_if_due(self) -> None:
        if self._clock() - self._checkpointed >= self.parameters.checkpoint_seconds:
            self._checkpointed = self._clock()
            self.save()

    def metrics(self) -> dict[str, float]:
        """How the last updates went; the value of a source that had no sample is left out."""
        result = critic_figures(self._critic.cpu())
        result |= zip(ACTOR_METRICS, self._actor.tolist(), strict=True)
        return {**result, **self.sight.metrics()} if self.sight is not None else result


def _make_buffer(
    p: LearnerParameters,
    observation: ObservationSpec,
    action: ActionSpec,
    feature_dim: int,
    critics: EncoderSpec | None,
) -> ReplayBuffer:
    """The store of a run's steps: with their features, or with frames for the critics' encoder."""
    return ReplayBuffer(
        p.capacity,
        observation.state_dim,
        action.arm_dim,
        feature_dim=feature_dim,
        frame_shape=critics.frame_shape if critics is not None else NO_FRAMES,
        batch_size=p.batch_size,
        weights=(p.policy_weight, p.human_weight, p.offline_weight),
        n_step=p.n_step,
        discount=p.discount,
        stop_at_source_change=p.stop_at_source_change,
        seed=p.seed,
    )
