"""People are followed where they agree with themselves, and left alone where they do not."""

import pytest
import torch

from hilserl_core.step import Source
from hilserl_learner import silri
from hilserl_learner.metrics import ACTOR_METRICS
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture
from hilserl_replay.buffer import Batch

ARCHITECTURE = Architecture(1, 2, True, (32, 32), "tanh")
SETTINGS = AlgorithmParameters(hidden=(32, 32), batch_size=128, cloning="silri")
SURE, UNSURE = -1.0, 1.0
SHOWN = torch.tensor([0.5, -0.5])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def _batch(generator, source=Source.HUMAN) -> Batch:
    """People who always do the same in one state, and anything in the other."""
    size = SETTINGS.batch_size
    state = torch.where(torch.arange(size) % 2 == 0, SURE, UNSURE)[:, None]
    anything = torch.rand(size, 2, generator=generator) * 2 - 1
    return Batch(
        state=state,
        action=torch.where(state == SURE, SHOWN, anything),
        gripper=torch.ones(size, dtype=torch.int64),
        reward=torch.zeros(size),
        discount=torch.zeros(size),
        next_state=state,
        source=torch.full((size,), int(source)),
    )


def _taught(restraint, generator, updates=400):
    share = torch.full((SETTINGS.batch_size,), 1 / SETTINGS.batch_size)
    with torch.no_grad():
        for _ in range(updates):
            batch = _batch(generator)
            silri.update_people(restraint, batch, share, ARCHITECTURE, 1e-2, 0.0)


def test_what_people_do_and_how_surely_is_learned(generator):
    restraint = silri.start(ARCHITECTURE, SETTINGS, generator)
    _taught(restraint, generator)
    states = torch.tensor([[SURE], [UNSURE]])
    mean, std = silri.people_at(restraint.people.parameters, states, ARCHITECTURE)
    torch.testing.assert_close(mean[0], SHOWN, atol=0.05, rtol=0)
    torch.testing.assert_close(std[0], torch.full((2,), silri.LEAST_STD), atol=0.02, rtol=0)
    spread = (1 / 3) ** 0.5  # of a uniform number in [-1, 1]
    torch.testing.assert_close(std[1], torch.full((2,), spread), atol=0.1, rtol=0)


def test_the_multiplier_rises_where_the_actor_strays_from_people_who_are_sure(generator):
    restraint = silri.start(ARCHITECTURE, SETTINGS, generator)
    _taught(restraint, generator)
    batch = _batch(generator)
    # As far from what people do in either state, 0.72; allowed are 0.2 and 1.25.
    mean, _ = silri.people_at(restraint.people.parameters, batch.state, ARCHITECTURE)
    astray = mean.detach() + 0.6
    with torch.no_grad():
        for _ in range(100):
            silri.update_multiplier(restraint, batch, astray, ARCHITECTURE, 1e-2, 0.0)
    states = torch.tensor([[SURE], [UNSURE]])
    sure, unsure = silri.multiplier_at(restraint.multiplier.parameters, states, ARCHITECTURE)
    assert sure > 2 * SETTINGS.initial_multiplier
    assert unsure < 0.5 * SETTINGS.initial_multiplier


def test_both_move_by_the_gradients_that_autograd_gives(generator):
    restraint = silri.start(ARCHITECTURE, SETTINGS, generator)
    for trained in restraint:
        for value in trained.parameters.values():
            value.add_(0.3 * torch.randn(value.shape, generator=generator))
    # Surer than it may be in one of the two numbers of an action.
    restraint.people.parameters["out.bias"][:, 2] -= 4.0
    batch, size = _batch(generator), SETTINGS.batch_size
    share = torch.rand(size, generator=generator) / size
    astray = torch.randn(size, 2, generator=generator)
    people, multiplier = (
        {name: value.clone().requires_grad_() for name, value in trained.parameters.items()}
        for trained in restraint
    )

    def plain(parameters):
        x = batch.state
        for layer in range(2):
            x = x @ parameters[f"{layer}.weight"][0] + parameters[f"{layer}.bias"][0]
            x = torch.tanh(torch.nn.functional.layer_norm(x, x.shape[-1:]))
        return x @ parameters["out.weight"][0].T + parameters["out.bias"][0].T

    out = plain(people)
    gaussian = torch.distributions.Normal(
        torch.tanh(out[:, :2]), out[:, 2:].exp().clamp(min=silri.LEAST_STD)
    )
    loss = -(share * gaussian.log_prob(batch.action).sum(1)).sum()
    expected = torch.autograd.grad(loss, list(people.values()))
    deviation = (astray - gaussian.mean).square().sum(1)
    excess = (deviation - gaussian.stddev.sum(1) - silri.SLACK).detach()
    weight = torch.nn.functional.softplus(plain(multiplier)[:, 0])
    raised = torch.autograd.grad(-(weight * excess).mean(), list(multiplier.values()))
    with torch.no_grad():
        average = silri.update_multiplier(restraint, batch, astray, ARCHITECTURE, 1e-3, 0.0)
        silri.update_people(restraint, batch, share, ARCHITECTURE, 1e-3, 0.0)
    torch.testing.assert_close(average[0], weight.detach().mean())
    for trained, gradients in zip(restraint, (expected, raised), strict=True):
        for first, gradient in zip(trained.first.values(), gradients, strict=True):
            torch.testing.assert_close(first, 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_the_multiplier_starts_the_same_everywhere(generator):
    restraint = silri.start(ARCHITECTURE, SETTINGS, generator)
    states = torch.randn(20, 1, generator=generator)
    weights = silri.multiplier_at(restraint.multiplier.parameters, states, ARCHITECTURE)
    torch.testing.assert_close(weights, torch.full((20,), SETTINGS.initial_multiplier))


def test_the_policys_own_steps_teach_nothing_about_people(generator):
    sac = Sac(ARCHITECTURE, SETTINGS)
    people = sac.state.restraint.people.parameters
    before = {name: value.clone() for name, value in people.items()}
    sac.update(_batch(generator, Source.POLICY))
    assert all(torch.equal(value, people[name]) for name, value in before.items())
    sac.update(_batch(generator, Source.HUMAN))
    assert not any(torch.equal(value, people[name]) for name, value in before.items())


def test_cloning_at_the_start_learns_people_too_and_updates_tell_the_weight(generator):
    sac = Sac(ARCHITECTURE, SETTINGS)
    before = sac.state.restraint.people.parameters["0.weight"].clone()
    sac.cloning_update(_batch(generator))
    assert not torch.equal(before, sac.state.restraint.people.parameters["0.weight"])
    weight = sac.actor_update(_batch(generator))[ACTOR_METRICS.index("cloning_weight")]
    assert weight.item() == pytest.approx(SETTINGS.initial_multiplier, rel=1e-3)
