"""What the learner takes in, and when it does what."""

from dataclasses import replace

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec, Field, ObservationSpec, run_spec_hash
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_learner.learner import CLONED, CLONING, TRAINING, WARM_UP, Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_policy.weights import decode

OBSERVATION = ObservationSpec(
    (Field("place", (-1.0, -1.0), (1.0, 1.0)), Field("gripper_command", (-1.0,), (1.0,)))
)
ACTION = ActionSpec("ee_delta", ("x", "y", "z", "gripper"), (0.02, 0.02, 0.02, 1.0))
SPEC = run_spec_hash(OBSERVATION, ACTION)
CLOSE, STAY, OPEN = -1.0, 0.0, 1.0


def episode(
    number: int,
    length: int = 5,
    phase: Phase = Phase.TRAIN,
    outcome: Outcome = Outcome.SUCCESS,
    gripper: float = STAY,
    command: float = -1.0,
    source: Source | None = None,
) -> list[Step]:
    """``length`` transitions and the last step."""
    acted = source or (Source.OFFLINE if phase == Phase.RECORD else Source.POLICY)
    steps = []
    for index in range(length + 1):
        last = index == length
        state = np.array([number / 100, index / 100, command], np.float32)
        step = Step(
            Observation(index, state),
            run="run",
            phase=phase,
            episode=number,
            index=index,
            spec=SPEC,
            policy_version=3,
            is_first=index == 0,
        )
        if last:
            terminal = outcome == Outcome.SUCCESS
            step = replace(step, is_last=True, is_terminal=terminal, outcome=outcome)
        else:
            action = np.array([0.1, 0.2, 0.3, gripper], np.float32)
            reward = float(index == length - 1 and outcome == Outcome.SUCCESS)
            step = replace(step, action=action, source=acted, reward=reward)
        steps.append(step)
    return steps


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    def make(**changes) -> Learner:
        values = {
            "run": str(tmp_path),
            "hidden": (8, 8),
            "batch_size": 16,
            "cloning_steps": 3,
            "critic_warmup": 4,
            "publish_updates": 5,
            "utd_ratio": 2.0,
            **changes,
        }
        return Learner(LearnerParameters(**values), OBSERVATION, ACTION, clock=clock)

    return make


def _add(learner: Learner, steps: list[Step]) -> list[bool]:
    return [learner.experience.add(step) for step in steps]


def _drain(learner: Learner) -> None:
    while learner.work():
        pass


def test_a_step_counts_once_however_often_it_comes(make):
    learner = make()
    steps = episode(0)
    assert all(_add(learner, steps))
    assert not any(_add(learner, steps))
    assert len(learner.buffer) == learner.experience.training_steps == 5


def test_a_step_can_be_learned_from_when_the_next_has_come(make):
    learner = make()
    for number, step in enumerate(episode(0)):
        learner.experience.add(step)
        assert len(learner.buffer) == number


def test_bags_and_live_steps_join_without_a_seam(make):
    """A learner that starts anew in mid-episode has its first part from the bag."""
    learner, steps = make(), episode(0, length=8)
    _add(learner, steps[:4])
    _add(learner, steps[2:])
    assert len(learner.buffer) == 8


def test_a_gap_makes_no_transition(make):
    learner, steps = make(), episode(0, length=8)
    _add(learner, steps[:3] + steps[5:])
    assert len(learner.buffer) == 2 + 3


def test_a_step_shows_which_episodes_were_missed(make):
    experience = make().experience
    zero, one, five = (episode(number) for number in (0, 1, 5))
    assert experience.missed(zero[0]) == range(0)
    assert list(experience.missed(one[0])) == [0]  # begun before this learner was there
    for step in zero:
        assert not experience.missed(step)
        experience.add(step)
    assert list(experience.missed(five[0])) == [1, 2, 3, 4]
    assert list(experience.missed(five[3])) == [1, 2, 3, 4, 5]
    for step in one[:3]:
        experience.add(step)
    assert list(experience.missed(five[0])) == [1, 2, 3, 4]  # 1 has not ended
    assert not experience.missed(one[3])
    assert not experience.missed(episode(9, phase=Phase.EVALUATE)[0])


def test_evaluations_are_not_learned_from(make):
    learner = make()
    assert not any(_add(learner, episode(0, phase=Phase.EVALUATE)))
    assert len(learner.buffer) == 0


def test_a_step_of_another_spec_is_refused(make):
    with pytest.raises(UserError, match="spec"):
        make().experience.add(replace(episode(0)[0], spec="other"))


@pytest.mark.parametrize(
    ("phase", "outcome", "kept"),
    [
        (Phase.TRAIN, Outcome.TIMEOUT, 5),
        (Phase.TRAIN, Outcome.ABORTED, 0),
        (Phase.RECORD, Outcome.SUCCESS, 5),
        (Phase.RECORD, Outcome.TIMEOUT, 0),
    ],
)
def test_what_was_given_up_or_failed_to_demonstrate_goes(make, phase, outcome, kept):
    learner = make()
    _add(learner, episode(0, phase=phase, outcome=outcome))
    assert len(learner.buffer) == kept


@pytest.mark.parametrize(
    ("gripper", "command", "penalised"),
    [
        (CLOSE, -1.0, True),
        (OPEN, 1.0, True),
        (CLOSE, 1.0, False),
        (OPEN, -1.0, False),
        (STAY, 1.0, False),
    ],
)
def test_a_change_of_the_gripper_costs(make, gripper, command, penalised):
    learner = make(n_step=1)
    _add(learner, episode(0, gripper=gripper, command=command, outcome=Outcome.TIMEOUT))
    rewards = learner.buffer.sample().reward
    assert rewards.numpy() == pytest.approx(-0.02 if penalised else 0.0)


def test_it_waits_for_the_demonstrations_to_be_complete(make, clock):
    learner = make()
    assert not learner.work()
    learner.phase = Phase.RECORD
    _add(learner, episode(0, phase=Phase.RECORD))
    assert not learner.work()
    learner.phase = Phase.TRAIN
    learner.last_step = clock.now
    assert not learner.work()
    clock.now += 1.0
    assert learner.work()
    assert learner.stage == CLONING
    _drain(learner)
    assert learner.stage == WARM_UP
    assert learner.policy is not None
    assert learner.updates == 4  # critics only, before any training step


def test_updates_follow_the_steps_received(make, clock):
    learner = make()
    _add(learner, episode(0, phase=Phase.RECORD))
    learner.phase = Phase.TRAIN
    _drain(learner)
    actor = learner.sac.state.actor.parameters["0.weight"].clone()
    _add(learner, episode(1, length=10))
    _drain(learner)
    assert learner.stage == TRAINING
    assert learner.updates == 4 + 2 * 10
    assert not np.array_equal(actor, learner.sac.state.actor.parameters["0.weight"])
    assert not learner.work()


def test_policies_are_published_as_it_goes_and_can_be_read(make):
    learner = make()
    _add(learner, episode(0, phase=Phase.RECORD))
    learner.phase = Phase.TRAIN
    _drain(learner)
    first = learner.version
    _add(learner, episode(1, length=10))
    _drain(learner)
    assert learner.version == first + 4  # at updates 5, 10, 15, 20 of 24
    assert decode(learner.policy.data, SPEC).version == learner.version


def test_without_demonstrations_it_begins_with_what_it_has(make):
    learner = make()
    learner.phase = Phase.TRAIN
    _drain(learner)
    assert learner.policy is not None
    _add(learner, episode(0))
    _drain(learner)
    assert learner.updates == 4 + 2 * 5


def test_behaviour_cloning_alone_stops_there(make):
    learner = make(algorithm="bc")
    _add(learner, episode(0, phase=Phase.RECORD))
    learner.phase = Phase.EVALUATE
    _drain(learner)
    assert learner.stage == CLONED
    _add(learner, episode(1))
    _drain(learner)
    assert learner.updates == 0


def test_hg_dagger_clones_each_correction_as_it_comes(make):
    learner = make(algorithm="hg_dagger", cloning_learning_rate=0.01)
    _add(learner, episode(0, phase=Phase.RECORD))
    learner.phase = Phase.TRAIN
    _drain(learner)
    assert learner.stage == TRAINING
    assert learner.updates == 0  # no critics to warm up
    critic = learner.sac.state.critic.parameters["0.weight"].clone()
    corrected = np.array([-0.5, 0.5, 0.0, STAY], np.float32)
    steps = episode(1, length=20, source=Source.HUMAN)[:-1]
    state = OBSERVATION.normalise(steps[0].observation.state)
    before = decode(learner.policy.data, SPEC).network.act(state, deterministic=True)
    _add(learner, [replace(step, action=corrected) for step in steps])
    _drain(learner)
    assert learner.updates == 2 * 20
    assert learner.version == 1 + 8  # once when cloned, then at every fifth update
    after = decode(learner.policy.data, SPEC).network.act(state, deterministic=True)
    assert np.abs(after - corrected)[:2].sum() < np.abs(before - corrected)[:2].sum()
    assert np.array_equal(critic, learner.sac.state.critic.parameters["0.weight"])


def test_a_resumed_learner_goes_on_and_never_reuses_a_version(make, clock):
    learner = make()
    _add(learner, episode(0, phase=Phase.RECORD))
    learner.phase = Phase.TRAIN
    _drain(learner)
    _add(learner, episode(1))
    _drain(learner)
    clock.now += 100
    learner.work()
    acted = [replace(step, policy_version=40) for step in episode(2)]
    other = make()
    for steps in (episode(0, phase=Phase.RECORD), episode(1), acted):
        _add(other, steps)
    assert other.resume()
    assert other.stage == TRAINING
    assert other.version == 41
    other.phase = Phase.TRAIN
    _drain(other)
    assert other.updates == 4 + 2 * 10
