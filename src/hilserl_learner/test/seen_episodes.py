"""Episodes whose images differ, for tests of a learner that sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec, run_spec_hash
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_learner.encoder_training import Refresh
from hilserl_policy.encoders import Encoder, EncoderSpec, make_encoder

OBSERVATION = ObservationSpec(
    (Field("place", (-1.0,), (1.0,)), Field("gripper_command", (-1.0,), (1.0,))),
    (ImageField("front", 16, 16),),
)
ACTION = ActionSpec("ee_delta", ("x", "gripper"), (0.01, 1.0))
SPEC = EncoderSpec.of(OBSERVATION, keypoints=3, foresight=2)
FIRST, SECOND = make_encoder(SPEC, 1), make_encoder(SPEC, 2)


def steps(number: int, length: int = 5, encoder: Encoder | None = None) -> list[Step]:
    """An episode whose images differ from one another, its features made by ``encoder``."""
    result = []
    for index in range(length + 1):
        rng = np.random.default_rng([number, index])
        image = rng.integers(0, 256, (16, 16, 3), np.uint8)
        observation = Observation(index, np.float32([0, 1]), (image,))
        step = Step(
            observation,
            action=np.float32([0.1, 0.0]),
            source=Source.POLICY,
            run="r",
            phase=Phase.TRAIN,
            episode=number,
            index=index,
            spec=run_spec_hash(OBSERVATION, ACTION),
        )
        if encoder is not None:
            state = OBSERVATION.normalise(observation.state)
            features = encoder.encode(encoder.prepare(observation)[None], state[None])[0]
            step = replace(step, features=features.tobytes(), encoder=encoder.hash())
        result.append(step)
    end = {"action": np.zeros(0, np.float32), "is_last": True, "outcome": Outcome.TIMEOUT}
    result[-1] = replace(result[-1], **end)
    return result


def refresh_of(encoder: Encoder, *episodes: list[Step]) -> Refresh:
    observations = [step.observation for episode in episodes for step in episode]
    frames = np.stack([encoder.prepare(observation) for observation in observations])
    states = np.stack([OBSERVATION.normalise(observation.state) for observation in observations])
    return Refresh(
        encoder,
        encoder.hash(),
        tuple(("r", episode[0].episode, len(episode)) for episode in episodes),
        np.array([step.index for episode in episodes for step in episode], np.int32),
        encoder.encode(frames, states),
    )
