"""Which robot a run has, as parameters of its nodes; free of ROS."""

from __future__ import annotations

from dataclasses import dataclass

from hilserl_core.parameters import parameter
from hilserl_description.arm_model import OBSERVATIONS
from hilserl_description.models import MODELS


@dataclass(frozen=True)
class ActingParameters:
    """Parameters of a node that needs to know what actions mean."""

    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    action_space: str = parameter(
        "ee_delta", "what actions mean", choices=("ee_delta", "joint_delta")
    )
    specs: str = parameter(
        "",
        "file that says what observations and actions are, where an environment stands in for "
        "an arm; empty: those of the arm",
    )


@dataclass(frozen=True)
class RobotParameters(ActingParameters):
    """Parameters of a node that needs to know what observations are as well."""

    observation: str = parameter("state", "what the policy sees", choices=OBSERVATIONS)
