"""Steps on their way into the replay buffer: checked, normalised, each counted once."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.spec import (
    GRIPPER_CLOSE,
    GRIPPER_OPEN,
    GRIPPER_STAY,
    ActionSpec,
    ObservationSpec,
    gripper_choice,
    run_spec_hash,
)
from hilserl_core.step import Episode, Outcome, Phase, Source, Step
from hilserl_learner.encoder_training import Refresh
from hilserl_policy.encoders import Encoder, EncoderSpec, reduce_images
from hilserl_replay.buffer import ReplayBuffer

LEARNED_FROM = (Phase.RECORD, Phase.TRAIN)


class Experience:
    """Adds the steps of a run to its buffer, live or from bags, in any overlap of the two.

    Args:
        buffer: where they go.
        observation, action: the run's specs.
        gripper_penalty: reward for each change of the commanded gripper.
        encoder: spec of what encodes the images; None: the policy sees none.
        hold_frames: the buffer holds the images themselves, and nobody encodes them here.

    Attributes:
        encoder: the one whose features the buffer holds; None before the first.
        lock: held while steps enter, and by whoever changes encoder and features.
        frames: and normalised states of observations that no refresh has covered yet, by
            serial number.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        observation: ObservationSpec,
        action: ActionSpec,
        gripper_penalty: float,
        encoder: EncoderSpec | None = None,
        hold_frames: bool = False,
    ):
        if action.gripper and "gripper_command" not in observation.slices:
            raise UserError("observation has no 'gripper_command': the gripper penalty needs it")
        self.buffer = buffer
        self.spec = run_spec_hash(observation, action)
        self._observation, self._action = observation, action
        self._gripper_penalty = gripper_penalty
        self._encoder_spec, self._hold_frames = encoder, hold_frames
        self.encoder: Encoder | None = None
        self.encoder_hash = ""
        self.lock = threading.RLock()
        self.frames: dict[int, tuple[NDArray[np.uint8], NDArray[np.float32]]] = {}
        self._serials: dict[tuple[str, int], dict[int, int]] = {}  # by index in the episode
        self._newest: dict[tuple[str, int], int] = {}  # (run, episode): highest index so far
        self._open: tuple[str, int] | None = None
        self.demonstrations = 0  # successful episodes of phase RECORD
        self.training_steps = 0  # steps received in phase TRAIN
        self.policy_version = 0  # the highest that acted

    @property
    def in_episode(self) -> bool:
        """Whether an episode has begun and its last step has not arrived."""
        return self._open is not None

    def add_episode(self, episode: Episode, read_again: bool = False) -> None:
        """Adds an episode from a bag; one that a crash cut off stays open for its rest.

        Args:
            episode: as it was read.
            read_again: the next refresh will have read its bag as well, if it has ended: nobody
                needs its frames here.
        """
        with self.lock:
            for step in episode.steps:
                self._add(step)
            last = episode.steps[-1]
            if read_again and last.is_last:
                for serial in self._serials.get((last.run, last.episode), {}).values():
                    self.frames.pop(serial, None)

    def add(self, step: Step) -> bool:
        """Adds a step; returns False where it is known already or not to be learned from.

        Raises:
            UserError: it was made with another observation or action space, or its features
                with another encoder and it has no images.
        """
        with self.lock:
            return self._add(step)

    def _add(self, step: Step) -> bool:
        if step.phase not in LEARNED_FROM:
            return False
        if step.spec != self.spec:
            raise UserError(
                f"step {step.index} of episode {step.episode} of run '{step.run}' has spec "
                f"{step.spec or 'none'}, the learner {self.spec}: start every node with the "
                "same task, observation and action space"
            )
        key = (step.run, step.episode)
        known = self._newest.get(key, -1)
        if step.index <= known:
            return False
        if self._open is not None and (self._open != key or step.index != known + 1):
            self._cut_short()
        self._newest[key] = step.index
        self._open = key
        self.policy_version = max(self.policy_version, step.policy_version)
        if step.is_last:
            self._end(step)
        else:
            self._append(step)
        return True

    def missed(self, step: Step) -> range:
        """Numbers of episodes, up to the step's own, that hold steps which have not come.

        A sender that dies takes with it what it had not delivered yet; the bags have it.
        """
        if step.phase not in LEARNED_FROM:
            return range(0)
        last = max((number for run, number in self._newest if run == step.run), default=-1)
        first = last if self._open == (step.run, last) else last + 1
        jumps = step.index > self._newest.get((step.run, step.episode), -1) + 1
        return range(first, step.episode + jumps)

    def _append(self, step: Step) -> None:
        action = self._action.check(step.action)
        arm = action[: self._action.arm_dim]
        choice = int(gripper_choice(action[-1])) if self._action.gripper else GRIPPER_STAY
        reward = step.reward
        if self._action.gripper and self._toggles(step, choice):
            reward += self._gripper_penalty
        self._observation.check_state(step.observation.state)
        state = self._observation.normalise(step.observation.state)
        features, frame = self._see(step, state)
        held = frame if self._hold_frames else None
        serial = self.buffer.append(state, arm, choice, reward, step.source, features, held)
        self._note(step, serial, frame, state)
        self._recording = step.phase == Phase.RECORD
        self.training_steps += step.phase == Phase.TRAIN

    def _toggles(self, step: Step, choice: int) -> bool:
        """Whether an action changes what the gripper was last told."""
        at = self._observation.slices["gripper_command"]
        closed = self._observation.normalise(step.observation.state)[at][0] > 0
        return choice == (GRIPPER_OPEN if closed else GRIPPER_CLOSE)

    def _end(self, step: Step) -> None:
        """Closes the open episode. What was given up, or failed to demonstrate, goes."""
        self._open = None
        recording = step.phase == Phase.RECORD
        if step.outcome == Outcome.ABORTED or (recording and step.outcome != Outcome.SUCCESS):
            self._discard((step.run, step.episode))
            return
        state = self._observation.normalise(step.observation.state)
        features, frame = self._see(step, state)
        held = frame if self._hold_frames else None
        serial = self.buffer.end(state, step.is_terminal, features, held)
        self._note(step, serial, frame, state)
        self.demonstrations += recording
        self._forget_old()

    def _cut_short(self) -> None:
        """Closes an episode of which no more will come."""
        if self._recording:
            assert self._open is not None
            self._discard(self._open)
        else:
            self.buffer.close()

    def _discard(self, key: tuple[str, int]) -> None:
        """Takes the open episode out of the buffer."""
        self.buffer.discard()
        for serial in self._serials.pop(key, {}).values():
            self.frames.pop(serial, None)

    def _forget_old(self) -> None:
        """Forgets where episodes lay that have left the buffer; the oldest come first."""
        while self._serials:
            oldest = next(iter(self._serials))
            if self.buffer.holds(np.array(max(self._serials[oldest].values()))):
                return
            del self._serials[oldest]

    # -- images

    def _see(
        self, step: Step, state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float16] | None, NDArray[np.uint8] | None]:
        """A step's features, None before there is an encoder, and its reduced frame."""
        if self._encoder_spec is None:
            return None, None
        frame = None
        if step.observation.images:
            frame = reduce_images(step.observation.images, self._encoder_spec.reduce)
        if self._hold_frames and frame is None:
            raise UserError(
                f"step {step.index} of episode {step.episode} of run '{step.run}' has no images, "
                "and an encoder that is trained end to end needs them: give a run that was "
                "recorded with its images"
            )
        if self.encoder is None:
            return None, frame
        if step.encoder == self.encoder_hash:
            features = np.frombuffer(step.features, "<f2")
            if features.size != self._encoder_spec.feature_dim:
                raise UserError(
                    f"step {step.index} of episode {step.episode} of run '{step.run}' has "
                    f"{features.size} features, its encoder {step.encoder} makes "
                    f"{self._encoder_spec.feature_dim}: record it again"
                )
            return features, frame
        if frame is None:
            raise UserError(
                f"step {step.index} of episode {step.episode} of run '{step.run}' has features of "
                f"encoder {step.encoder or 'none'}, the learner has {self.encoder_hash}, and it "
                "has no images to encode anew: give a run that was recorded with its images"
            )
        return self.encoder.encode(frame[None], state[None])[0], frame

    def _note(
        self,
        step: Step,
        serial: int,
        frame: NDArray[np.uint8] | None,
        state: NDArray[np.float32],
    ) -> None:
        """Remembers where a step's observation lies, for features to come."""
        if self._encoder_spec is not None and not self._hold_frames:
            self._serials.setdefault((step.run, step.episode), {})[step.index] = serial
            if frame is not None:
                self.frames[serial] = (frame, state)

    def use(self, encoder: Encoder) -> None:
        """Takes an encoder; what is in the buffer keeps its features."""
        self.encoder, self.encoder_hash = encoder, encoder.hash()

    def forget_frames(self) -> None:
        """Lets go of the frames, where no encoder will come that wants them."""
        with self.lock:
            self.frames.clear()

    def covered(self, refresh: Refresh) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Serial numbers (n,) of the held observations that a refresh encoded, and features."""
        serials = np.full(len(refresh.indices), -1, np.int64)
        start = 0
        for run, number, count in refresh.keys:
            known = self._serials.get((run, number), {})
            for row in range(start, start + count):
                serials[row] = known.get(int(refresh.indices[row]), -1)
            start += count
        kept = (serials >= 0) & self.buffer.holds(serials)
        return serials[kept], refresh.features[kept]

    def counts(self) -> dict[str, int]:
        """Steps in the buffer by source."""
        return {source.name.lower(): self.buffer.count(source) for source in Source}
