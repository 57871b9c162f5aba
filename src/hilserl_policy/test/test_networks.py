"""The networks against plain autograd, torch's distributions, and each other."""

import numpy as np
import pytest
import torch

from hilserl_policy.distribution import (
    LOG_STD_HIGH,
    LOG_STD_LOW,
    ActionDistribution,
    through_tanh,
)
from hilserl_policy.mlp import ACTIVATIONS, Parameters, Tape
from hilserl_policy.networks import (
    Architecture,
    PolicyNetwork,
    actor_forward,
    critic_forward,
    init_actor,
    init_critics,
)


def _architecture(activation: str = "relu", gripper: bool = True) -> Architecture:
    return Architecture(7, 3, gripper, (16, 24), activation)


def _shaken(parameters: Parameters) -> Parameters:
    """Parameters of which none is zero, in double precision."""
    generator = torch.Generator().manual_seed(3)
    return {
        name: (value + 0.3 * torch.randn(value.shape, generator=generator)).double()
        for name, value in parameters.items()
    }


def _masks(ensemble, batch):
    generator = torch.Generator().manual_seed(4)
    return tuple(
        torch.bernoulli(torch.full((ensemble, batch, width), 0.7), generator=generator).double()
        / 0.7
        for width in (16, 24)
    )


def _head_by_head(parameters, x, activation, masks=()):
    """The ensemble as a loop over plain networks: (ensemble, outputs, batch)."""
    results = []
    for head in range(parameters["out.weight"].shape[0]):
        h = x
        for layer in range(2):
            h = h @ parameters[f"{layer}.weight"][head] + parameters[f"{layer}.bias"][head]
            if masks:
                h = h * masks[layer][head]
            h = torch.nn.functional.layer_norm(h, h.shape[-1:])
            h = getattr(torch, activation)(h)
        results.append(parameters["out.weight"][head] @ h.T + parameters["out.bias"][head])
    return torch.stack(results)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("ensemble", [1, 5])
@pytest.mark.parametrize("dropout", [False, True])
def test_values_and_gradients_are_those_of_a_loop_over_plain_networks(
    activation, ensemble, dropout
):
    arch = _architecture(activation)
    masks = _masks(ensemble, 11) if dropout else ()
    parameters = _shaken(init_critics(arch, ensemble))
    state, action = torch.randn(11, 7).double(), torch.rand(11, 3).double()
    weight = torch.randn(ensemble, 3, 11).double()

    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    arm = action.clone().requires_grad_()
    plain = _head_by_head(leaves, torch.cat((state, arm), 1), activation, masks)
    expected = torch.autograd.grad((plain * weight).sum(), [*leaves.values(), arm])
    tape = Tape()
    q = critic_forward(parameters, state, action, arch, masks, tape)
    torch.testing.assert_close(q, plain)
    torch.testing.assert_close(critic_forward(parameters, state, action, arch, masks), q)
    gradients, of_action = tape.all_gradients(weight, slice(7, None))
    for mine, theirs in zip((*gradients, of_action), expected, strict=True):
        torch.testing.assert_close(mine, theirs)
    for mine, same in zip(tape.gradients(weight), gradients, strict=True):
        assert torch.equal(mine, same), "a tape may be read twice"
    assert torch.equal(tape.input_gradient(weight, slice(7, None)), of_action)


@pytest.mark.parametrize("gripper", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_actors_gradients_are_those_that_autograd_gives(activation, gripper):
    arch = _architecture(activation, gripper)
    parameters, state = _shaken(init_actor(arch)), torch.randn(11, 7).double()
    parameters["out.bias"][:, 3] += 20.0  # One log std lies beyond its limits.
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    out = _head_by_head(leaves, state, activation)[0]
    plain = (out[:3], out[3:6].clamp(LOG_STD_LOW, LOG_STD_HIGH), torch.log_softmax(out[6:], 0))
    tape = Tape()
    policy = actor_forward(parameters, state, arch, tape)
    mine = (policy.mean, policy.log_std, policy.gripper_log_probability)
    weights = [torch.randn(each.shape).double() for each in mine]
    used = 3 if gripper else 2
    for a, b in zip(mine[:used], plain[:used], strict=True):
        torch.testing.assert_close(a, b)
    loss = sum((w * p).sum() for w, p in zip(weights[:used], plain[:used], strict=True))
    expected = torch.autograd.grad(loss, list(leaves.values()))
    for a, b in zip(tape.gradients(policy.gradient(*weights)), expected, strict=True):
        torch.testing.assert_close(a, b)


def test_heads_start_with_weights_of_their_own():
    weights = init_critics(_architecture(), 3)["0.weight"]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_log_density_is_that_of_a_squashed_gaussian():
    policy = actor_forward(
        {k: v.float() for k, v in _shaken(init_actor(_architecture())).items()},
        torch.randn(9, 7),
        _architecture(),
    )
    action, log_density, _ = policy.sample(0.5 * torch.randn(3, 9))
    reference = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(policy.mean.mT, policy.log_std.exp().mT),
        torch.distributions.TanhTransform(cache_size=1),
    )
    expected = reference.log_prob(action).sum(1)
    torch.testing.assert_close(log_density, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scale", [0.3, 4.0])
def test_gradients_of_a_sample_are_autograds(scale):
    generator = torch.Generator().manual_seed(5)
    mean, noise = (scale * torch.randn(3, 9, generator=generator).double() for _ in range(2))
    log_std = 0.5 * torch.randn(3, 9, generator=generator).double()
    weight = torch.randn(9, 4, generator=generator).double()

    leaves = [each.clone().requires_grad_() for each in (mean, log_std)]
    before = leaves[0] + leaves[1].exp() * noise
    gaussian = torch.distributions.Normal(leaves[0], leaves[1].exp()).log_prob(before)
    squash = 2 * (np.log(2) - before - torch.nn.functional.softplus(-2 * before))
    action, density = torch.tanh(before).mT, (gaussian - squash).sum(0)
    loss = (weight[:, :3] * action).sum() + (weight[:, 3] * density).sum()
    expected = torch.autograd.grad(loss, leaves)
    sample = ActionDistribution(mean, log_std, mean[:1]).sample(noise)
    torch.testing.assert_close(sample[:2], (action, density))
    torch.testing.assert_close(sample.gradient(weight[:, :3], weight[:, 3]), expected)


def test_the_gradient_of_the_mean_action_is_autograds():
    mean = torch.randn(3, 9).double().requires_grad_()
    policy, weight = ActionDistribution(mean, mean, mean[:1]), torch.randn(9, 3).double()
    (expected,) = torch.autograd.grad((policy.arm * weight).sum(), mean)
    torch.testing.assert_close(through_tanh(weight, policy.arm.detach()), expected)


def test_a_density_far_from_zero_is_finite():
    policy = ActionDistribution(torch.tensor([[-60.0, 60.0]]), torch.zeros(1, 2), torch.zeros(1, 2))
    action, log_density, _ = policy.sample(torch.zeros(1, 2))
    assert action.tolist() == [[-1.0], [1.0]]
    # log of (1 / sqrt(2 pi)) / (4 exp(-2 * 60))
    expected = 120 - np.log(4) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_density, [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("gripper", [True, False])
def test_acting_follows_the_distribution_that_is_learned(activation, gripper):
    arch = _architecture(activation, gripper)
    parameters = {k: v.float() for k, v in _shaken(init_actor(arch)).items()}
    network = PolicyNetwork(arch, {k: v.numpy() for k, v in parameters.items()})
    state = torch.randn(1, 7)
    policy = actor_forward(parameters, state, arch)
    rng = np.random.default_rng(0)
    mean = network.act(state[0].numpy(), deterministic=True)
    assert mean.dtype == np.float32
    assert mean.shape == (3 + gripper,)
    np.testing.assert_allclose(mean[:3], policy.arm[0].numpy(), atol=1e-5)
    samples = np.stack([network.act(state[0].numpy(), rng) for _ in range(4000)])
    before = np.arctanh(np.clip(samples[:, :3].astype(float), -1 + 1e-7, 1 - 1e-7))
    deviation = policy.log_std.exp()[:, 0].numpy()
    assert np.all(
        np.abs(np.median(before, 0) - policy.mean[:, 0].numpy()) < 0.08 * deviation + 0.02
    )
    if gripper:
        frequency = [(samples[:, 3] == value).mean() for value in (-1, 0, 1)]
        expected = policy.gripper_log_probability[:, 0].exp().numpy()
        np.testing.assert_allclose(frequency, expected, atol=0.03)
        assert mean[3] == np.argmax(expected) - 1
