"""A version of the actor on the wire and on disk: safetensors, never pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hilserl_core.errors import UserError
from hilserl_policy.networks import Architecture, PolicyNetwork

FORMAT = "hilserl-actor-1"


class WeightsError(UserError):
    """Weights are damaged, or belong to another run."""


def sha256(data: bytes) -> str:
    """The checksum that travels with the weights, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def encode(
    parameters: Mapping[str, Any], architecture: Architecture, spec: str, version: int
) -> bytes:
    """The actor as safetensors bytes.

    Args:
        parameters: the actor's, as tensors or arrays.
        architecture: goes along as metadata.
        spec: hash of the run's observation and action specs.
        version: increases from 0, the untrained policy.
    """
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(dataclasses.asdict(architecture)),
        "spec": spec,
        "version": str(version),
    }
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in parameters.items()}
    return save(arrays, metadata)


def _metadata(data: bytes) -> dict[str, str]:
    """The header's free-form part, which safetensors' own loader of bytes leaves out."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__", {}))


def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    width = architecture.state_dim
    for layer, size in enumerate(architecture.hidden):
        shapes[f"{layer}.weight"] = (1, width, size)
        shapes[f"{layer}.bias"] = (1, 1, size)
        width = size
    shapes["out.weight"] = (1, architecture.actor_outputs, width)
    shapes["out.bias"] = (1, architecture.actor_outputs, 1)
    return shapes


def decode(data: bytes, spec: str, checksum: str | None = None) -> PolicyNetwork:
    """The network that ``encode`` wrote, ready to act.

    Args:
        data: safetensors bytes.
        spec: hash of this run's observation and action specs.
        checksum: hexadecimal sha256 to hold the bytes against; None: not checked.

    Raises:
        WeightsError: checksum, format, spec or a shape does not fit.
    """
    if checksum is not None and sha256(data) != checksum:
        raise WeightsError(
            f"weights of {len(data)} bytes do not match their sha256 {checksum[:12]}...: "
            "they were damaged on the way, publish them again"
        )
    try:
        metadata, arrays = _metadata(data), load(data)
    except (SafetensorError, ValueError, AttributeError) as error:
        raise WeightsError(f"weights are not readable safetensors ({error}): train again") from None
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"weights of format '{metadata.get('format')}' are not {FORMAT}: "
            "use a policy that this version's learner wrote"
        )
    if metadata["spec"] != spec:
        raise WeightsError(
            f"weights were trained for spec {metadata['spec']}, this run has {spec}: "
            "start with the task, observation and action space they were trained with"
        )
    settings = json.loads(metadata["architecture"])
    architecture = Architecture(**{**settings, "hidden": tuple(settings["hidden"])})
    _check(arrays, architecture)
    return PolicyNetwork(architecture, arrays, int(metadata["version"]))


def _check(arrays: Mapping[str, NDArray[Any]], architecture: Architecture) -> None:
    """Raises WeightsError where a tensor is missing, misshapen, or not finite."""
    shapes = _shapes(architecture)
    if set(arrays) != set(shapes):
        odd = ", ".join(sorted(set(arrays) ^ set(shapes)))
        raise WeightsError(f"weights and their architecture disagree on {odd}: train again")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            raise WeightsError(
                f"weights '{name}' of {array.shape} {array.dtype} are not finite float32 of "
                f"{shape}: train again"
            )
