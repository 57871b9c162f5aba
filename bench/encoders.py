"""Compares encoders on the hard scene: how quickly they see, learn to see, and how well they see.

Each is trained as a run trains it, on nothing but the run's own labels: first on 20
demonstrations from the left half of the patch; then, as a refresh does, with 60 more episodes
over the whole patch, as a policy may have had them. How well it sees is told by a small
network that learns where the cube is from the encoder's features and the servos' state, in
moments of episodes that the encoder has not seen, and is asked in those of others: the median
distance between answer and truth. "random" are an untrained encoder's features. end_to_end
has no labels but rewards: only a run can tell how well it sees; its row has the time of its
updates.

    python bench/encoders.py --encoders learned pretrained/efficientnet_lite0/projection
    python bench/encoders.py --encoders pretrained/resnet10 --weights resnet10.safetensors
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from hilserl_core.parameters import build
from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step
from hilserl_description.koch import KOCH
from hilserl_learner import process
from hilserl_learner.encoder_training import EncoderTraining
from hilserl_learner.learner import Learner
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.representation import RepresentationSettings
from hilserl_learner.sight import encoder_spec
from hilserl_policy.encoders import Encoder, make_encoder
from train_state import ACTION, KochScene

OBSERVATION = KOCH.observation_spec("cameras")
DEMONSTRATIONS, FURTHER, TOLD, ASKED = 20, 60, 400, 150  # episodes
_MOMENTS = 2  # of each episode that the probe is told of, or asked about
_LATEST = 40  # ticks; by then most have reached the cube, and not lifted it
DEFAULT = (
    "random",
    "learned",
    "pretrained/efficientnet_lite0/spatial_softmax",
    "pretrained/efficientnet_lite0/projection",
    "pretrained/efficientnet_lite0/spatial_embeddings",
    "end_to_end",
)


@dataclass(frozen=True)
class Moments:
    """Observations with the truth: where the cube was, (n, 2) m."""

    observations: list[Observation]
    place: NDArray[np.float32]


class Recorder:
    """Lets the scripted person lift the cube in the hard scene, and keeps what was seen."""

    def __init__(self, seed: int) -> None:
        self._seed, self._number = seed, 0
        self._scene = KochScene("lift_cube", seed, OBSERVATION, "hard")

    def successes(self, count: int, region: str, source: Source) -> list[Episode]:
        """Episodes that succeeded."""
        result: list[Episode] = []
        while len(result) < count:
            episode = self._episode(region, source)
            if episode.outcome == Outcome.SUCCESS:
                result.append(episode)
        return result

    def _begin(self, region: str) -> np.random.Generator:
        """Starts the next episode."""
        self._number += 1
        rng = np.random.default_rng([self._seed, self._number])
        self._scene.reset(Phase.RECORD, self._number, rng, region)
        return rng

    def _tick(self) -> NDArray[np.float32]:
        """The person's next action, once the arm has made it."""
        action = self._scene.operator.tick(self._scene.sight(), True).values
        self._scene.world.step(self._scene.mapping.command(action))
        return action

    def _episode(self, region: str, source: Source) -> Episode:
        self._begin(region)
        world, steps = self._scene.world, []
        head = {"run": "bench", "episode": self._number, "source": source}
        for index in range(200):
            observation = self._scene.observe(index)
            steps.append(Step(observation, self._tick(), index=index, **head))
            if world.success:
                break
        outcome = Outcome.SUCCESS if world.success else Outcome.TIMEOUT
        end = self._scene.observe(index + 1)
        last = Step(end, is_last=True, outcome=outcome, index=index + 1, **head)
        return Episode((*steps, last))

    def moments(self, count: int) -> Moments:
        """What is seen at random moments of ``count`` episodes over the whole patch."""
        seen, places = [], []
        for _ in range(count):
            rng = self._begin("whole")
            ticks = np.sort(rng.integers(_LATEST, size=_MOMENTS))
            for tick in range(_LATEST):
                for _ in range(int((ticks == tick).sum())):
                    seen.append(self._scene.observe(tick))
                    places.append(self._scene.world.object_position[:2])
                self._tick()
        return Moments(seen, np.array(places, np.float32))


@dataclass(frozen=True)
class Recorded:
    """Everything that encoders are compared on."""

    demonstrations: list[Episode]
    further: list[Episode]
    told: Moments
    asked: Moments


def record(seed: int) -> Recorded:
    """Records all episodes; about 7,000 frames of two cameras."""
    recorder = Recorder(seed)
    return Recorded(
        recorder.successes(DEMONSTRATIONS, "left", Source.OFFLINE),
        recorder.successes(FURTHER, "whole", Source.POLICY),
        recorder.moments(TOLD),
        recorder.moments(ASKED),
    )


def features_of(encoder: Encoder, observations: list[Observation]) -> torch.Tensor:
    """Features and state of each, (n, feature_dim + state_dim)."""
    parts, size = [], encoder.at_once
    state = OBSERVATION.normalise(np.stack([each.state for each in observations]))
    for start in range(0, len(observations), size):
        frames = [encoder.prepare(each) for each in observations[start : start + size]]
        features = encoder.encode(np.stack(frames), state[start : start + size])
        parts.append(features.astype(np.float32))
    return torch.from_numpy(np.concatenate((np.concatenate(parts), state), 1).astype(np.float32))


def probe(encoder: Encoder, recorded: Recorded, seed: int) -> float:
    """Median error, mm, of a small network that is told where the cube was."""
    torch.manual_seed(seed)
    told, asked = (
        features_of(encoder, part.observations) for part in (recorded.told, recorded.asked)
    )
    mean, deviation = told.mean(0), told.std(0) + 1e-3
    told, asked = (told - mean) / deviation, (asked - mean) / deviation
    place = torch.from_numpy(recorded.told.place)
    scale = place.std(0)
    wanted = (place - place.mean(0)) / scale
    network = nn.Sequential(
        nn.Linear(told.shape[1], 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, 2)
    )
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    for _ in range(1500):
        batch = torch.randint(len(told), (128,))
        noisy = told[batch] + 0.1 * torch.randn(128, told.shape[1])
        loss = F.smooth_l1_loss(network(noisy), wanted[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        said = network(asked) * scale + place.mean(0)
    errors = (said - torch.from_numpy(recorded.asked.place)).norm(dim=1)
    return 1000 * float(errors.median())


def milliseconds(encoder: Encoder) -> float:
    """To encode the frame of all cameras, as the policy node does at a tick: the median."""
    frame = np.random.default_rng(0).integers(0, 256, (1, *encoder.spec.frame_shape), np.uint8)
    state = np.zeros((1, OBSERVATION.state_dim), np.float32)
    times = []
    for _ in range(60):
        start = time.perf_counter()
        encoder.encode(frame, state)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times[10:]))


def update_milliseconds(p: LearnerParameters, seed: int) -> float:
    """A critic update of end_to_end on a batch of 256, and its share of the actor's: the median."""
    learner = Learner(replace(p, capacity=1000), OBSERVATION, ACTION)
    rng = np.random.default_rng(seed)
    shape = learner.encoder.spec.frame_shape if learner.encoder is not None else ()
    state, action = np.zeros(OBSERVATION.state_dim, np.float32), np.zeros(3, np.float32)
    for _ in range(600):
        frame = rng.integers(0, 256, shape, np.uint8)
        learner.buffer.append(state, action, 1, 0.0, Source.POLICY, None, frame)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        learner.sac.critic_update(learner.buffer.sample())
        middle = time.perf_counter()
        learner.sac.actor_update(learner.buffer.sample())
        end = time.perf_counter()
        times.append(middle - start + (end - middle) / p.critic_updates_per_actor)
    return 1000 * float(np.median(times[2:]))


def parameters_of(name: str, options: argparse.Namespace) -> LearnerParameters:
    """The learner's settings for an encoder as it is named on the command line."""
    kind, *rest = name.split("/")
    choices: dict[str, Any] = {"encoder": "learned" if kind == "random" else kind}
    if kind == "pretrained":
        choices["backbone_weights"] = options.weights
        choices |= dict(zip(("backbone", "encoder_head"), rest, strict=False))
    elif rest:
        choices["encoder_head"] = rest[0]
    return build(LearnerParameters, {**choices, "seed": options.seed})


def compare(name: str, recorded: Recorded, options: argparse.Namespace) -> None:
    """Trains one encoder, measures it, and prints its row."""
    p, seed = parameters_of(name, options), options.seed
    spec = encoder_spec(p, OBSERVATION)
    assert spec is not None
    encoder = make_encoder(spec, seed)
    row = f"{name:50}{milliseconds(encoder):7.2f} ms"
    if name.startswith("random"):
        row += f"{'':20}{probe(encoder, recorded, seed):7.1f} mm"
    elif name.startswith("end_to_end"):
        row += f"{update_milliseconds(p, seed):20.0f} ms an update"
    else:
        with tempfile.TemporaryDirectory() as folder:
            settings, path = RepresentationSettings(), Path(folder)
            training = EncoderTraining(encoder, OBSERVATION, ACTION, settings, path, seed)
            for episodes, updates in (
                (recorded.demonstrations, p.pretrain_updates),
                (recorded.further, options.updates),
            ):
                start = time.perf_counter()
                for episode in episodes:
                    training.add_episode(episode)
                taken = time.perf_counter()
                training.train(updates)
                row += f"{taken - start:8.1f} s{time.perf_counter() - taken:8.1f} s"
                row += f"{probe(encoder, recorded, seed):7.1f} mm"
    print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--encoders", nargs="+", default=DEFAULT, metavar="ENCODER[/BACKBONE][/HEAD]"
    )
    parser.add_argument("--weights", default="", help="of the backbone, as 'backbone_weights'")
    parser.add_argument("--updates", type=int, default=800, help="on all episodes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    process.prepare(threads=1)
    start = time.perf_counter()
    recorded = record(options.seed)
    print(f"recorded in {time.perf_counter() - start:.0f} s; taking in and training on, and error:")
    title = f"{f'{DEMONSTRATIONS} demonstrations, left':>30}{f'and {FURTHER} more, whole':>30}"
    print(f"{'encoder':50}{'a tick':>10}{title}", flush=True)
    for name in options.encoders:
        compare(name, recorded, options)


if __name__ == "__main__":
    main()
