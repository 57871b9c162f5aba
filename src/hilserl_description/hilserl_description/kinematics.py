"""Forward and inverse kinematics of an arm.

Inverse kinematics is differential: mink turns the wishes of each iteration into a small
quadratic program with hard bounds, and daqp solves it. The tool's position comes first;
with what freedom is left the tool points down and the wrist stays rolled as at home.
"""

from __future__ import annotations

import mink
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_description.arm_model import GRIPPER, MAX_JOINT_STEP, ArmModel
from hilserl_description.koch import KOCH
from hilserl_description.scenes import load_robot

Vector = NDArray[np.float64]

# Weights of the wishes against 1 for the tool's position in metres: small enough that
# they yield to it by well under a millimetre where they are in conflict.
_PITCH_COST = 0.003
_ROLL_COST = 0.003
_DAMPING = 1e-6
# rad: a wish pulls no harder than from here, so that far from straight down (at the end of
# the arm's reach) it still yields to the position.
_MAX_WISH = 0.3
# The pitch joints turn about parallel axes, so that the tool's pitch is the sum of their angles.
_PITCH_JOINTS = slice(1, 4)


class ForwardKinematics:
    """Pose of the tool from joint positions.

    Args:
        arm: whose joints.
        site: of its model: the tool.
    """

    def __init__(self, arm: ArmModel = KOCH, site: str = "tool") -> None:
        self._model = load_robot(arm)
        self._data = mujoco.MjData(self._model)
        self._site = self._model.site(site).id

    def __call__(self, position: ArrayLike) -> tuple[Vector, Vector]:
        """The tool's position (3,) in m and rotation (3, 3), in the base frame.

        Args:
            position: (6,) joint positions, rad.
        """
        self._data.qpos[:] = position
        mujoco.mj_kinematics(self._model, self._data)
        rotation: Vector = self._data.site_xmat[self._site].reshape(3, 3).copy()
        return self._data.site_xpos[self._site].copy(), rotation

    def position(self, position: ArrayLike) -> Vector:
        """The tool's position (3,) alone."""
        self._data.qpos[:] = position
        mujoco.mj_kinematics(self._model, self._data)
        result: Vector = self._data.site_xpos[self._site].copy()
        return result


class _ToolPosition(mink.Task):
    """The tool at ``target`` (3,) m in the base frame."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(cost=np.ones(3))
        self._site = model.site("tool").id
        self._jacobian = np.zeros((3, model.nv))
        self.target = np.zeros(3)

    def compute_error(self, configuration: mink.Configuration) -> Vector:
        error: Vector = configuration.data.site_xpos[self._site] - self.target
        return error

    def compute_jacobian(self, configuration: mink.Configuration) -> Vector:
        mujoco.mj_jacSite(configuration.model, configuration.data, self._jacobian, None, self._site)
        return self._jacobian


class _Posture(mink.Task):
    """Linear wishes on the joints: tool pitched down, wrist as at home, gripper as it is."""

    def __init__(self, arm: ArmModel) -> None:
        super().__init__(cost=np.array([_PITCH_COST, _ROLL_COST, 1.0]))
        pitch = np.zeros((1, 6))
        pitch[0, _PITCH_JOINTS] = [joint.axis[1] for joint in arm.joints[_PITCH_JOINTS]]
        self._matrix = np.vstack([pitch, np.eye(6)[4:]])
        # A quarter turn about +y brings +x down, and -x up.
        down = arm.hand.forward[0] * np.pi / 2
        self.target = np.array([down, arm.home[4], 0.0])

    def compute_error(self, configuration: mink.Configuration) -> Vector:
        error: Vector = self._matrix @ configuration.data.qpos - self.target
        return np.clip(error, -_MAX_WISH, _MAX_WISH)

    def compute_jacobian(self, configuration: mink.Configuration) -> Vector:
        return self._matrix


class _Box(mink.Limit):
    """Every joint between ``low`` and ``high`` (6,) rad, after this iteration."""

    def __init__(self, arm: ArmModel) -> None:
        self._matrix = np.vstack([np.eye(6), -np.eye(6)])
        self.low, self.high = arm.low, arm.high

    def compute_qp_inequalities(
        self, configuration: mink.Configuration, dt: float
    ) -> mink.Constraint:
        q = configuration.data.qpos
        return mink.Constraint(self._matrix, np.concatenate([self.high - q, q - self.low]))


class InverseKinematics:
    """Joint commands that bring the tool to a position, one control tick at a time.

    Pure: the answer depends on the arguments alone.
    """

    def __init__(
        self, arm: ArmModel = KOCH, max_step: ArrayLike = MAX_JOINT_STEP, iterations: int = 2
    ) -> None:
        """
        Args:
            arm: whose joints.
            max_step: (6,) rad, how far one call may move each joint.
            iterations: of the differential solver in a call; 2 leave under 1 mm of
                error on a motion of 3 cm.
        """
        model = load_robot(arm)
        self._arm = arm
        self._configuration = mink.Configuration(model)
        self._position, self._posture, self._box = _ToolPosition(model), _Posture(arm), _Box(arm)
        self._max_step = np.asarray(max_step, float)
        self._iterations = iterations

    def solve(self, last: ArrayLike, target: ArrayLike) -> Vector:
        """The next joint command (6,) rad: within joint limits and one step of the last.

        Args:
            last: (6,) rad, the last command, within the joint limits; its gripper is kept.
            target: (3,) m, where the tool shall be, base frame.
        """
        start = np.clip(np.asarray(last, float), self._arm.low, self._arm.high)
        low = np.maximum(self._arm.low, start - self._max_step)
        high = np.minimum(self._arm.high, start + self._max_step)
        self._box.low, self._box.high = low, high
        self._position.target = np.asarray(target, float)
        self._posture.target[2] = start[GRIPPER]
        q = start
        self._configuration.update(q)
        for _ in range(self._iterations):
            try:
                delta = mink.solve_ik(
                    self._configuration,
                    (self._position, self._posture),
                    dt=1.0,
                    solver="daqp",
                    damping=_DAMPING,
                    limits=(self._box,),
                )
            except mink.NoSolutionFound:
                break  # Holding is always within every limit.
            q = np.clip(q + delta, low, high)
            self._configuration.update(q)
        q[GRIPPER] = start[GRIPPER]
        return q
