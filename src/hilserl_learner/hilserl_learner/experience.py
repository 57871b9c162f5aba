"""Steps on their way into the replay buffer: checked, normalised, each counted once."""

from __future__ import annotations

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
from hilserl_replay.buffer import ReplayBuffer

LEARNED_FROM = (Phase.RECORD, Phase.TRAIN)


class Experience:
    """Adds the steps of a run to its buffer, live or from bags, in any overlap of the two.

    Args:
        buffer: where they go.
        observation, action: the run's specs.
        gripper_penalty: reward for each change of the commanded gripper.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        observation: ObservationSpec,
        action: ActionSpec,
        gripper_penalty: float,
    ):
        if action.gripper and "gripper_command" not in observation.slices:
            raise UserError("observation has no 'gripper_command': the gripper penalty needs it")
        self.buffer = buffer
        self.spec = run_spec_hash(observation, action)
        self._observation, self._action = observation, action
        self._gripper_penalty = gripper_penalty
        self._newest: dict[tuple[str, int], int] = {}  # (run, episode): highest index so far
        self._open: tuple[str, int] | None = None
        self.demonstrations = 0  # successful episodes of phase RECORD
        self.training_steps = 0  # steps received in phase TRAIN
        self.policy_version = 0  # the highest that acted

    @property
    def in_episode(self) -> bool:
        """Whether an episode has begun and its last step has not arrived."""
        return self._open is not None

    def add_episode(self, episode: Episode) -> None:
        """Adds an episode from a bag; one that a crash cut off stays open for its rest."""
        for step in episode.steps:
            self.add(step)

    def add(self, step: Step) -> bool:
        """Adds a step; returns False where it is known already or not to be learned from.

        Raises:
            UserError: it was made with another observation or action space.
        """
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
        self.buffer.append(state, arm, choice, reward, step.source)
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
            self.buffer.discard()
            return
        self.buffer.end(self._observation.normalise(step.observation.state), step.is_terminal)
        self.demonstrations += recording

    def _cut_short(self) -> None:
        """Closes an episode of which no more will come."""
        if self._recording:
            self.buffer.discard()
        else:
            self.buffer.close()

    def counts(self) -> dict[str, int]:
        """Steps in the buffer by source."""
        return {source.name.lower(): self.buffer.count(source) for source in Source}
