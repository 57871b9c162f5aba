"""From a page's wishes to the actions of a device: when each is sent, free of ROS.

A motion is answered at once, and then an action goes out every period, as long as wishes come.
When they stop coming nothing is sent any longer, and the mux holds the arm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hilserl_core.spec import ActionSpec
from hilserl_description.arm_model import ArmModel
from hilserl_teleop.console_messages import Drive
from hilserl_teleop.jog import GRIPPER, Jog

LINK = 0.3
"""s without a wish after which the page counts as gone."""

Act = Callable[[NDArray[np.float32]], None]


def acting_in(
    spec: ActionSpec, arm: ArmModel, act: Act, command: Callable[[], Sequence[float]]
) -> Act:
    """Sends a page's motions of the tool as actions of a run's action space.

    Args:
        spec: the run's action space.
        arm: whose joints they are.
        act: sends an action of it.
        command: (6,) rad, the arm's last command; empty while none is known, and nothing moves.
    """
    if spec.kind == "ee_delta":
        return act
    # Only here: it loads a simulator, which a page that moves the tool can do without.
    from hilserl_description.tool_motion import ToolMotion

    motion = ToolMotion(spec, arm)

    def act_in_space(values: NDArray[np.float32]) -> None:
        last = command()
        act(motion.values(values, last) if len(last) else np.zeros(spec.dim, np.float32))

    return act_in_space


class Driving:
    """One page's driving.

    Args:
        period: s between two actions.
        clock: s, steady.
        act: sends an action.
    """

    def __init__(self, period: float, clock: Callable[[], float], act: Act) -> None:
        self._jog = Jog()
        self._period, self._clock, self._act = period, clock, act
        self._heard_at = -np.inf

    def drive(self, wish: Drive, driving: bool) -> bool:
        """Takes a wish; returns whether an action was sent, the next being due in a period.

        Args:
            wish: what the page wants from now on.
            driving: whether the mux lets this device move the arm: what is wanted before is
                not meant for then.
        """
        now = self._clock()
        self._heard_at = now
        if not driving:
            self._jog.clear()
            return False
        self._jog.speed = wish.speed
        begins = bool(wish.grip)
        for axis, amount in enumerate(wish.move):
            before = self._jog.amount(axis, now)
            if amount:
                begins = begins or before * amount <= 0
                self._jog.ask(axis, amount, until=now + LINK, ticks=int(before * amount <= 0))
            else:
                self._jog.keep(axis, until=-np.inf)
        if wish.grip:
            # The mux takes the newest action at its own ticks: two periods hold one for sure.
            self._jog.ask(GRIPPER, wish.grip, until=now + 2 * self._period)
        if begins:
            self._act(self._jog.values(now))
        return begins

    def rest(self) -> None:
        """Nobody drives any longer."""
        self._jog.clear()
        self._heard_at = -np.inf

    def tick(self, driving: bool) -> None:
        """Sends this period's action, if the page is there."""
        now = self._clock()
        if now - self._heard_at > LINK:
            self._jog.clear()
            return
        if not driving:
            self._jog.clear()
        self._act(self._jog.values(now))
