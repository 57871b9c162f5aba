"""Settings of the learner by name, as published, and those that suit an environment.

What a parameter file gives goes before them.

Where a paper has a part that this learner has not, the nearest setting stands in, and the
comment beside it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_COMMON = {
    "hidden": (256, 256),
    "initial_std": 1.0,
    "n_step": 1,
    "polyak": 0.005,
    "batch_size": 256,
    "learning_rate": 3e-4,
    "temperature_learning_rate": 3e-4,
    "target_entropy": -0.5,
    "cloning_steps": 0,
    "cloning_weight": 0.0,
    "gripper_cloning_weight": 0.0,
    "critic_warmup": 0,
}

_HIL_SERL = {
    **_COMMON,
    "activation": "tanh",
    "critics": 2,
    "target_subset": 2,
    "backup_entropy": False,
    "discount": 0.97,
    "initial_temperature": 0.01,
    # Half of a batch from demonstrations and half from the run, human steps in both: at equal
    # numbers of each, this.
    "offline_weight": 1.0,
    "policy_weight": 1.0,
    "human_weight": 2.0,
    "utd_ratio": 2.0,
    "critic_updates_per_actor": 2,
    "publish_updates": 50,
    # The gripper: a choice in every critic here, a network of its own there.
    "gripper_penalty": -0.02,
}

_RLPD = {
    **_COMMON,
    "activation": "relu",
    "critics": 10,
    "target_subset": 2,
    "backup_entropy": True,
    "discount": 0.99,
    "initial_temperature": 1.0,
    # Half prior data, half own; it knows no interventions, which get a share beside them.
    "offline_weight": 1.0,
    "policy_weight": 1.0,
    "human_weight": 1.0,
    # 20 updates a step, the actor's after them; where that is too much for the machine, the
    # learner falls behind the steps and catches up when they pause.
    "utd_ratio": 20.0,
    "critic_updates_per_actor": 20,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "default": {},
        "hil_serl": _HIL_SERL,  # Luo et al. 2024, arXiv 2410.21845, and its published code
        "rlpd": _RLPD,  # Ball et al. 2023, arXiv 2302.02948
    }
)
"""Parameters of the learner that each preset sets; "default" leaves the declared ones."""

_PUSHT = {
    "discount": 0.99,  # a demonstration takes some 70 actions
    "utd_ratio": 1.0,
    "publish_updates": 200,
    "cloning_steps": 1000,
    "capacity": 400_000,
}
SUITED: Mapping[str, Mapping[str, Any]] = {"gym_pusht/PushT-v0": _PUSHT}
"""Settings of the learner that suit an environment, in place of the defaults."""
