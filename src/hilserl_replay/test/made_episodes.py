"""Episodes and runs made up for the tests of this package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message

from hilserl_core.images import to_image
from hilserl_core.stamps import ns_to_stamp
from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step
from hilserl_msgs.msg import Reward
from hilserl_replay.bags import EpisodeWriter, episode_folder

SPEC = "0123456789ab-ba9876543210"
START = 1_800_000_000_000_000_000


def make_episode(
    number: int = 0,
    transitions: int = 10,
    *,
    phase: Phase = Phase.TRAIN,
    outcome: Outcome = Outcome.SUCCESS,
    human: int = 0,
    run: str = "demo",
    images: int = 0,
) -> Episode:
    """An episode at 10 Hz whose first ``human`` steps a person drove.

    Every value in it says where it belongs, so that a wrong neighbour is seen.
    """

    def steps() -> Iterator[Step]:
        for i in range(transitions + 1):
            last = i == transitions
            source = Source.OFFLINE if phase == Phase.RECORD else Source(int(i < human))
            yield Step(
                observation=Observation(
                    stamp=START + number * 60_000_000_000 + i * 100_000_000,
                    state=np.array([number, i, i / 7], np.float32),
                    images=tuple(np.full((8, 6, 3), i + k, np.uint8) for k in range(images)),
                ),
                action=np.zeros(0 if last else 4, np.float32) + np.float32(i / 100),
                policy_action=np.zeros(4, np.float32),
                features=bytes([i % 256]) * 4,
                source=source,
                reward=float(last and outcome == Outcome.SUCCESS),
                is_first=i == 0,
                is_last=last,
                is_terminal=last and outcome == Outcome.SUCCESS,
                outcome=outcome if last else Outcome.NONE,
                run=run,
                phase=phase,
                episode=number,
                index=i,
                policy_version=number,
                spec=SPEC,
            )

    return Episode(tuple(steps()))


def write_episode(
    run_dir: Path,
    episode: Episode,
    cameras: tuple[str, ...] = (),
    truth: Sequence[tuple[int, float]] = (),
) -> Path:
    """Writes an episode into a run, with a frame a step of each camera.

    Args:
        truth: stamps and values of true rewards beside the steps.
    """
    first = episode.steps[0]
    folder = episode_folder(run_dir, first.phase, first.episode)
    writer = EpisodeWriter(folder)
    for step in episode.steps:
        writer.write_step(step)
        for camera in cameras:
            stamp = step.observation.stamp
            frame = np.full((16, 16, 3), 10 * step.index % 256, np.uint8)
            cdr = serialize_message(to_image(frame, stamp))
            writer.write(f"camera/{camera}/policy", "sensor_msgs/msg/Image", cdr, stamp)
    for stamp, value in truth:
        reward = Reward(value=value, judge="sim")
        reward.header.stamp = ns_to_stamp(stamp)
        kind = "hilserl_msgs/msg/Reward"
        writer.write("reward/truth", kind, serialize_message(reward), stamp)
    writer.close()
    return folder


def assert_same(a: Step, b: Step) -> None:
    """Two steps are equal, bit for bit."""
    for name in ("action", "policy_action"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert a.observation.stamp == b.observation.stamp
    assert np.array_equal(a.observation.state, b.observation.state)
    assert len(a.observation.images) == len(b.observation.images)
    assert all(map(np.array_equal, a.observation.images, b.observation.images))
    names = ("features", "source", "reward", "is_first", "is_last", "is_terminal", "outcome")
    for name in (*names, "run", "phase", "episode", "index", "policy_version", "spec"):
        assert getattr(a, name) == getattr(b, name), name
