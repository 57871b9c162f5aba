"""The arms of the suite, by name."""

from __future__ import annotations

from hilserl_core.errors import UserError
from hilserl_description.arm_model import ArmModel
from hilserl_description.koch import KOCH
from hilserl_description.so101 import SO101

MODELS = {arm.name: arm for arm in (KOCH, SO101)}


def model(name: str) -> ArmModel:
    """The arm of a name.

    Raises:
        UserError: there is no such arm.
    """
    if name not in MODELS:
        raise UserError(f"arm '{name}' is unknown, choose from: {', '.join(MODELS)}")
    return MODELS[name]
