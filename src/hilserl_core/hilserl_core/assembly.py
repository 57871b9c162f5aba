"""From measurements to observations: one piece of code, live and from a bag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilserl_core.spec import ObservationSpec, SpecError
from hilserl_core.step import Observation

ToolPosition = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Measurements:
    """What was measured for one tick, in the robot's joint order.

    Attributes:
        stamp: ns, of the newest part.
        joint_position: (joints,) rad.
        joint_velocity: (joints,) rad/s.
        motor_current: (joints,) A.
        command: (joints,) rad, the joint targets of the last executed action.
        object_position: (3,) m, base frame; where the run has it.
        object_orientation: (4,) quaternion x, y, z, w; where the run has it.
        images: (height, width, 3) uint8 by camera name.
    """

    stamp: int
    joint_position: NDArray[np.float64]
    joint_velocity: NDArray[np.float64]
    motor_current: NDArray[np.float64]
    command: NDArray[np.float64]
    object_position: NDArray[np.float64] | None = None
    object_orientation: NDArray[np.float64] | None = None
    images: Mapping[str, NDArray[np.uint8]] | None = None


def yaw(orientation: NDArray[np.float64]) -> float:
    """Rotation about z, rad, of a quaternion (x, y, z, w)."""
    x, y, z, w = orientation
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


class ObservationAssembler:
    """Builds observations after a spec.

    Args:
        spec: the run's; its fields are built by name.
        tool_position: forward kinematics, joint positions (joints,) rad to (3,) m.

    Raises:
        SpecError: the spec has a field that is not known here.
    """

    def __init__(self, spec: ObservationSpec, tool_position: ToolPosition) -> None:
        unknown = {field.name for field in spec.fields} - _FIELDS
        if unknown:
            raise SpecError(
                f"observation fields {sorted(unknown)} are unknown, choose from {sorted(_FIELDS)}"
            )
        self.spec = spec
        self._tool_position = tool_position

    def __call__(self, measured: Measurements) -> Observation:
        """The observation of one tick.

        Raises:
            SpecError: a part is missing, has the wrong size, or is not finite.
        """
        parts = self._parts(measured)
        state = np.concatenate([parts[field.name] for field in self.spec.fields])
        state = state.astype(np.float32)
        self.spec.check_state(state)
        return Observation(measured.stamp, state, self._images(measured))

    def _parts(self, measured: Measurements) -> dict[str, NDArray[np.float64]]:
        tool = self._tool_position(measured.joint_position)
        parts = {
            "joint_position": measured.joint_position,
            "joint_velocity": measured.joint_velocity,
            "motor_current": measured.motor_current,
            "tool_position": tool,
            "target_offset": self._tool_position(measured.command) - tool,
            "gripper_command": measured.command[-1:],
        }
        if any(name.startswith("object_") for name in self.spec.slices):
            if measured.object_position is None or measured.object_orientation is None:
                raise SpecError("the observation needs the object's pose, and none was measured")
            # A cube looks the same after a quarter turn; four times its yaw says just that.
            angle = 4 * yaw(measured.object_orientation)
            parts["object_position"] = measured.object_position
            parts["object_offset"] = measured.object_position - tool
            parts["object_yaw"] = np.array([np.cos(angle), np.sin(angle)])
        return parts

    def _images(self, measured: Measurements) -> tuple[NDArray[np.uint8], ...]:
        result = []
        for field in self.spec.images:
            image = (measured.images or {}).get(field.name)
            expected = (field.height, field.width, 3)
            if image is None or image.shape != expected:
                found = "missing" if image is None else str(image.shape)
                raise SpecError(f"camera '{field.name}': image is {found}, expected {expected}")
            result.append(image)
        return tuple(result)


_FIELDS = {
    "joint_position",
    "joint_velocity",
    "motor_current",
    "tool_position",
    "target_offset",
    "gripper_command",
    "object_position",
    "object_offset",
    "object_yaw",
}
