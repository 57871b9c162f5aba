"""The arm, its table and an object in MuJoCo."""

from __future__ import annotations

import contextlib

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError
from hilserl_description.arm_model import CONTROL_PERIOD, GRIPPER, ArmModel
from hilserl_description.koch import KOCH
from hilserl_description.scenes import CAMERAS, load_scene
from hilserl_sim.appearance import Appearance
from hilserl_sim.tasks import (
    GOALS,
    PEG_GRIP,
    SOCKET_HEIGHT,
    Judge,
    Peg,
    Scene,
)

Vector = NDArray[np.float64]

REGIONS = ("whole", "left", "right")
_YAW = np.pi / 4
RAMP_PERIOD = 0.01  # s, how often the driver moves a setpoint on its way
_UNSTABLE = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)
_FAR_FROM_GOAL = 0.06  # m, so that no episode begins as a success
# How far at random the peg's gripped head is from the middle between the jaws, along and across
# them, m; and how far it is turned about their normal, rad.
_HEAD_SHIFT, _HEAD_TURN = 0.001, 0.03
_SETTLING = 0.3  # s until the grip has settled


class SimulationError(RuntimeError):
    """The physics went wrong; what follows would be nonsense."""


class World:
    """A robot and a scene that keep the driver's rules: limits and ramped setpoints.

    Attributes:
        arm: which arm it is.
        start: (6,) rad, the command with which an episode begins: home, the gripper open,
            or closed about the peg.
    """

    def __init__(
        self,
        task: str,
        image_size: tuple[int, int] = (128, 128),
        scene: str = "plain",
        arm: ArmModel = KOCH,
    ) -> None:
        """
        Args:
            task: one of ``scenes.TASKS``.
            image_size: (height, width) of rendered images, pixels.
            scene: "plain", or "hard": one that looks different in every episode.
            arm: that stands in it.
        """
        self.task, self.arm = task, arm
        self.model = load_scene(task, scene, arm)
        self._appearance = Appearance(self.model, arm) if scene == "hard" else None
        self.data = mujoco.MjData(self.model)
        self.judge = Judge(task)
        self._image_size = image_size
        self._renderer: mujoco.Renderer | None = None
        self._tool = self.model.site("tool").id
        self._object = self.model.body("object").id
        self._mocap = int(self.model.body("object").mocapid[0])
        self._substeps = round(RAMP_PERIOD / self.model.opt.timestep)
        self._ramp = arm.velocity_limit * RAMP_PERIOD
        self._hand = self.model.body("hand").id
        self._peg = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, "peg")
        self.start: Vector = arm.home.copy()
        if self._peg >= 0:
            self.start[GRIPPER] = arm.gripper_closed
        self._setpoint = self.start.copy()
        self.reset(0)

    def reset(self, seed: int, region: str = "whole") -> None:
        """Starts an episode: arm at home, object somewhere in the patch.

        Args:
            seed: of the object's pose; the same seed gives the same episode.
            region: of the patch: whole, left (x < 0) or right half.
        """
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:6] = self.data.ctrl[:] = self._setpoint[:] = self.start
        self._begin(seed, region)

    def rearrange(self, seed: int, region: str = "whole") -> None:
        """Starts an episode as a person at the table would: the arm stays where it is.

        Args:
            seed, region: as in ``reset``: the object lies where that would put it.
        """
        if self._peg >= 0:
            raise UserError(f"nobody can put the peg of '{self.task}' into a hand that stays")
        self.data.qvel[6:] = 0.0
        self._begin(seed, region)

    def _begin(self, seed: int, region: str) -> None:
        """Makes everything but the arm ready for an episode."""
        if region not in REGIONS:
            raise UserError(f"region '{region}' is unknown, choose from: {', '.join(REGIONS)}")
        rng = np.random.default_rng(seed)
        place = self._place_object(rng, region)
        if self._peg >= 0:
            self._grip_peg(rng)
        if self._appearance is not None:
            goal = GOALS.get(self.task, tuple(place))
            self._appearance.randomise(rng, np.array([place, goal]))
        mujoco.mj_forward(self.model, self.data)
        self.judge.reset()

    def _place_object(self, rng: np.random.Generator, region: str) -> Vector:
        """Draws the object's pose; returns its place (2,) m."""
        low, high = np.array(self.arm.upright if self._peg >= 0 else self.arm.patch)
        if region == "left":
            high[0] = 0.0
        elif region == "right":
            low[0] = 0.0
        goal = np.array(GOALS.get(self.task, (1.0, 1.0)))
        place = rng.uniform(low, high)
        while np.linalg.norm(place - goal) < _FAR_FROM_GOAL:
            place = rng.uniform(low, high)
        yaw = rng.uniform(-_YAW, _YAW)
        if self._peg >= 0:
            self.data.mocap_pos[self._mocap] = (*place, SOCKET_HEIGHT)
        elif self._mocap >= 0:
            self.data.mocap_pos[self._mocap] = (*place, rng.uniform(0.03, 0.12))
        else:
            self.data.qpos[6:9] = (*place, 0.015)
            self.data.qpos[9:13] = (np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))
        result: Vector = place
        return result

    def _grip_peg(self, rng: np.random.Generator) -> None:
        """Puts the peg between the jaws, a little askew, and closes them."""
        grip = self.arm.hand
        self.data.qpos[GRIPPER] = grip.gripped
        mujoco.mj_kinematics(self.model, self.data)
        hand = self.data.xmat[self._hand].reshape(3, 3)
        inward, backward = np.array(grip.inward), -np.array(grip.forward)
        head = grip.held + rng.uniform(-1, 1, 3) * _HEAD_SHIFT * (1 - np.abs(inward))
        turn = rng.uniform(-_HEAD_TURN, _HEAD_TURN)
        # The peg's z, from tip to head, points back along the tool, turned about the jaws' normal.
        axis = hand @ (np.cos(turn) * backward + np.sin(turn) * np.cross(inward, backward))
        across = hand @ inward
        rotation = np.column_stack([across, np.cross(axis, across), axis])
        position = self.data.xpos[self._hand] + hand @ head - PEG_GRIP * axis
        self.data.qpos[6:9] = position
        mujoco.mju_mat2Quat(self.data.qpos[9:13], rotation.ravel())
        # Carried, until the jaws do.
        weight = self.model.body_mass[self._peg] * self.model.opt.gravity
        self.data.xfrc_applied[self._peg, :3] = -weight
        self._move(self.start, _SETTLING)
        self.data.xfrc_applied[self._peg] = 0.0

    def step(self, command: ArrayLike, seconds: float = CONTROL_PERIOD) -> None:
        """Simulates ``seconds`` with the servos on their way to ``command`` (6,) rad.

        Raises:
            SimulationError: the physics became unstable.
        """
        self._move(command, seconds)
        self._look(seconds)

    def drive(self, goal: ArrayLike, torque: ArrayLike, steps: int) -> None:
        """Simulates servos that regulate to ``goal`` at once, no harder than ``torque``.

        Args:
            goal: (6,) rad.
            torque: (6,) N m, the greatest that each servo exerts now; 0 where it is limp.
            steps: time steps of the physics.

        Raises:
            SimulationError: the physics became unstable.
        """
        limit = np.minimum(np.asarray(torque, float), self.arm.torque_limit)
        self.model.actuator_forcerange[:, 0] = -limit
        self.model.actuator_forcerange[:, 1] = limit
        self.data.ctrl[:] = goal
        mujoco.mj_step(self.model, self.data, steps)
        self._check()
        self._look(steps * self.model.opt.timestep)

    def _look(self, seconds: float) -> None:
        """Brings what is seen up to date, and has it judged."""
        # mj_step leaves positions of sites and bodies one time step behind the joints.
        mujoco.mj_kinematics(self.model, self.data)
        self.judge.update(Scene(self.tool_position, self.object_position, self.peg), seconds)

    def _move(self, command: ArrayLike, seconds: float) -> None:
        """Simulates the servos on their way to ``command``."""
        goal = np.clip(np.asarray(command, float), self.arm.low, self.arm.high)
        for _ in range(max(1, round(seconds / RAMP_PERIOD))):
            self._setpoint += np.clip(goal - self._setpoint, -self._ramp, self._ramp)
            self.data.ctrl[:] = self._setpoint
            mujoco.mj_step(self.model, self.data, self._substeps)
        self._check()

    def _check(self) -> None:
        """
        Raises:
            SimulationError: the physics became unstable.
        """
        # MuJoCo resets itself on these warnings and goes on, as if nothing had happened.
        if any(self.data.warning[kind].number for kind in _UNSTABLE):
            raise SimulationError(
                f"the simulation of '{self.task}' became unstable: "
                "lower the servo gains or the time step of its scene"
            )

    @property
    def success(self) -> bool:
        """Whether the task is done."""
        return self.judge.success

    @property
    def reward(self) -> float:
        """Of the last step: 1 for a success, -1 where the episode is lost, else 0."""
        return 1.0 if self.judge.success else -1.0 if self.judge.failure else 0.0

    @property
    def joint_position(self) -> Vector:
        """(6,) rad."""
        result: Vector = self.data.qpos[:6].copy()
        return result

    @property
    def joint_velocity(self) -> Vector:
        """(6,) rad/s."""
        result: Vector = self.data.qvel[:6].copy()
        return result

    @property
    def motor_current(self) -> Vector:
        """(6,) A, signed like the torque."""
        result: Vector = self.data.actuator_force / self.arm.torque_constant
        return result

    @property
    def tool_position(self) -> Vector:
        """(3,) m, base frame."""
        result: Vector = self.data.site_xpos[self._tool].copy()
        return result

    @property
    def object_position(self) -> Vector:
        """(3,) m, base frame: the cube's centre, the point to reach, or the socket's hole."""
        result: Vector = self.data.xpos[self._object].copy()
        return result

    @property
    def object_quaternion(self) -> Vector:
        """(4,) the object's rotation, w x y z."""
        result: Vector = self.data.xquat[self._object].copy()
        return result

    @property
    def peg(self) -> Peg | None:
        """The peg, where the task has one."""
        if self._peg < 0:
            return None
        return Peg(self.data.xpos[self._peg].copy(), self.data.xquat[self._peg].copy())

    def render(
        self, camera: str, lock: contextlib.AbstractContextManager[object] | None = None
    ) -> NDArray[np.uint8]:
        """The picture of a camera: (height, width, 3) uint8 rgb.

        Args:
            camera: one of ``scenes.CAMERAS``.
            lock: held while the state is read, where another thread simulates.

        Raises:
            UserError: there is no such camera.
        """
        if camera not in CAMERAS:
            raise UserError(f"camera '{camera}' is unknown, choose from: {', '.join(CAMERAS)}")
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self.model, *self._image_size)
        with lock or contextlib.nullcontext():
            self._renderer.update_scene(self.data, camera)
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def close(self) -> None:
        """Frees the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
