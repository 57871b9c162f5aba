"""The learner's steps through torch's own compiler: too slow for a unit test, so once, here."""

from __future__ import annotations

import torch

from hilserl_core.step import Source
from hilserl_learner.parameters import AlgorithmParameters
from hilserl_learner.sac import Sac
from hilserl_policy.networks import Architecture
from hilserl_replay.buffer import Batch

SIZE = 12


def test_a_compiled_learner_clones_as_a_plain_one_does() -> None:
    """Cloning is the smallest of the steps; a unit test records all of them."""
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(SIZE, 4, generator=generator)
    batch = Batch(
        state=state,
        action=torch.rand(SIZE, 2, generator=generator) * 2 - 1,
        gripper=torch.randint(0, 3, (SIZE,), generator=generator),
        reward=torch.zeros(SIZE),
        discount=torch.zeros(SIZE),
        next_state=state,
        source=torch.full((SIZE,), int(Source.OFFLINE)),
    )
    losses = []
    for compiled in (False, True):
        settings = AlgorithmParameters(hidden=(8,), batch_size=SIZE, compile=compiled)
        sac = Sac(Architecture(4, 2, True, settings.hidden, settings.activation), settings)
        losses.append(torch.cat([sac.cloning_update(batch) for _ in range(50)]))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=1e-5)
    assert losses[0][-1] < losses[0][0]
