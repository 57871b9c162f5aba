"""Which weights act, and when their actions are samples."""

import numpy as np
import pytest

from hilserl_core.spec import ActionSpec, Field, ObservationSpec
from hilserl_core.step import Observation, Phase
from hilserl_policy.actor import Actor
from hilserl_policy.networks import Architecture, init_actor
from hilserl_policy.weights import encode

OBSERVATION = ObservationSpec((Field("place", (-1.0, -1.0), (1.0, 1.0)),))
ACTION = ActionSpec("ee_delta", ("x", "y", "gripper"), (0.02, 0.02, 1.0))


@pytest.mark.parametrize(
    ("phase", "explore", "sampled"),
    [
        (Phase.TRAIN, True, True),
        (Phase.TRAIN, False, False),
        (Phase.EVALUATE, True, False),
        (Phase.RUN, True, False),
    ],
)
def test_only_a_policy_that_explores_samples_and_only_in_training(phase, explore, sampled):
    actor = Actor(OBSERVATION, ACTION, seed=0, explore=explore)
    architecture = Architecture(2, 2, True, (8,))
    actor.load(encode(init_actor(architecture), architecture, actor.spec, version=1))
    actor.begin(phase, 0)
    actions = np.array(
        [actor.act(Observation(0, np.zeros(2, np.float32))).values for _ in range(5)]
    )
    assert (np.ptp(actions[:, :2], axis=0) > 0).all() == sampled
