"""A scripted person at work: the plan of a task, carried out in a style."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.spec import ActionSpec
from hilserl_sim.hand import STAY, Hand, Move, Sight, Style
from hilserl_sim.skills import skill_of


class ScriptedMotion:
    """Carries out a task from whatever state it finds, in a given style.

    It is a plan that runs along (a generator that is shown a new sight every tick), with
    retries; everything random comes from ``rng``.

    Attributes:
        ended: whether the plan is over, as that of a task spoiled on purpose is at some time.
    """

    def __init__(
        self,
        task: str,
        spec: ActionSpec,
        style: Style,
        rng: np.random.Generator,
        spoil: bool = False,
    ) -> None:
        """
        Args:
            task: what is done.
            spec: of the actions.
            style: how.
            rng: of everything random.
            spoil: shows what is no success instead.

        Raises:
            UserError: the person cannot do the task, or not with these actions.
        """
        self._skill = skill_of(task)
        if spec.kind != "ee_delta":
            raise UserError(f"the scripted operator drives ee_delta, not '{spec.kind}'")
        self._hand = Hand(style, rng)
        self._scale = np.array(spec.scale[:3])
        self._style = style
        self._rng = rng
        self._wander = np.zeros(3)
        self._plan: Iterator[Move] | None = None
        self._spoil = spoil
        self.ended = False

    def act(self, sight: Sight) -> NDArray[np.float32]:
        """The action (4,) of this tick."""
        self._hand.see(sight)
        if self._plan is None:
            skill, hand = self._skill, self._hand
            self._plan = skill.spoil(hand) if self._spoil else skill.plan(hand)
        move = next(self._plan, None)
        if move is None:
            self.ended, move = True, self._hand.stay(STAY)
        step = move.target - sight.target_position
        fastest = self._scale * self._style.speed * move.care
        # One factor for all axes keeps the tool on a straight line.
        ratio = float(np.max(np.abs(step) / fastest))
        values = step / max(ratio, 1.0) / self._scale
        if self._style.noise:
            self._wander *= 0.7
            self._wander += self._rng.normal(0.0, self._style.noise * 0.7, 3)
            values = values + self._wander * move.wander
        return np.append(np.clip(values, -1, 1), move.gripper).astype(np.float32)
