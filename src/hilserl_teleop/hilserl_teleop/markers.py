"""What rviz and Foxglove draw of a run beside the arm itself; free of ROS.

Lengths are in metres in the base frame.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.spec import ActionSpec
from hilserl_description.arm_model import ArmModel
from hilserl_description.kinematics import ForwardKinematics
from hilserl_teleop.arbitration import State

Vector = NDArray[np.float64]
Colour = tuple[float, float, float, float]

POLICY: Colour = (0.12, 0.44, 0.92, 1.0)
PERSON: Colour = (0.85, 0.45, 0.05, 1.0)
NOBODY: Colour = (0.6, 0.6, 0.6, 1.0)
STOPPED: Colour = (0.85, 0.1, 0.1, 1.0)
GOOD: Colour = (0.18, 0.64, 0.31, 1.0)
DRIVERS = {
    State.POLICY: POLICY,
    State.HANDOVER: NOBODY,
    State.HUMAN: PERSON,
    State.STOPPED: STOPPED,
}
_FAINT = 0.3  # how solid the proposal of one who does not drive is
_TEXT_AT = np.array([0.0, 0.18, 0.30])  # above the workspace


@dataclass(frozen=True)
class Shape:
    """One thing to draw.

    Attributes:
        name: of what it shows; a new shape of that name takes the place of the old.
        kind: ``sphere`` (one point), ``arrow`` (from the first point to the second), ``lines``
            (each two points are one) or ``text`` (at the one point).
        points: (n, 3) m.
        colour: red, green, blue and how solid, each in [0, 1].
        size: m: a sphere's diameter, a line's or shaft's width, a letter's height.
        text: of a text.
    """

    name: str
    kind: str
    points: Vector
    colour: Colour
    size: float
    text: str = ""


def box(low: Sequence[float] | Vector, high: Sequence[float] | Vector) -> Vector:
    """The 12 edges of a box, as (24, 3) points: each two are one edge."""
    corners = [np.array(corner) for corner in itertools.product(*zip(low, high, strict=True))]
    edges = [(a, b) for a, b in itertools.combinations(corners, 2) if np.count_nonzero(a != b) == 1]
    return np.array(edges, np.float64).reshape(-1, 3)


def faint(colour: Colour) -> Colour:
    return (*colour[:3], _FAINT)


@dataclass(frozen=True)
class View:
    """What was heard last; ``shapes`` draws it.

    Attributes:
        state, device: who drives, as the mux says.
        holding: whether the arm holds, since the driver is silent or there is none.
        command: (6,) rad, the joint targets that the robot was sent last.
        proposals: values in [-1, 1] of the action that each proposes, by "policy" or device.
        reward: of the newest observation; None before the first.
        probability: the judge's of success, where it gives one.
        judge: who judged.
    """

    state: State = State.POLICY
    device: str = ""
    holding: bool = False
    command: Vector | None = None
    proposals: Mapping[str, Vector] = field(default_factory=dict)
    reward: float | None = None
    probability: float | None = None
    judge: str = ""

    def proposing(self, who: str, values: ArrayLike | None) -> View:
        """The same with who's proposal; None: they have gone silent."""
        others = {name: value for name, value in self.proposals.items() if name != who}
        if values is not None:
            others[who] = np.asarray(values, np.float64)
        return dataclasses.replace(self, proposals=others)


class Painter:
    """Turns a view into shapes.

    Args:
        arm: that the view is of.
        spec: the run's action space.
        lookahead: control ticks of the proposed motion that an arrow shows.
    """

    def __init__(self, arm: ArmModel, spec: ActionSpec, lookahead: float = 4.0) -> None:
        self._arm, self._spec, self._lookahead = arm, spec, lookahead
        self._position = ForwardKinematics(arm).position
        self._workspace = Shape(
            "workspace", "lines", box(arm.workspace_low, arm.workspace_high), NOBODY, 0.001
        )

    def shapes(self, view: View) -> list[Shape]:
        """What is to be seen now; what is not known yet is left out."""
        result = [self._workspace]
        if view.command is not None:
            target = self._position(view.command)
            colour = faint(DRIVERS[view.state]) if view.holding else DRIVERS[view.state]
            result.append(Shape("target", "sphere", target[None], colour, 0.012))
            result += self._proposals(view, view.command, target)
        if view.reward is not None:
            result.append(_reward(view))
        return result

    def _proposals(self, view: View, command: Vector, target: Vector) -> list[Shape]:
        """An arrow for each who proposes a motion; solid where they drive."""
        result = []
        for who, values in sorted(view.proposals.items()):
            policy = who == "policy"
            colour = POLICY if policy else PERSON
            drives = view.state == State.POLICY if policy else self._drives(view, who)
            motion = self._motion(command, values)
            if motion is None or not motion.any():
                continue
            ends = np.stack((target, target + self._lookahead * motion))
            name = f"motion of {who}"
            result.append(Shape(name, "arrow", ends, colour if drives else faint(colour), 0.004))
        return result

    @staticmethod
    def _drives(view: View, device: str) -> bool:
        return view.state == State.HUMAN and view.device == device

    def _motion(self, command: Vector, values: Vector) -> Vector | None:
        """(3,) m that the tool would move within one tick; None for values of another size."""
        spec = self._spec
        if values.shape != (spec.dim,) or not np.isfinite(values).all():
            return None
        arm = np.clip(values[: spec.arm_dim], -1.0, 1.0) * np.array(spec.scale[: spec.arm_dim])
        if spec.kind == "ee_delta":
            return arm
        moved = command.copy()
        moved[: spec.arm_dim] += arm
        moved = np.clip(moved, self._arm.low, self._arm.high)
        return self._position(moved) - self._position(command)


def _reward(view: View) -> Shape:
    assert view.reward is not None
    text = f"reward {view.reward:g}"
    if view.probability is not None:
        text += f", success {100 * view.probability:.0f} %"
    if view.judge:
        text += f" ({view.judge})"
    colour = GOOD if view.reward > 0 else STOPPED if view.reward < 0 else NOBODY
    return Shape("reward", "text", _TEXT_AT[None], colour, 0.02, text)
