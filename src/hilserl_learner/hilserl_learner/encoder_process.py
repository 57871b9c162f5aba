"""Trains a run's encoder in a process of its own, on the frames in the run's bags.

The learner starts it and asks for refreshes, a line each on standard input; it answers with
a line on standard output, when the new encoder and the features that it makes of all
recorded frames lie whole in ``runs/NAME/encoder``. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory
from hilserl_core.spec import run_spec_hash
from hilserl_core.step import Episode, Phase
from hilserl_description.robot import robot_of
from hilserl_description.robot_parameters import RobotParameters
from hilserl_learner import process
from hilserl_learner.encoder_training import EncoderTraining, read_refresh, write_refresh
from hilserl_learner.representation import RepresentationSettings
from hilserl_policy.encoders import EncoderSpec, make_encoder
from hilserl_replay.bags import read_episodes

_TELL_EVERY = 10  # updates


class _Bags:
    """The run's recorded episodes, each once."""

    def __init__(self, run: Path, demonstrations: Path | None, spec: str):
        self._run, self._demonstrations, self._spec = run, demonstrations, spec
        self._next = 0

    def new(self) -> Iterator[Episode]:
        """Episodes that have ended since the last call."""
        if self._demonstrations is not None:
            yield from read_episodes(self._demonstrations, Phase.RECORD, spec=self._spec)
            self._demonstrations = None
        for episode in read_episodes(
            self._run,
            Phase.RECORD,
            Phase.TRAIN,
            spec=self._spec,
            finished_only=True,
            numbers=range(self._next, 10**6),
        ):
            self._next = max(self._next, episode.steps[0].episode + 1)
            yield episode


def _training(settings: dict[str, Any]) -> tuple[EncoderTraining, _Bags]:
    robot = robot_of(RobotParameters(**settings["robot"]))
    observation, action = robot.observation, robot.action
    run = RunDirectory(Path(settings["run"]))
    newest = sorted(run.encoder.glob("*.safetensors"))
    if newest:
        encoder = read_refresh(newest[-1]).encoder
    else:
        encoder = make_encoder(EncoderSpec.read(settings["spec"]), settings["seed"])
    training = EncoderTraining(
        encoder,
        observation,
        action,
        RepresentationSettings(**settings["training"]),
        run.encoder,
        settings["seed"],
    )
    given = settings["demonstrations"]
    bags = _Bags(run.path, Path(given) if given else None, run_spec_hash(observation, action))
    return training, bags


def _say(*words: object) -> None:
    print(*words, flush=True)


def _serve(settings: dict[str, Any], requests: Iterator[str]) -> None:
    training, bags = _training(settings)
    folder = RunDirectory(Path(settings["run"])).encoder
    for line in requests:
        number, updates, alone = (int(word) for word in line.split())
        if not alone:
            process.yield_to_others(settings["niceness"])
        for episode in bags.new():
            training.add_episode(episode)
        if not len(training):
            raise UserError(f"{settings['run']}: no recorded frame to train an encoder on")

        def tell(done: int, updates: int = updates) -> None:
            if done % _TELL_EVERY == 0:
                _say("progress", done, updates)

        training.train(updates, tell)
        path = folder / f"{number:06d}.safetensors"
        write_refresh(path, training.refresh())
        _say("done", number)


def _requests() -> Iterator[str]:
    """Lines of standard input; its end, which is the learner's, ends this process at once."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def main() -> None:
    """What the learner starts; the first line of its input holds the settings as JSON."""
    process.prepare(1)
    settings = json.loads(sys.stdin.readline())
    try:
        _serve(settings, _requests())
    except UserError as error:
        _say("error", str(error).replace("\n", " "))
        sys.exit(1)


if __name__ == "__main__":
    main()
