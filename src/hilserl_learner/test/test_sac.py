"""One update against a loop over plain modules, and the parts of it one by one."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from hilserl_core.step import Source
from hilserl_learner.metrics import critic_figures, critic_record
from hilserl_learner.optimise import Trained, adam
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture, Masks
from hilserl_replay.buffer import Batch

STATE, ARM, BATCH = 6, 3, 12
SETTINGS = AlgorithmParameters(
    hidden=(16, 16), batch_size=BATCH, backup_entropy=True, initial_temperature=0.2
)


def _sac(**changes) -> Sac:
    settings = replace(SETTINGS, **changes)
    arch = Architecture(STATE, ARM, True, settings.hidden, settings.activation)
    sac = Sac(arch, settings, seed=5)
    generator = torch.Generator().manual_seed(9)
    groups = [sac.state.actor.parameters, sac.state.critic.parameters, sac.state.target]
    groups += [trained.parameters for trained in sac.state.restraint or ()]
    for group in groups:
        for value in group.values():
            value.add_(0.2 * torch.randn(value.shape, generator=generator))
    return sac


def _batch() -> Batch:
    g = torch.Generator().manual_seed(1)
    return Batch(
        state=torch.randn(BATCH, STATE, generator=g),
        action=torch.rand(BATCH, ARM, generator=g) * 2 - 1,
        gripper=torch.randint(0, 3, (BATCH,), generator=g),
        reward=torch.randn(BATCH, generator=g),
        discount=torch.tensor([0.9, 0.0, 0.81] * 4),
        next_state=torch.randn(BATCH, STATE, generator=g),
        source=torch.tensor([0, 1, 2] * 4),
    )


def _net(parameters, head, x, activation, masks=()):
    """One plain network: (batch, in) to (batch, out)."""
    for layer in range(2):
        x = x @ parameters[f"{layer}.weight"][head] + parameters[f"{layer}.bias"][head]
        x = x * masks[layer] if masks else x
        x = getattr(torch, activation)(F.layer_norm(x, x.shape[-1:]))
    return x @ parameters["out.weight"][head].T + parameters["out.bias"][head].T


def _distribution(parameters, state, activation):
    out = _net(parameters, 0, state, activation)
    normal = torch.distributions.Normal(out[:, :ARM], out[:, ARM : 2 * ARM].exp())
    gripper = torch.distributions.Categorical(logits=out[:, 2 * ARM :])
    return normal, gripper


def _sample(normal, noise):
    before = normal.mean + normal.stddev * noise.T
    squash = torch.log1p(-torch.tanh(before).square() + 1e-12)
    return torch.tanh(before), (normal.log_prob(before) - squash).sum(1)


def _optimise(parameters, loss_of, rate, limit=0.0):
    """torch.optim's Adam on a copy of the parameters."""
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=rate)
    loss_of(leaves).backward()
    if limit:
        assert torch.nn.utils.clip_grad_norm_(leaves.values(), limit) > limit
    optimiser.step()
    return {name: value.detach() for name, value in leaves.items()}


def _dropped(critics: int, seed: int) -> Masks:
    """Masks of two layers that drop 0.3 of the units."""
    generator = torch.Generator().manual_seed(seed)
    shape = (critics, BATCH, 16)
    return tuple(torch.bernoulli(torch.full(shape, 0.7), generator=generator) / 0.7 for _ in "01")


@pytest.mark.parametrize("option", ["", "dropout", "clipped", "silri"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("critics", "subset"), [(2, [0, 1]), (10, [7, 2])])
def test_one_update_is_that_of_a_loop_over_plain_networks(critics, subset, activation, option):
    # The limit brings gradients near to Adam's epsilon, where their size matters.
    limit = 3e-7 if option == "clipped" else 0.0
    sac = _sac(
        critics=critics,
        target_subset=2,
        activation=activation,
        gradient_limit=limit,
        cloning="silri" if option == "silri" else "fixed",
    )
    before, batch = copy.deepcopy(sac.state), _batch()
    sizes = (2, critics, critics)
    masks = [_dropped(size, seed) for seed, size in enumerate(sizes)]
    if option != "dropout":
        masks = [()] * 3
    alpha = F.softplus(before.temperature.parameters["raw"])
    noise = torch.randn(2, ARM, BATCH, generator=torch.Generator().manual_seed(2))
    chosen = batch.gripper[:, None]

    with torch.no_grad():
        sac.update_critic(sac.state, batch, noise[0], torch.tensor(subset), *masks[:2])
        sac.update_targets(sac.state)
        new_critic = copy.deepcopy(sac.state.critic.parameters)
        entropy = sac.update_actor(sac.state, batch, noise[1], masks[2])[2:]
        sac.update_temperature(sac.state, entropy)

    with torch.no_grad():
        normal, gripper = _distribution(before.actor.parameters, batch.next_state, activation)
        action, log_density = _sample(normal, noise[0])
        x = torch.cat((batch.next_state, action), 1)
        q = torch.stack(
            [
                _net(before.target, head, x, activation, [mask[place] for mask in masks[0]])
                for place, head in enumerate(subset)
            ]
        )
        value = (gripper.probs * q.min(0).values).sum(1)
        value += alpha[1] * gripper.entropy() - alpha[0] * log_density
        target = batch.reward + batch.discount * value

    def critic_loss(parameters):
        x = torch.cat((batch.state, batch.action), 1)
        q = [
            _net(parameters, head, x, activation, [mask[head] for mask in masks[1]])
            for head in range(critics)
        ]
        return sum((each.gather(1, chosen)[:, 0] - target).square().mean() for each in q)

    expected = _optimise(before.critic.parameters, critic_loss, SETTINGS.learning_rate, limit)
    for name, value in expected.items():
        torch.testing.assert_close(sac.state.critic.parameters[name], value, rtol=1e-4, atol=2e-5)
        polyak = before.target[name] + 0.005 * (new_critic[name] - before.target[name])
        torch.testing.assert_close(sac.state.target[name], polyak)

    def actor_loss(parameters):
        normal, gripper = _distribution(parameters, batch.state, activation)
        action, log_density = _sample(normal, noise[1])
        x = torch.cat((batch.state, action), 1)
        q = [
            _net(new_critic, head, x, activation, [mask[head] for mask in masks[2]])
            for head in range(critics)
        ]
        q = torch.stack(q).mean(0)
        value = alpha[0] * log_density - alpha[1] * gripper.entropy() - (gripper.probs * q).sum(1)
        people = batch.source != Source.POLICY
        arm = (torch.tanh(normal.mean) - batch.action)[people].square().mean()
        choice = -gripper.log_prob(batch.gripper)[people].mean()
        if option == "silri":
            people, multiplier = (trained.parameters for trained in before.restraint)
            theirs = torch.tanh(_net(people, 0, batch.state, activation)[:, :ARM])
            weight = F.softplus(_net(multiplier, 0, batch.state, activation)[:, 0])
            deviation = (torch.tanh(normal.mean) - theirs).square().sum(1)
            total = ((value + weight * deviation) / (1 + weight)).mean()
        else:
            total = value.mean() + SETTINGS.cloning_weight * arm
        return total + SETTINGS.gripper_cloning_weight * choice

    expected = _optimise(before.actor.parameters, actor_loss, SETTINGS.learning_rate, limit)
    for name, value in expected.items():
        torch.testing.assert_close(sac.state.actor.parameters[name], value, rtol=1e-4, atol=2e-5)

    def temperature_loss(parameters):
        aim = torch.tensor([-0.5 * ARM, SETTINGS.gripper_target_entropy])
        return (F.softplus(parameters["raw"]) * (entropy - aim)).sum()

    expected = _optimise(before.temperature.parameters, temperature_loss, 3e-4)
    torch.testing.assert_close(sac.state.temperature.parameters["raw"], expected["raw"])


def test_without_a_gripper_the_actor_moves_by_the_same_gradient_as_a_plain_one():
    settings = replace(SETTINGS, critics=3)
    sac = Sac(Architecture(STATE, ARM, False, settings.hidden, settings.activation), settings, 5)
    batch, noise = _batch(), torch.randn(ARM, BATCH, generator=torch.Generator().manual_seed(2))
    leaves = {
        name: value.clone().requires_grad_() for name, value in sac.state.actor.parameters.items()
    }
    out = _net(leaves, 0, batch.state, settings.activation)
    normal = torch.distributions.Normal(out[:, :ARM], out[:, ARM:].exp())
    action, log_density = _sample(normal, noise)
    x = torch.cat((batch.state, action), 1)
    critic = sac.state.critic.parameters
    q = torch.stack([_net(critic, head, x, settings.activation)[:, 0] for head in range(3)])
    people = batch.source != Source.POLICY
    arm = (torch.tanh(normal.mean) - batch.action)[people].square().mean()
    alpha = F.softplus(sac.state.temperature.parameters["raw"])[0]
    loss = (alpha * log_density - q.mean(0)).mean() + settings.cloning_weight * arm
    expected = torch.autograd.grad(loss, list(leaves.values()))
    with torch.no_grad():
        mine = sac.update_actor(sac.state, batch, noise)
    torch.testing.assert_close(mine[0], loss.detach())
    for first, gradient in zip(sac.state.actor.first.values(), expected, strict=True):
        torch.testing.assert_close(first, 0.1 * gradient)


def test_adam_is_torchs_over_many_steps():
    start = {"a": torch.randn(4, 3), "b": torch.randn(2)}
    trained = Trained.start({name: value.clone() for name, value in start.items()})
    leaves = [value.clone().requires_grad_() for value in start.values()]
    reference = torch.optim.Adam(leaves, lr=0.01)
    for _ in range(20):
        gradient = [torch.randn_like(leaf) for leaf in leaves]
        adam(trained, gradient, 0.01)
        for leaf, g in zip(leaves, gradient, strict=True):
            leaf.grad = g
        reference.step()
    for mine, theirs in zip(trained.parameters.values(), leaves, strict=True):
        torch.testing.assert_close(mine, theirs.detach(), rtol=1e-4, atol=1e-5)


def test_adam_takes_a_gradient_whose_memory_lies_in_another_order():
    gradient = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    states = [Trained.start({"w": torch.zeros(4, 3, 2, 2)}) for _ in range(2)]
    for trained, layout in zip(states, (torch.contiguous_format, torch.channels_last), strict=True):
        adam(trained, (gradient.contiguous(memory_format=layout),), 0.01)
        torch.testing.assert_close(trained.first["w"], 0.1 * gradient)
    torch.testing.assert_close(states[0].parameters, states[1].parameters)


def test_the_random_subset_changes_and_stays_within_the_ensemble():
    sac, seen = _sac(critics=10, target_subset=2), set()
    for _ in range(40):
        sac.critic_update(_batch())
        pair = tuple(sorted(sac._subset.tolist()))
        assert pair[0] != pair[1]
        seen |= set(pair)
    assert seen == set(range(10))


def test_dropout_is_drawn_anew_for_every_update_and_keeps_the_mean():
    sac, drawn = _sac(critics=10, hidden=(16, 32), dropout=0.25), []
    for _ in range(20):
        sac.update(_batch())
        drawn.append(sac._dropout[1].clone())
    masks = torch.stack(drawn)
    assert masks.shape == (20, 10, BATCH, 32)
    assert set(masks.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert masks.mean().item() == pytest.approx(1.0, abs=0.02)
    assert not torch.equal(masks[0], masks[1])


def test_the_policys_own_steps_are_not_cloned():
    sac, batch = _sac(), _batch()
    own = batch._replace(source=torch.zeros(BATCH, dtype=torch.int64))
    before = copy.deepcopy(sac.state.actor.parameters)
    sac.cloning_update(own)
    for name, value in before.items():
        assert torch.equal(sac.state.actor.parameters[name], value)


def test_cloning_finds_the_demonstrated_action():
    sac, batch = _sac(), _batch()
    people = batch._replace(source=torch.full((BATCH,), int(Source.OFFLINE)))
    losses = [sac.cloning_update(people).item() for _ in range(400)]
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(("entropy", "sign"), [(5.0, -1), (-5.0, 1)])
def test_the_temperature_falls_where_entropy_is_above_its_aim(entropy, sign):
    sac = _sac()
    start = sac.state.temperature.parameters["raw"].clone()
    with torch.no_grad():
        for _ in range(10):
            sac.update_temperature(sac.state, torch.tensor([entropy, entropy]))
    assert (torch.sign(sac.state.temperature.parameters["raw"] - start) == sign).all()
    assert math.isclose(F.softplus(start)[0].item(), 0.2, rel_tol=1e-5)


def test_the_same_seed_learns_the_same():
    a, b = _sac(), _sac()
    for _ in range(3):
        assert torch.equal(a.update(_batch()), b.update(_batch()))


def test_what_acts_is_the_average_of_the_last_actors():
    sac = _sac(actor_average=0.25)
    sac.restart_actor()
    expected = {name: value.clone() for name, value in sac.state.actor.parameters.items()}
    for update in (sac.update, sac.update, sac.cloning_update):
        update(_batch())
        for name, value in sac.state.actor.parameters.items():
            expected[name] += 0.25 * (value - expected[name])
    for name, value in sac.acting.items():
        torch.testing.assert_close(value, expected[name])
        assert not torch.equal(value, sac.state.actor.parameters[name])


def test_the_trained_actor_acts_where_nothing_is_averaged():
    sac = _sac(actor_average=1.0)
    sac.update(_batch())
    for name, value in sac.acting.items():
        torch.testing.assert_close(value, sac.state.actor.parameters[name])


def test_figures_by_source_are_means_over_who_acted():
    q = torch.tensor([[1.0, 2.0, 3.0, 6.0], [3.0, 2.0, 5.0, 8.0]])
    batch = _batch()._replace(source=torch.tensor([2, 0, 0, 2]))
    record = critic_record(torch.tensor(0.5), q, torch.tensor([1.0, 3.0, 5.0, 7.0]), batch)
    assert critic_figures(record) == {
        "critic_loss": 0.5,
        "q": 3.75,
        "target_q": 4.0,
        "q_policy": 3.0,  # of 2 and 4
        "q_offline": 4.5,  # of 2 and 7
        "batch_policy": 2.0,
        "batch_human": 0.0,
        "batch_offline": 2.0,
    }
    assert critic_figures(torch.zeros(3)) == {"critic_loss": 0, "q": 0, "target_q": 0}
