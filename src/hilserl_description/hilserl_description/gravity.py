"""What gravity asks of an arm's motors."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_description.arm_model import ArmModel
from hilserl_description.scenes import load_robot


class GravityTorque:
    """The torques that hold the arm still against its own weight.

    By the recursive Newton-Euler equations at rest, from the links' masses and their centres:
    the gradient of the potential energy by the joints' angles. The base stands upright.

    Args:
        arm: the model.
    """

    def __init__(self, arm: ArmModel) -> None:
        self._model = load_robot(arm)
        self._data = mujoco.MjData(self._model)
        self._torque = np.zeros(self._model.nv)

    def __call__(self, position: ArrayLike) -> NDArray[np.float64]:
        """(6,) N m, at the joint positions (6,) rad."""
        self._data.qpos[:] = position  # At rest: nothing else sets the velocities.
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_rne(self._model, self._data, 0, self._torque)
        return self._torque.copy()
