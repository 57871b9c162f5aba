"""Probe environments after Andy Jones: each with a known Q, each testing one more thing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hilserl_core.step import Source
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture, PolicyNetwork, critic_forward
from hilserl_replay.buffer import ReplayBuffer

SETTINGS = AlgorithmParameters(
    hidden=(32, 32),
    batch_size=64,
    learning_rate=3e-3,
    polyak=0.05,
    discount=0.5,
    n_step=1,
    initial_temperature=1e-3,
)
CLOSE, STAY = 0, 1


def _learner(n_step: int = 1, **changes: object) -> tuple[Sac, ReplayBuffer]:
    buffer = ReplayBuffer(4000, 1, 1, batch_size=64, n_step=n_step, discount=SETTINGS.discount)
    return Sac(Architecture(1, 1, True, (32, 32)), replace(SETTINGS, **changes)), buffer


def _add(buffer, states, actions, grippers, rewards, terminal=True):
    buffer.add_episode(
        np.array(states, np.float32)[:, None],
        np.array(actions, np.float32)[:, None],
        np.array(grippers),
        np.array(rewards, np.float32),
        [Source.POLICY] * len(actions),
        terminal,
    )


def _train(sac: Sac, buffer: ReplayBuffer, updates: int) -> None:
    torch.set_num_threads(1)
    for _ in range(updates):
        sac.update(buffer.sample())


def _q(sac: Sac, state: float, action: float, gripper: int = STAY) -> float:
    q = critic_forward(
        sac.state.critic.parameters,
        torch.tensor([[state]]),
        torch.tensor([[action]]),
        sac.architecture,
    )
    return q[:, gripper, 0].mean().item()


def _act(sac: Sac, state: float) -> np.ndarray:
    parameters = {k: v.numpy() for k, v in sac.state.actor.parameters.items()}
    network = PolicyNetwork(sac.architecture, parameters)
    return network.act(np.array([state], np.float32), deterministic=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_constant_reward_is_learned(rng):
    sac, buffer = _learner()
    for _ in range(200):
        _add(buffer, [0, 0], [rng.uniform(-1, 1)], [rng.integers(3)], [1.0])
    _train(sac, buffer, 200)
    assert _q(sac, 0, 0.3) == pytest.approx(1.0, abs=0.1)


def test_a_reward_by_observation_is_told_apart(rng):
    sac, buffer = _learner()
    for _ in range(300):
        state = rng.choice([-1, 1])
        _add(buffer, [state, 0], [rng.uniform(-1, 1)], [rng.integers(3)], [state])
    _train(sac, buffer, 300)
    assert _q(sac, 1, 0.0) == pytest.approx(1.0, abs=0.15)
    assert _q(sac, -1, 0.0) == pytest.approx(-1.0, abs=0.15)


@pytest.mark.parametrize("n_step", [1, 2])
def test_a_delayed_reward_is_discounted(rng, n_step):
    sac, buffer = _learner(n_step)
    for _ in range(300):
        actions, grippers = rng.uniform(-1, 1, 2), rng.integers(0, 3, 2)
        _add(buffer, [-1, 1, 0], actions, grippers, [0.0, 1.0])
    _train(sac, buffer, 400)
    assert _q(sac, 1, 0.0) == pytest.approx(1.0, abs=0.1)
    assert _q(sac, -1, 0.0) == pytest.approx(0.5, abs=0.1)


def test_a_time_out_is_bootstrapped_through(rng):
    sac, buffer = _learner()
    for _ in range(300):
        _add(buffer, [1, 1], [rng.uniform(-1, 1)], [rng.integers(3)], [1.0], terminal=False)
    _train(sac, buffer, 700)
    assert _q(sac, 1, 0.0) == pytest.approx(1 / (1 - SETTINGS.discount), abs=0.2)


@pytest.mark.parametrize(
    "changes",
    [{}, {"dropout": 0.02, "gradient_limit": 1.0}, {"cloning": "silri", "initial_multiplier": 5.0}],
)
def test_a_reward_by_action_is_acted_on(rng, changes):
    sac, buffer = _learner(**changes)
    for _ in range(500):
        action, gripper = rng.uniform(-1, 1), rng.integers(3)
        reward = -((action - 0.5) ** 2) + 0.5 * (gripper == CLOSE)
        _add(buffer, [0, 0], [action], [gripper], [reward])
    _train(sac, buffer, 600)
    action = _act(sac, 0)
    assert action[0] == pytest.approx(0.5, abs=0.2)
    assert action[1] == -1.0


def test_the_best_action_depends_on_the_observation(rng):
    sac, buffer = _learner()
    for _ in range(800):
        state, action, gripper = rng.choice([-1, 1]), rng.uniform(-1, 1), rng.integers(3)
        # The gripper should close only where the arm moves right: the critic sees both.
        reward = float(action * state) * (1.0 if (gripper == CLOSE) == (action > 0) else 0.2)
        _add(buffer, [state, 0], [action], [gripper], [reward])
    _train(sac, buffer, 1000)
    right, left = _act(sac, 1), _act(sac, -1)
    assert right[0] > 0.6
    assert right[1] == -1.0
    assert left[0] < -0.6
    assert left[1] != -1.0
