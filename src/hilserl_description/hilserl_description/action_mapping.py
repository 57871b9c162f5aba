"""From actions to joint commands: the one place where an action gets its physical meaning."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.spec import GRIPPER_CLOSE, GRIPPER_OPEN, ActionSpec, gripper_choice
from hilserl_description.arm_model import GRIPPER, MAX_JOINT_STEP, ArmModel
from hilserl_description.kinematics import ForwardKinematics, InverseKinematics
from hilserl_description.koch import KOCH

# A target that the arm cannot reach may lead it by this much and no more: else it would
# wind up, and the operator would have to unwind it before the arm answers.
_MAX_LEAD = 0.01

_EDGE = 0.001
"""m that joints may lead the tool out of the workspace, as inverse kinematics does at times: a
tool that rests on its floor must not be nailed there by a hair's breadth."""

_GRIPPER_BAND = 0.2
"""Share of the gripper's way, around its middle, in which it counts as what it was."""

_CLIPPED = 0.05
"""Share of an action's range beyond 1 that is taken for rounding, of motion or of kinematics."""


class CommandMapping(Protocol):
    """Turns actions into commands."""

    def reset(self, command: ArrayLike) -> None:
        """The next command starts from this one, (commands,) in the robot's units."""

    def command(self, values: ArrayLike) -> NDArray[np.float64]:
        """The command (commands,) that executes an action."""


class ActionMapping:
    """Turns a sequence of actions into joint commands.

    Targets add up from the last target, never from the measured pose, so that droop does
    not add up. Every command lies within the joint limits and within
    ``MAX_JOINT_STEP`` of the last; tool targets stay in the workspace box.
    """

    def __init__(self, spec: ActionSpec, arm: ArmModel = KOCH) -> None:
        self._spec, self._arm = spec, arm
        self._scale = np.array(spec.scale[: spec.arm_dim])
        self._forward = ForwardKinematics(arm)
        self._inverse = InverseKinematics(arm)
        self._command = arm.home.copy()
        self._target = self._forward.position(self._command)

    @property
    def last(self) -> NDArray[np.float64]:
        """(6,) rad, the last command."""
        return self._command.copy()

    @property
    def target(self) -> NDArray[np.float64]:
        """(3,) m, the tool position that the last command stands for, base frame."""
        return self._target.copy()

    def reset(self, command: ArrayLike) -> None:
        """Takes ``command`` (6,) rad as the last one, after a reset or another's driving."""
        self._command = np.clip(np.asarray(command, float), self._arm.low, self._arm.high)
        self._target = self._forward.position(self._command)

    def command(self, values: ArrayLike) -> NDArray[np.float64]:
        """The joint command (6,) rad that executes an action.

        Args:
            values: (spec.dim,) in [-1, 1]; clipped.

        Raises:
            SpecError: the action has another size, or a number that is not finite.
        """
        action = self._spec.check(values).astype(float)
        arm = action[: self._spec.arm_dim] * self._scale
        command = self._move_tool(arm) if self._spec.kind == "ee_delta" else self._move_joints(arm)
        if self._spec.gripper:
            choice = int(gripper_choice(action[-1]))
            if choice == GRIPPER_CLOSE:
                command[GRIPPER] = self._arm.gripper_closed
            elif choice == GRIPPER_OPEN:
                command[GRIPPER] = self._arm.gripper_opened
        self._command = command
        return command.copy()

    def _move_tool(self, delta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Moves the tool's target by ``delta`` (3,) m."""
        if not delta.any():
            return self._command.copy()  # No motion asked: hold still, don't re-solve.
        target = self._into_box(self._target + delta)
        command = self._inverse.solve(self._command, target)
        reached = self._forward.position(command)
        lead = target - reached
        distance = float(np.linalg.norm(lead))
        if distance > _MAX_LEAD:
            target = reached + lead * (_MAX_LEAD / distance)
        self._target = target
        return command

    def _move_joints(self, delta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Moves the arm's joints by ``delta`` (5,) rad, as long as the tool stays in its box."""
        command = self._command.copy()
        step = np.clip(delta, -MAX_JOINT_STEP[:5], MAX_JOINT_STEP[:5])
        command[:5] = np.clip(command[:5] + step, self._arm.low[:5], self._arm.high[:5])
        target = self._forward.position(command)
        if self._outside(target) > max(self._outside(self._target), _EDGE):
            return self._command.copy()
        self._target = target
        return command

    def _into_box(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Clamps a target to the workspace; one that starts outside may only come nearer."""
        low = np.minimum(self._arm.workspace_low, self._target)
        high = np.maximum(self._arm.workspace_high, self._target)
        return np.clip(target, low, high)

    def _outside(self, position: NDArray[np.float64]) -> float:
        """How far a position (3,) lies outside the workspace, m."""
        inside = np.clip(position, self._arm.workspace_low, self._arm.workspace_high)
        return float(np.linalg.norm(position - inside))


class BoxMapping:
    """Turns actions of a box into commands in the box's own units.

    Args:
        spec: of the kind ``box``.
    """

    def __init__(self, spec: ActionSpec) -> None:
        self._spec = spec

    def reset(self, command: ArrayLike) -> None:
        """Nothing of the last command is in the next."""

    def command(self, values: ArrayLike) -> NDArray[np.float64]:
        """The command (spec.dim,) that executes an action.

        Raises:
            SpecError: the action has another size, or a number that is not finite.
        """
        return self._spec.to_box(self._spec.check(values))


class ActionReader:
    """The way back: actions out of the joint commands that something else gave an arm.

    The gripper of an action is a choice: the angle commanded counts as the setpoint whose half
    of the way it is in, and stays that until it is well into the other half.
    """

    def __init__(self, spec: ActionSpec, arm: ArmModel = KOCH) -> None:
        self._spec, self._arm = spec, arm
        self._scale = np.array(spec.scale[: spec.arm_dim])
        self._forward = ForwardKinematics(arm)
        self._gripper: float | None = None

    def settled(self, command: ArrayLike) -> NDArray[np.float64]:
        """A command (6,) rad with the gripper at one of its setpoints; call it in their order."""
        result = np.array(command, np.float64)
        if not self._spec.gripper:
            return result
        closed, opened = self._arm.gripper_closed, self._arm.gripper_opened
        share = (result[GRIPPER] - opened) / (closed - opened)  # 0 opened, 1 closed
        if self._gripper is None or abs(share - 0.5) > _GRIPPER_BAND / 2:
            self._gripper = closed if share > 0.5 else opened
        result[GRIPPER] = self._gripper
        return result

    def action(
        self, last: NDArray[np.float64], command: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], bool]:
        """The action that leads from one settled command (6,) rad to the next.

        Returns:
            (spec.dim,) float32 in [-1, 1]; and whether the arm moved further than an action
            can say, so that it was clipped.
        """
        if self._spec.kind == "ee_delta":
            moved = self._forward.position(command) - self._forward.position(last)
        else:
            moved = (command - last)[: self._spec.arm_dim]
        values = moved / self._scale
        clipped = bool(np.abs(values).max() > 1.0 + _CLIPPED)
        if self._spec.gripper:
            # -1 closes it.
            closes = np.sign(command[GRIPPER] - last[GRIPPER]) * self._arm.closing
            values = np.append(values, -closes)
        return np.clip(values, -1.0, 1.0).astype(np.float32), clipped
