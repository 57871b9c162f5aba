"""A learner that is saved and resumed goes on as if nothing had happened."""

import numpy as np
import pytest
import torch

from hilserl_core.errors import UserError
from hilserl_learner import checkpoint
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture
from hilserl_replay.buffer import ReplayBuffer

# What is saved takes long to make, and most tests only read it.
pytestmark = pytest.mark.xdist_group("checkpoint")

SETTINGS = AlgorithmParameters(
    hidden=(16, 16), batch_size=32, critics=3, target_subset=2, dropout=0.1, cloning="silri"
)


def _sac(seed: int, hidden: int = 16) -> Sac:
    return Sac(Architecture(4, 3, True, (hidden, hidden)), SETTINGS, seed)


def _buffer(seed: int) -> ReplayBuffer:
    buffer = ReplayBuffer(500, 4, 3, batch_size=32, seed=seed)
    rng = np.random.default_rng(8)
    for _ in range(10):
        buffer.add_episode(
            rng.normal(size=(21, 4)),
            rng.uniform(-1, 1, (20, 3)),
            rng.integers(0, 3, 20),
            rng.random(20),
            rng.integers(0, 3, 20),
            True,
        )
    return buffer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The checkpoint's bytes, and the learner and the buffer that it is of."""
    sac, buffer = _sac(1), _buffer(1)
    for _ in range(5):
        sac.update(buffer.sample())
    path = tmp_path_factory.mktemp("made") / "run" / "learner.safetensors"
    checkpoint.write(path, sac, buffer.rng, "spec", {"updates": 5, "stage": "training"})
    assert [file.name for file in path.parent.iterdir()] == [path.name], "nothing else is left"
    return path.read_bytes(), sac, buffer


@pytest.fixture
def path(made, tmp_path):
    result = tmp_path / "learner.safetensors"
    result.write_bytes(made[0])
    return result


def test_what_is_resumed_learns_bit_for_bit_the_same(made, path):
    _, sac, buffer = made
    other, other_buffer = _sac(2), _buffer(2)
    progress = checkpoint.read(path, other, other_buffer.rng, "spec")
    assert progress == {"updates": 5, "stage": "training"}
    for _ in range(5):
        assert torch.equal(sac.update(buffer.sample()), other.update(other_buffer.sample()))
    for name, value in sac.state.critic.parameters.items():
        assert torch.equal(value, other.state.critic.parameters[name])
    for mine, theirs in zip(sac.state.restraint, other.state.restraint, strict=True):
        assert torch.equal(mine.updates, theirs.updates)
    for name, value in sac.state.actor.second.items():
        assert torch.equal(value, other.state.actor.second[name])


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_damaged_checkpoint_is_refused_in_one_line_and_kept(path, keep):
    damaged = path.read_bytes()[:keep]
    path.write_bytes(damaged)
    sac, buffer = _sac(2), _buffer(2)
    before = sac.state.actor.parameters["0.weight"].clone()
    with pytest.raises(UserError, match="damaged") as caught:
        checkpoint.read(path, sac, buffer.rng, "spec")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == damaged
    assert torch.equal(sac.state.actor.parameters["0.weight"], before)


def test_a_checkpoint_of_another_spec_is_refused(path):
    with pytest.raises(UserError, match="spec"):
        checkpoint.read(path, _sac(1), _buffer(1).rng, "other")


def test_a_checkpoint_of_another_architecture_is_refused(path):
    with pytest.raises(UserError, match="shape"):
        checkpoint.read(path, _sac(1, hidden=8), _buffer(1).rng, "spec")
