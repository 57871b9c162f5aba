"""The update where the critics train the encoder."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from hilserl_core.step import Source
from hilserl_learner import checkpoint
from hilserl_learner.acceleration import Compiled
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.pixels import PixelSac
from hilserl_learner.sac import Sac
from hilserl_policy.encoders import EncoderSpec, make_encoder
from hilserl_policy.networks import Architecture, PolicyNetwork, critic_forward
from hilserl_replay.buffer import Batch, ReplayBuffer

SPEC = EncoderSpec(("front",), 16, 16, keypoints=4, reduce=1)
ARCHITECTURE = Architecture(1 + SPEC.feature_dim, 1, True, (32, 32))
SETTINGS = AlgorithmParameters(
    hidden=(32, 32),
    batch_size=64,
    learning_rate=3e-3,
    polyak=0.05,
    discount=0.5,
    n_step=1,
    initial_temperature=1e-3,
)


def learner(shift: int = 1, **changes) -> PixelSac:
    return PixelSac(ARCHITECTURE, replace(SETTINGS, **changes), make_encoder(SPEC), shift)


def square(column: int, row: int = 8) -> np.ndarray:
    """A frame (1, 3, 16, 16), dark but for a bright square."""
    frame = np.full((1, 3, 16, 16), 30, np.uint8)
    frame[:, :, row - 2 : row + 2, column - 2 : column + 2] = 220
    return frame


def buffer_of(count: int, reward, n_step: int = 1, action=None) -> ReplayBuffer:
    """Episodes of one step, in each of which the square is somewhere else."""
    rng = np.random.default_rng(0)
    buffer = ReplayBuffer(4 * count, 1, 1, frame_shape=SPEC.frame_shape, batch_size=64)
    zero = np.zeros(1, np.float32)
    for _ in range(count):
        place = rng.uniform(-1, 1)
        frame = square(round(8 + 5 * place), rng.integers(3, 14))
        act = rng.uniform(-1, 1) if action is None else action(place)
        acted = np.array([act], np.float32)
        source = Source.POLICY if action is None else Source.OFFLINE
        buffer.append(zero, acted, 1, reward(place, act), source, None, frame)
        buffer.end(zero, True, None, frame)
    return buffer


def features(sac: PixelSac, frame: np.ndarray) -> torch.Tensor:
    state = np.zeros((1, 1), np.float32)
    return torch.from_numpy(sac.encoder.encode(frame[None], state).astype(np.float32))


def act(sac: PixelSac, column: int) -> float:
    parameters = {k: v.numpy() for k, v in sac.state.actor.parameters.items()}
    state = np.concatenate((np.zeros(1, np.float32), features(sac, square(column))[0].numpy()))
    return float(PolicyNetwork(ARCHITECTURE, parameters).act(state, deterministic=True)[0])


def test_what_is_worth_seeing_is_learned_from_the_reward():
    """The value lies in where the square is, and in nothing else."""
    sac, buffer = learner(shift=0), buffer_of(300, lambda place, act: place)
    torch.set_num_threads(1)
    for _ in range(250):
        sac.critic_update(buffer.sample())
    for column, expected in ((3, -1.0), (8, 0.0), (13, 1.0)):
        state = torch.cat((torch.zeros(1, 1), features(sac, square(column))), 1)
        q = critic_forward(sac.state.critic.parameters, state, torch.zeros(1, 1), sac.architecture)
        assert q[:, 1, 0].mean().item() == pytest.approx(expected, abs=0.25)


def test_cloning_alone_learns_to_see_too():
    buffer = buffer_of(200, lambda place, act: 0.0, action=lambda place: 0.8 * np.sign(place))
    sac = learner(shift=0)
    for _ in range(150):
        sac.cloning_update(buffer.sample())
    assert act(sac, 12) > 0.4
    assert act(sac, 4) < -0.4


@pytest.fixture(scope="module")
def batch() -> Batch:
    sample = buffer_of(50, lambda place, act: place * act).sample()
    return Batch(*(tensor.clone() for tensor in sample))


def test_critics_and_encoder_move_and_the_actor_moves_the_encoder_no_further(batch):
    sac = learner()
    encoder = {k: v.clone() for k, v in sac.encoder.state_dict().items()}
    sac.critic_update(batch)
    moved = sac.encoder.state_dict()
    assert all(not torch.equal(moved[name], value) for name, value in encoder.items())
    encoder = {k: v.clone() for k, v in moved.items()}
    actor = sac.state.actor.parameters["0.weight"].clone()
    sac.actor_update(batch)
    assert all(torch.equal(v, encoder[k]) for k, v in sac.encoder.state_dict().items())
    assert not torch.equal(actor, sac.state.actor.parameters["0.weight"])


def test_the_critics_move_as_they_would_on_the_encoders_features(batch):
    """The same update without pixels, on features made before, is the oracle."""
    sac, plain = learner(), Sac(ARCHITECTURE, SETTINGS)
    seen = sac._seen(sac.state, batch)
    following = sac._see(sac.state.vision.parameters, batch.next_frames, batch.next_state)
    features_batch = seen._replace(next_state=torch.cat((batch.next_state, following), 1))
    noise, subset = torch.zeros(1, 64), torch.arange(2)
    with torch.no_grad():
        mine = sac.update_critic(sac.state, batch, noise, subset)
        theirs = plain.update_critic(plain.state, features_batch, noise, subset)
    torch.testing.assert_close(mine, theirs)
    for name, value in plain.state.critic.parameters.items():
        torch.testing.assert_close(sac.state.critic.parameters[name], value)


def test_the_encoder_moves_by_the_gradient_that_autograd_gives(batch):
    sac, noise, subset = learner(), torch.zeros(1, 64), torch.arange(2)
    critic, vision = copy.deepcopy((sac.state.critic, sac.state.vision))
    following = sac._see(vision.parameters, batch.next_frames, batch.next_state)
    ahead = batch._replace(next_state=torch.cat((batch.next_state, following), 1))
    with torch.no_grad():
        target = sac.critic_target(sac.state, ahead, noise, subset)
        sac.update_critic(sac.state, batch, noise, subset)
    leaves = [
        {name: value.detach().requires_grad_() for name, value in each.parameters.items()}
        for each in (critic, vision)
    ]
    with torch.enable_grad():
        features = sac._see(leaves[1], batch.frames, batch.state)
        x, loss = torch.cat((batch.state, features, batch.action), 1), torch.zeros(())
        for head in range(2):
            plain, h = {name: value[head] for name, value in leaves[0].items()}, x
            for layer in range(2):
                h = h @ plain[f"{layer}.weight"] + plain[f"{layer}.bias"]
                h = torch.relu(torch.nn.functional.layer_norm(h, h.shape[-1:]))
            q = h @ plain["out.weight"].T + plain["out.bias"].T
            loss = loss + (q.gather(1, batch.gripper[:, None])[:, 0] - target).square().mean()
        wanted = [leaf for each in leaves for leaf in each.values()]
        expected = torch.autograd.grad(loss, wanted)
    moved = [*sac.state.critic.first.values(), *sac.state.vision.first.values()]
    for first, gradient in zip(moved, expected, strict=True):
        torch.testing.assert_close(first, 0.1 * gradient, rtol=1e-3, atol=1e-6)


def test_observations_and_their_successors_are_moved_independently(batch):
    sac = learner(shift=2)
    first, second = sac._moved(batch.frames), sac._moved(batch.frames)
    assert not torch.equal(first, second)
    assert torch.equal(learner(shift=0)._moved(batch.frames), batch.frames)


def _steps(sac: PixelSac) -> list[tuple[str, tuple]]:
    """The steps, and what each takes after state and batch."""
    chance = (sac._noise, sac._subset, sac._target_dropout, sac._dropout)
    return [("critic_step", chance), ("actor_step", chance[::3]), ("cloning_step", ())]


def test_a_step_stays_on_its_device(batch):
    """On torch's device without numbers, an operand from the CPU is an error."""
    sac = learner(cloning="silri")
    elsewhere = partial(tree_map_only, torch.Tensor, partial(torch.empty_like, device="meta"))
    sac.encoder.to("meta")
    sac._target_entropy = elsewhere(sac._target_entropy)
    with torch.no_grad():
        for step, chance in _steps(sac):
            inputs = elsewhere((sac.state, batch, *chance))
            assert getattr(sac, step)(*inputs).device.type == "meta"


@pytest.mark.parametrize("at", range(3), ids=["critic", "actor", "cloning"])
def test_a_recorded_step_is_the_step(batch, at):
    sac = learner()
    step, chance = _steps(sac)[at]
    mine, theirs = copy.deepcopy(sac.state), copy.deepcopy(sac.state)
    recorded = Compiled(getattr(sac, step), backend="aot_eager")
    with torch.no_grad():
        expected = getattr(sac, step)(mine, batch, *chance)
        torch.testing.assert_close(recorded(theirs, batch, *chance), expected, rtol=1e-3, atol=1e-4)
    for a, b in zip(tree_leaves(mine.vision), tree_leaves(theirs.vision), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_resumed_learner_goes_on_bit_for_bit(batch, tmp_path):
    sac, other = learner(cloning="silri"), learner(cloning="silri")
    rng = np.random.default_rng(0)
    sac.cloning_update(batch)
    sac.update(batch)
    checkpoint.write(tmp_path / "c", sac, rng, "spec", {})
    checkpoint.read(tmp_path / "c", other, rng, "spec")
    assert other.encoder.hash() == sac.encoder.hash()
    torch.testing.assert_close(sac.update(batch), other.update(batch), rtol=0, atol=0)
    assert other.encoder.hash() == sac.encoder.hash()
