"""The learner's whole state on disk: safetensors, written aside and renamed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_learner.sac import Sac
from hilserl_policy.encoders import Encoder
from hilserl_policy.weights import (
    ENCODER_PREFIX,
    encoder_arrays,
    encoder_metadata,
    read_encoder,
    read_metadata,
)

FORMAT = "hilserl-learner-2"
FILE = "learner.safetensors"


class CheckpointError(UserError):
    """A checkpoint is damaged, or belongs to another run."""


def _tensors(part: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a state, or of a part of it, with a name of its own."""
    if isinstance(part, Tensor):
        yield name, part
    elif part is not None:
        fields = part if isinstance(part, dict) else part._asdict()
        for key, value in fields.items():
            yield from _tensors(value, f"{name}.{key}" if name else key)


def write(
    path: Path,
    sac: Sac,
    rng: np.random.Generator,
    spec: str,
    progress: dict[str, Any],
    encoder: Encoder | None = None,
) -> None:
    """Writes a checkpoint; a crash leaves the old one or the new one.

    Args:
        path: of the file.
        sac: networks, optimisers and the generator of noise.
        rng: of the replay buffer's sampling.
        spec: hash of the run's observation and action specs.
        progress: counters to go on from, plain numbers and strings.
        encoder: whose features the networks read; None: they see the state alone.

    Raises:
        UserError: the file cannot be written.
    """
    tensors = {name: tensor.contiguous() for name, tensor in _tensors(sac.state)}
    tensors["generator"] = sac.generator.get_state()
    metadata = {
        "format": FORMAT,
        "spec": spec,
        "architecture": json.dumps(dataclasses.asdict(sac.architecture)),
        "progress": json.dumps(progress),
        "rng": json.dumps(rng.bit_generator.state),
    }
    if encoder is not None:
        metadata |= encoder_metadata(encoder)
        arrays = encoder_arrays(encoder)
        tensors |= {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        write_aside(path, save(tensors, metadata))
    except OSError as error:
        raise UserError(f"checkpoint {path} cannot be written: {error.strerror}") from None


def read(path: Path, sac: Sac, rng: np.random.Generator, spec: str) -> dict[str, Any]:
    """Takes a checkpoint up into ``sac`` and ``rng``; returns its progress.

    Raises:
        CheckpointError: it is damaged, or of another spec or architecture. Nothing has
            changed then.
    """
    metadata, tensors = _load(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format '{metadata.get('format')}', not {FORMAT}: delete it "
            "to learn anew from the run's episodes"
        )
    if metadata["spec"] != spec:
        raise CheckpointError(
            f"checkpoint {path} is of spec {metadata['spec']}, this run of {spec}: choose "
            "another run name, or the same task, observation and action space"
        )
    tensors = {k: v for k, v in tensors.items() if not k.startswith(ENCODER_PREFIX)}
    own = {**dict(_tensors(sac.state)), "generator": sac.generator.get_state()}
    odd = sorted(set(own) ^ set(tensors)) or sorted(
        name for name, tensor in own.items() if tensors[name].shape != tensor.shape
    )
    if odd:
        raise CheckpointError(
            f"checkpoint {path} holds networks of another shape ({odd[0]}): resume with the "
            "settings it was made with, or delete it"
        )
    with torch.no_grad():
        for name, tensor in _tensors(sac.state):
            tensor.copy_(tensors[name])
    sac.generator.set_state(tensors["generator"])
    rng.bit_generator.state = json.loads(metadata["rng"])
    return dict(json.loads(metadata["progress"]))


def read_encoder_of(path: Path) -> Encoder | None:
    """The encoder of a checkpoint, if it has one.

    Raises:
        CheckpointError: it is damaged.
    """
    metadata, tensors = _load(path)
    return read_encoder(metadata, {name: tensor.numpy() for name, tensor in tensors.items()})


def _load(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        data = path.read_bytes()
        metadata, tensors = read_metadata(data), load(data)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror}") from None
    except (SafetensorError, ValueError, AttributeError):
        raise CheckpointError(
            f"checkpoint {path} is damaged: delete it to learn anew from the run's episodes"
        ) from None
    return metadata, tensors
