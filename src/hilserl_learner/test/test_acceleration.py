"""Wrapped steps compute what plain ones do; nothing in a step leaves its device."""

import copy
from functools import partial

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from hilserl_core.errors import UserError
from hilserl_learner.acceleration import Captured, Compiled, accelerate, device_of
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture
from hilserl_replay.buffer import Batch

STATE, ARM, BATCH = 6, 3, 12
STEPS = ("critic_step", "actor_step", "cloning_step")
OPTIONS = [
    {},
    {"critics": 5, "backup_entropy": True, "dropout": 0.2, "gradient_limit": 0.1},
    {"cloning": "silri", "activation": "relu"},
]


def _sac(device: str = "cpu", **changes) -> Sac:
    settings = AlgorithmParameters(hidden=(8, 8), batch_size=BATCH, **changes)
    architecture = Architecture(STATE, ARM, True, settings.hidden, settings.activation)
    return Sac(architecture, settings, seed=3, device=device)


def _batch(seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    return Batch(
        state=torch.randn(BATCH, STATE, generator=g),
        action=torch.rand(BATCH, ARM, generator=g) * 2 - 1,
        gripper=torch.randint(0, 3, (BATCH,), generator=g),
        reward=torch.randn(BATCH, generator=g),
        discount=torch.full((BATCH,), 0.9),
        next_state=torch.randn(BATCH, STATE, generator=g),
        source=torch.randint(0, 3, (BATCH,), generator=g),
    )


def _inputs(sac: Sac, step: str, seed: int = 0) -> tuple:
    """What a step takes after the state."""
    chance = {
        "critic_step": (sac._noise, sac._subset, sac._target_dropout, sac._dropout),
        "actor_step": (sac._noise, sac._dropout),
        "cloning_step": (),
    }
    return _batch(seed), *chance[step]


def _assert_same(sac: Sac, step: str, wrapped) -> None:
    """Three calls of ``wrapped`` give what the plain step gives."""
    mine, theirs = copy.deepcopy(sac.state), copy.deepcopy(sac.state)
    with torch.no_grad():
        for seed in range(3):
            inputs = _inputs(sac, step, seed)
            expected = getattr(sac, step)(mine, *inputs)
            torch.testing.assert_close(wrapped(theirs, *inputs), expected, rtol=1e-4, atol=1e-5)
    tensors = [filter(torch.is_tensor, tree_leaves(state)) for state in (mine, theirs)]
    for a, b in zip(*tensors, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("step", "changes"), [*zip(STEPS, OPTIONS[1:] + OPTIONS[:1], strict=True)])
def test_a_recorded_step_is_the_step(step, changes):
    """The backend runs the recorded operations as they are: tests/ has the compiler's."""
    sac = _sac(**changes)
    _assert_same(sac, step, Compiled(getattr(sac, step), backend="aot_eager"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU")
@pytest.mark.parametrize("changes", OPTIONS, ids=["default", "rlpd", "silri"])
@pytest.mark.parametrize("step", STEPS)
def test_a_captured_step_is_the_step(step, changes):
    sac = _sac("cuda", **changes)
    _assert_same(sac, step, Captured(getattr(sac, step), sac.device))


@pytest.mark.parametrize("changes", OPTIONS, ids=["default", "rlpd", "silri"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_stays_on_its_device(step, changes):
    """On torch's device without numbers, an operand from the CPU is an error."""
    sac = _sac(**changes)
    inputs = _inputs(sac, step)
    elsewhere = partial(tree_map_only, torch.Tensor, partial(torch.empty_like, device="meta"))
    sac._target_entropy = elsewhere(sac._target_entropy)
    with torch.no_grad():
        metrics = getattr(sac, step)(elsewhere(sac.state), *elsewhere(inputs))
    assert metrics.device.type == "meta"


def test_without_a_gpu_asking_for_one_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto").type == device_of("cpu").type == "cpu"
    with pytest.raises(UserError, match=r"'device': 'cuda'.*choose auto or cpu"):
        device_of("cuda")


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto").type == device_of("cuda").type == "cuda"
    assert device_of("cpu").type == "cpu"
    step = _sac().critic_step
    assert isinstance(accelerate(step, False, device_of("auto")), Captured)
    assert accelerate(step, False, device_of("cpu")) is step
