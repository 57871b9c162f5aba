"""The process that trains the encoder, started for real on a run's bags."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_core.spec import run_spec_hash
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_description.arm_model import action_spec
from hilserl_description.koch import KOCH
from hilserl_learner.encoder_training import Refresh
from hilserl_learner.refresh import EncoderProcess
from hilserl_learner.representation import RepresentationSettings, future_dim
from hilserl_policy.encoders import EncoderSpec
from hilserl_replay.bags import EpisodeWriter, episode_folder

OBSERVATION, ACTION = KOCH.observation_spec("cameras"), action_spec()
LIMIT = 60.0  # s


def record(run, number: int) -> None:
    writer = EpisodeWriter(episode_folder(run, Phase.TRAIN, number))
    for index in range(6):
        rng = np.random.default_rng([number, index])
        images = tuple(rng.integers(0, 256, (128, 128, 3), np.uint8) for _ in range(2))
        state = np.zeros(OBSERVATION.state_dim, np.float32)
        step = Step(
            Observation(index, state, images),
            action=np.zeros(4, np.float32),
            source=Source.HUMAN,
            run=run.name,
            episode=number,
            index=index,
            spec=run_spec_hash(OBSERVATION, ACTION),
        )
        if index == 5:
            end = {"action": np.zeros(0, np.float32), "is_last": True}
            step = replace(step, outcome=Outcome.SUCCESS, **end)
        writer.write_step(step)
    writer.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def start() -> EncoderProcess:
        spec = EncoderSpec.of(OBSERVATION, keypoints=2, foresight=future_dim(OBSERVATION))
        settings = {
            "run": str(tmp_path),
            "demonstrations": "",
            "robot": {"observation": "cameras"},
            "spec": dataclasses.asdict(spec),
            "training": dataclasses.asdict(RepresentationSettings(batch_size=4)),
            "niceness": 0,
            "seed": 1,
        }
        started.append(EncoderProcess(tmp_path, settings))
        return started[-1]

    yield start
    for process in started:
        process.close()


def wait(process: EncoderProcess) -> Refresh:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        refresh = process.poll()
        if refresh is not None:
            return refresh
        time.sleep(0.05)
    raise AssertionError("no refresh came")


def test_it_reads_what_was_recorded_since_and_goes_on_after_a_restart(start, tmp_path):
    record(tmp_path, 0)
    process = start()
    process.request(2, alone=True)
    first = wait(process)
    assert first.keys == ((tmp_path.name, 0, 6),)
    record(tmp_path, 1)
    process.request(2, alone=False)
    second = wait(process)
    assert second.keys == ((tmp_path.name, 0, 6), (tmp_path.name, 1, 6))
    assert second.hash != first.hash
    states = np.zeros((6, OBSERVATION.state_dim), np.float32)
    frames = np.stack(
        [
            second.encoder.prepare(
                Observation(
                    0,
                    states[0],
                    tuple(rng.integers(0, 256, (128, 128, 3), np.uint8) for _ in range(2)),
                )
            )
            for rng in (np.random.default_rng([1, index]) for index in range(6))
        ]
    )
    expected = second.encoder.encode(frames, OBSERVATION.normalise(states))
    np.testing.assert_allclose(second.features[6:], expected, atol=2e-3)
    process.close()
    again = start()
    again.request(1, alone=True)
    assert wait(again).hash not in (first.hash, second.hash)
    assert [path.stem for path in (tmp_path / "encoder").glob("*.safetensors")] == ["000003"]


def test_a_run_without_a_frame_is_said_in_one_line(start, tmp_path):
    process = start()
    process.request(1, alone=True)
    with pytest.raises(UserError, match="no recorded frame"):
        wait(process)


def test_a_process_that_is_killed_comes_back_and_answers(start, tmp_path):
    record(tmp_path, 0)
    process = start()
    process.request(200, alone=True)
    end = time.monotonic() + LIMIT
    while process.progress == 0 and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert wait(process).keys == ((tmp_path.name, 0, 6),)
