"""What updates say of themselves, and what that means."""

from __future__ import annotations

import torch
from torch import Tensor

from hilserl_core.step import Source
from hilserl_replay.buffer import Batch

CRITIC_METRICS = ("critic_loss", "q", "target_q")
ACTOR_METRICS = (
    "actor_loss",
    "cloning_error",
    "entropy",
    "gripper_entropy",
    "temperature",
    "cloning_weight",
)


def critic_record(loss: Tensor, q: Tensor, target: Tensor, batch: Batch) -> Tensor:
    """What an update leaves of values q (ensemble, batch): (3 + 2 batch,).

    CRITIC_METRICS, then each sample's value and who acted on it: ``critic_figures`` makes
    sense of those when somebody asks, and not in every update.
    """
    each = q.mean(0)
    return torch.cat((torch.stack((loss, each.mean(), target.mean())), each, batch.source.float()))


def critic_figures(record: Tensor) -> dict[str, float]:
    """CRITIC_METRICS of a ``critic_record``, the value by source, and the batch's shares.

    The value of a source that the batch had no sample of is left out, and so are the shares
    where there was no batch yet.
    """
    samples = (len(record) - 3) // 2
    whole, each, source = record.split((3, samples, samples))
    result = dict(zip(CRITIC_METRICS, whole.tolist(), strict=True))
    for who in Source if samples else ():
        own = each[source == int(who)]
        result[f"batch_{who.name.lower()}"] = float(len(own))
        if len(own):
            result[f"q_{who.name.lower()}"] = own.mean().item()
    return result
