"""Motions of the tool, as people mean them, written in a run's action space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.spec import ActionSpec
from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import ArmModel, action_spec


class ToolMotion:
    """Has a person who moves the tool drive in any action space.

    In a space of joints a motion of the tool becomes the step of the joints that makes it, by
    the inverse kinematics that would have executed it.

    Args:
        spec: the run's action space.
        arm: whose joints they are.
    """

    def __init__(self, spec: ActionSpec, arm: ArmModel) -> None:
        self._spec = spec
        self._scale = np.array(spec.scale[: spec.arm_dim])
        self._mapping = ActionMapping(action_spec("ee_delta"), arm)

    def values(self, motion: ArrayLike, command: ArrayLike) -> NDArray[np.float32]:
        """The action (dim,) in [-1, 1] that moves the tool so, as far as one action can.

        Args:
            motion: (4,) in [-1, 1], an action of ``ee_delta``.
            command: (6,) rad, the arm's last command.
        """
        wanted = np.asarray(motion, np.float32)
        if self._spec.kind == "ee_delta":
            return wanted
        last = np.asarray(command, float)
        self._mapping.reset(last)
        way = (self._mapping.command(wanted) - last)[: self._spec.arm_dim] / self._scale
        # One factor for all joints keeps the tool about on its way.
        way /= max(1.0, float(np.abs(way).max()))
        return np.append(way, wanted[-1]).astype(np.float32)
