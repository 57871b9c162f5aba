"""What a limp arm does for the hand that moves it: against friction, and against its weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.parameters import parameter
from hilserl_drivers.arms import Arm
from hilserl_drivers.registers import Mode

Vector = NDArray[np.float64]

FULL_VELOCITY = 0.3
"""rad/s, from which on friction is compensated fully; below, in proportion, so that a joint at
rest is not pushed to and fro by its own noise."""


@dataclass(frozen=True)
class AssistanceSettings:
    """How a limp arm helps."""

    friction_current: float = parameter(
        0.0,
        "A with which a limp arm helps the hand along, where its servos regulate current",
        low=0.0,
        high=0.3,
    )
    gravity_compensation: float = parameter(
        0.0,
        "share of its own weight that a limp arm carries, where its servos regulate current and "
        "as far as assistance_limit goes",
        low=0.0,
        high=1.0,
    )
    assistance_limit: float = parameter(
        0.3, "A that a limp arm's servo takes at most, all help together", low=0.0, high=0.6
    )


class Assistance:
    """Finds the currents of a limp arm's servos.

    Args:
        arm: which arm it is.
        settings: how it helps.
        gravity: N m (joints,) that hold the arm, of its joint positions (joints,) rad; by
            default those of the arm's model, where they are needed.

    Attributes:
        helps: for each joint, whether its servo can. One that regulates current beside its
            position can do so without another operating mode, whose change at each takeover
            would wear its EEPROM.
    """

    def __init__(
        self,
        arm: Arm,
        settings: AssistanceSettings,
        gravity: Callable[[Vector], Vector] | None = None,
    ) -> None:
        self.helps = tuple(servo.mode == Mode.CURRENT_POSITION for servo in arm.servos)
        self._joints, self._settings = arm.joints, settings
        self._wanted = settings.friction_current > 0 or settings.gravity_compensation > 0
        self._able = np.array(self.helps, float)
        self._torque_constant = np.array(
            [servo.table.torque_constant or 1.0 for servo in arm.servos]
        )
        self._gravity = gravity
        if settings.gravity_compensation > 0 and any(self.helps) and gravity is None:
            # Only here: it loads a simulator, which an arm without it can do without.
            from hilserl_description.gravity import GravityTorque
            from hilserl_description.models import model

            self._gravity = GravityTorque(model(arm.kind))

    @property
    def active(self) -> bool:
        """Whether any help is asked for that can be given."""
        return bool(self.helping)

    @property
    def helping(self) -> list[str]:
        """The joints that help."""
        joints = zip(self._joints, self.helps, strict=True)
        return [joint for joint, helps in joints if helps and self._wanted]

    @property
    def unable(self) -> str:
        """What of the help asked for cannot be given, for a person; empty where nothing is."""
        if not self._wanted or all(self.helps):
            return ""
        joints = zip(self._joints, self.helps, strict=True)
        limp = ", ".join(joint for joint, helps in joints if not helps)
        return (
            f"friction_current and gravity_compensation do nothing at {limp}: these servos "
            "regulate no current beside their position, and are limp when the arm leads"
        )

    def currents(self, position: ArrayLike, velocity: ArrayLike) -> Vector:
        """The currents (joints,) A, positive towards larger angles.

        Args:
            position: (joints,) rad.
            velocity: (joints,) rad/s.
        """
        settings = self._settings
        share = np.clip(np.asarray(velocity, float) / FULL_VELOCITY, -1.0, 1.0)
        result: Vector = settings.friction_current * share
        if self._gravity is not None and settings.gravity_compensation > 0:
            torque = settings.gravity_compensation * self._gravity(np.asarray(position, float))
            result = result + torque / self._torque_constant
        limit = settings.assistance_limit
        # What is not a number is no reason to push.
        return self._able * np.clip(np.nan_to_num(result, posinf=0.0, neginf=0.0), -limit, limit)
