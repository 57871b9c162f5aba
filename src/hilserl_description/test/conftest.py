"""Every arm of the suite, for tests that hold for each."""

from __future__ import annotations

import pytest

from hilserl_description.arm_model import ArmModel
from hilserl_description.models import MODELS


@pytest.fixture(params=MODELS.values(), ids=list(MODELS), scope="session")
def arm(request: pytest.FixtureRequest) -> ArmModel:
    return request.param
