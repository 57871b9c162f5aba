"""How a learner takes a refreshed encoder up: features, networks and encoder at once.

Until every observation in the buffer has its new features, the old ones serve. Then, in one
go, the buffer's features are replaced, and the first layers of actor and critics are moved
to the new features, so that what they say stays as it was as far as a linear map can tell.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hilserl_learner.encoder_training import Refresh
from hilserl_learner.experience import Experience
from hilserl_learner.sac import State
from hilserl_policy.mlp import Parameters

_AT_ONCE = 64  # frames encoded between two of the learner's updates
_SAMPLE = 8192  # observations that the map between features is fitted to
_RIDGE = 1e-3  # of the features' mean square


class Adoption:
    """One refresh on its way into a learner.

    Args:
        refresh: that is whole.
        experience: of the learner.
    """

    def __init__(self, refresh: Refresh, experience: Experience):
        self.refresh, self._experience = refresh, experience
        with experience.lock:
            serials, features = experience.covered(refresh)
        self._serials: list[NDArray[np.int64]] = [serials]
        self._features: list[NDArray[np.float16]] = [features]
        self._done = set(serials.tolist())

    def _missing(self) -> list[int]:
        """Observations that came after the refresh had read the bags."""
        return [serial for serial in self._experience.frames if serial not in self._done]

    def catch_up(self) -> bool:
        """Encodes a few of the observations that came since; returns whether some are left."""
        with self._experience.lock:
            missing = self._missing()[:_AT_ONCE]
            kept = [self._experience.frames[serial] for serial in missing]
        if not missing:
            return False
        self._serials.append(np.array(missing, np.int64))
        frames, states = (np.stack(part) for part in zip(*kept, strict=True))
        self._features.append(self.refresh.encoder.encode(frames, states))
        self._done.update(missing)
        return True

    def complete(self, state: State | None, state_dim: int) -> float:
        """Changes encoder, features and networks together.

        Args:
            state: of the networks that read the old features; None: none has learned yet.
            state_dim: numbers before the features in the networks' input.

        Returns:
            The share of the old features' variance that a linear map of the new ones
            explains; 0 without old features.
        """
        experience = self._experience
        with experience.lock:
            while self.catch_up():  # what came between the last look and the lock
                pass
            serials, features = np.concatenate(self._serials), np.concatenate(self._features)
            explained = 0.0
            if state is not None and experience.encoder is not None:
                explained = self._move_networks(state, state_dim, serials, features)
            experience.buffer.replace_features(serials, features)
            experience.use(self.refresh.encoder)
            for serial in serials.tolist():
                experience.frames.pop(serial, None)
        return explained

    def _move_networks(
        self,
        state: State,
        state_dim: int,
        serials: NDArray[np.int64],
        features: NDArray[np.float16],
    ) -> float:
        buffer = self._experience.buffer
        held = np.flatnonzero(buffer.holds(serials))
        at = buffer.rng.choice(held, min(_SAMPLE, len(held)), replace=False)
        old, new = buffer.features_of(serials[at]), features[at].astype(np.float32)
        matrix, offset, explained = fit(old, new)
        networks = [state.actor.parameters, state.average, state.critic.parameters, state.target]
        if state.restraint is not None:
            networks += [part.parameters for part in state.restraint]
        for network in networks:
            rebase(network, slice(state_dim, state_dim + len(matrix)), matrix, offset)
        return explained


def fit(
    old: NDArray[np.float32], new: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """The ridge regression of old features on new ones.

    Args:
        old, new: (n, features).

    Returns:
        (features, features) and (features,), so that old is about new @ matrix + offset; and
        the share of old's variance that this explains.
    """
    centre_new, centre_old = new.mean(0), old.mean(0)
    x, y = (new - centre_new).astype(np.float64), (old - centre_old).astype(np.float64)
    gram = x.T @ x
    ridge = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    matrix = np.linalg.solve(gram + ridge, x.T @ y)
    residual = float(np.square(x @ matrix - y).sum())
    explained = 1 - residual / max(float(np.square(y).sum()), 1e-12)
    offset = centre_old - centre_new @ matrix
    return matrix.astype(np.float32), offset.astype(np.float32), explained


@torch.no_grad()
def rebase(
    network: Parameters, rows: slice, matrix: NDArray[np.float32], offset: NDArray[np.float32]
) -> None:
    """Makes a network read new features as it read the old ones, in place.

    Args:
        network: whose "0.weight" is (ensemble, inputs, hidden).
        rows: of the features among the inputs.
        matrix, offset: as ``fit`` returns them.
    """
    weight, bias = network["0.weight"], network["0.bias"]
    reading = weight[:, rows].clone()
    bias += torch.from_numpy(offset).to(weight.device)[None, None] @ reading
    weight[:, rows] = torch.from_numpy(matrix).to(weight.device)[None] @ reading
