"""The servo models that the drivers know."""

from __future__ import annotations

from hilserl_drivers import dynamixel_models, feetech_models
from hilserl_drivers.registers import Family, Model

MODELS = {
    model.name: model
    for model in (
        dynamixel_models.XL430_W250,
        dynamixel_models.XL330_M288,
        dynamixel_models.XL330_M077,
        feetech_models.STS3215,
    )
}
BAUD_CODES = {
    Family.DYNAMIXEL: dynamixel_models.BAUD_CODES,
    Family.FEETECH: feetech_models.BAUD_CODES,
}


def model_by_number(family: Family, number: int) -> Model | None:
    """The model that answers a ping with ``number``; None where it is not known."""
    for model in MODELS.values():
        if model.family == family and model.number == number:
            return model
    return None


def model_name(family: Family, number: int) -> str:
    """The model's name, or its number where it is not known."""
    model = model_by_number(family, number)
    return model.name if model else f"model {number}"
