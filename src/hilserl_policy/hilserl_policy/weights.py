"""A version of the policy on the wire and on disk: safetensors, never pickle.

The actor and the encoder whose features it reads are one policy, and travel together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hilserl_core.errors import UserError
from hilserl_core.spec import ObservationSpec
from hilserl_core.step import Observation
from hilserl_policy.encoders import Encoder, EncoderSpec, load_encoder
from hilserl_policy.networks import Architecture, PolicyNetwork

FORMAT = "hilserl-policy-2"
ENCODER_PREFIX = "encoder."


class WeightsError(UserError):
    """Weights are damaged, or belong to another run."""


@dataclass(frozen=True)
class Policy:
    """What acts: a network and, where the policy sees images, the encoder before it.

    Attributes:
        encoder_hash: of the encoder; "" without one.
    """

    network: PolicyNetwork
    encoder: Encoder | None = None
    encoder_hash: str = ""

    @property
    def version(self) -> int:
        return self.network.version

    def act(
        self,
        spec: ObservationSpec,
        observation: Observation,
        rng: np.random.Generator,
        deterministic: bool,
    ) -> tuple[NDArray[np.float32], bytes]:
        """An action, and the features that it was chosen by.

        Args:
            spec: of the observation.
            observation: in physical units, with its images.
            rng: draws a sample.
            deterministic: the mean in its place.

        Returns:
            (dim,) float32 in [-1, 1]; and float16, little-endian, empty without an encoder.

        Raises:
            UserError: an image does not fit the encoder.
        """
        state, features = spec.normalise(observation.state), b""
        if self.encoder is not None:
            frame = self.encoder.prepare(observation)
            encoded = self.encoder.encode(frame[None], state[None])[0]
            state = np.concatenate((state, encoded.astype(np.float32)))
            features = encoded.astype("<f2").tobytes()
        return self.network.act(state, rng, deterministic=deterministic), features


def sha256(data: bytes) -> str:
    """The checksum that travels with the weights, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def encode(
    parameters: Mapping[str, Any],
    architecture: Architecture,
    spec: str,
    version: int,
    encoder: Encoder | None = None,
) -> bytes:
    """The policy as safetensors bytes.

    Args:
        parameters: the actor's, as tensors or arrays.
        architecture: goes along as metadata.
        spec: hash of the run's observation and action specs.
        version: increases from 0, the untrained policy.
        encoder: whose features the actor reads; None: it sees the state alone.
    """
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(dataclasses.asdict(architecture)),
        "spec": spec,
        "version": str(version),
    }
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in parameters.items()}
    if encoder is not None:
        metadata |= encoder_metadata(encoder)
        arrays |= encoder_arrays(encoder)
    return save(arrays, metadata)


def encoder_metadata(encoder: Encoder) -> dict[str, str]:
    """What a file says of the encoder in it."""
    return {
        "encoder": json.dumps(dataclasses.asdict(encoder.spec)),
        "encoder_hash": encoder.hash(),
        "backbone_hash": encoder.backbone.hash if encoder.backbone is not None else "",
    }


def encoder_arrays(encoder: Encoder) -> dict[str, NDArray[np.float32]]:
    """An encoder's weights by the names that they have in a file.

    Those of a frozen backbone stay where they are: the file says by name and hash which they
    were, and who reads it loads them from there. They never change, and would be a hundred
    times what does.
    """
    return {
        ENCODER_PREFIX + name: np.array(value.detach().cpu().numpy(), np.float32, order="C")
        for name, value in encoder.state_dict().items()
    }


def read_encoder(metadata: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> Encoder | None:
    """The encoder in a file's arrays, if it has one.

    Raises:
        UserError: they do not fit, or the backbone under them is not to be had here.
    """
    if "encoder" not in metadata:
        return None
    spec = EncoderSpec.read(json.loads(metadata["encoder"]))
    encoder = load_encoder(
        spec,
        {
            name.removeprefix(ENCODER_PREFIX): value
            for name, value in arrays.items()
            if name.startswith(ENCODER_PREFIX)
        },
    )
    made_with = metadata.get("backbone_hash", "")
    if encoder.backbone is not None and encoder.backbone.hash != made_with:
        raise WeightsError(
            f"backbone '{spec.trunk}' has weights {encoder.backbone.hash} here, the encoder was "
            f"trained on {made_with}: put the same weights on every machine of the run"
        )
    return encoder


def read_metadata(data: bytes) -> dict[str, str]:
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


def decode(
    data: bytes, spec: str, checksum: str | None = None, known: Policy | None = None
) -> Policy:
    """The policy that ``encode`` wrote, ready to act.

    Args:
        data: safetensors bytes.
        spec: hash of this run's observation and action specs.
        checksum: hexadecimal sha256 to hold the bytes against; None: not checked.
        known: an earlier policy, whose encoder is taken again where it is the same.

    Raises:
        WeightsError: checksum, format, spec or a shape does not fit.
    """
    if checksum is not None and sha256(data) != checksum:
        raise WeightsError(
            f"weights of {len(data)} bytes do not match their sha256 {checksum[:12]}...: "
            "they were damaged on the way, publish them again"
        )
    try:
        metadata, arrays = read_metadata(data), load(data)
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
    actor = {k: v for k, v in arrays.items() if not k.startswith(ENCODER_PREFIX)}
    _check(actor, architecture)
    network = PolicyNetwork(architecture, actor, int(metadata["version"]))
    hash_ = metadata.get("encoder_hash", "")
    if known is not None and hash_ == known.encoder_hash:
        return Policy(network, known.encoder, hash_)
    encoder = read_encoder(metadata, arrays)
    if encoder is not None and encoder.hash() != hash_:
        raise WeightsError(f"the encoder's weights do not match their hash {hash_}: train again")
    return Policy(network, encoder, hash_)


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
