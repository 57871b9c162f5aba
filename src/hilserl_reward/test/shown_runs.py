"""Runs made up for the tests of this package: a bright square is a success, wherever it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message

from hilserl_core.stamps import ns_to_stamp
from hilserl_core.step import Episode, Event, Observation, Outcome, Phase, Source, Step
from hilserl_msgs.msg import OperatorEvent
from hilserl_replay.bags import EpisodeWriter, episode_folder

START = 1_800_000_000_000_000_000
TICK = 100_000_000
SIZE = 16
LAST = 4  # frames at the end of a success that show it


def picture(rng: np.random.Generator, bright: bool) -> NDArray[np.uint8]:
    """A dark image, with a bright square somewhere if asked for."""
    image = rng.integers(0, 90, (SIZE, SIZE, 3), np.uint8)
    if bright:
        y, x = rng.integers(0, SIZE - 6, 2)
        image[y : y + 6, x : x + 6] = 230
    return image


def make_episode(number: int, outcome: Outcome, frames: int = 16, images: int = 2) -> Episode:
    """An episode that shows what its outcome says in its last frames."""
    rng = np.random.default_rng(number)
    steps = []
    for i in range(frames):
        last = i == frames - 1
        success = outcome == Outcome.SUCCESS and i >= frames - LAST
        pictures = tuple(picture(rng, success) for _ in range(images))
        state = rng.normal(float(success), 0.5, 3).astype(np.float32)
        steps.append(
            Step(
                Observation(START + number * 60 * 10**9 + i * TICK, state, pictures),
                action=np.zeros(0 if last else 4, np.float32),
                source=Source.OFFLINE,
                is_first=i == 0,
                is_last=last,
                outcome=outcome if last else Outcome.NONE,
                run="shown",
                phase=Phase.RECORD,
                episode=number,
                index=i,
            )
        )
    return Episode(tuple(steps))


def write(run_dir: Path, episode: Episode, words: tuple[tuple[int, Event], ...] = ()) -> Path:
    """Writes an episode's bag, with operator events of given stamps beside the steps."""
    folder = episode_folder(run_dir, Phase.RECORD, episode.steps[0].episode)
    writer = EpisodeWriter(folder)
    for step in episode.steps:
        writer.write_step(step)
    for stamp, event in words:
        message = OperatorEvent(event=int(event), device="keyboard")
        message.header.stamp = ns_to_stamp(stamp)
        kind = "hilserl_msgs/msg/OperatorEvent"
        writer.write("teleop/keyboard/event", kind, serialize_message(message), stamp)
    writer.close()
    return folder


def shown_run(run_dir: Path, episodes: int = 12) -> Path:
    """A run of successes and failures in turn."""
    for number in range(episodes):
        write(run_dir, make_episode(number, (Outcome.SUCCESS, Outcome.FAILURE)[number % 2]))
    return run_dir
