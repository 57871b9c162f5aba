"""PushT as a policy learns well from it: targets relative to the agent, and a price on time.

From keypoints it is seen from the block, so that a push looks the same wherever the block lies;
from pixels as it is. Nothing but the environment's own observation is shown to the policy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_sim.pusht_geometry import CENTRE, GOAL, SIDE, Pose, Vector, angle_to_goal

State = dict[str, NDArray[Any]]


def _box(*limits: float) -> spaces.Box:
    high = np.array(limits, np.float32)
    return spaces.Box(-high, high, dtype=np.float32)


@dataclass(frozen=True)
class ViewParameters:
    """Settings of a view."""

    reach: float = parameter(60.0, "distance of the target for an action of 1, px", low=1.0)
    hold: int = parameter(2, "control ticks for which an action stays", low=1, high=300)
    delay: float = parameter(0.5, "loss of each tick without success", low=0.0)
    scale: float = parameter(0.1, "of the reward, so that values are of the order of 10", low=1e-6)


class PushtView(gymnasium.Wrapper[Any, Any, Any, Any], ABC):
    """PushT with held relative targets for actions, and a price on time.

    An action, (2,) in [-1, 1], is the target relative to the agent, in units of ``reach``; it is
    held for ``hold`` control ticks.

    The environment pays for coverage at every tick and ends at success: whoever covers 94 %
    and waits would earn more than who succeeds. So the reward that is learned from is what
    is missing to the most that the environment can pay, a loss of 0 to 1, and ``delay`` on
    top, until success ends both; ``info["score"]`` is the environment's own. As it is the
    mean over the ticks of a step, times ``scale``, it lies in [-scale * (1 + delay), 0].

    Args:
        env: PushT with the observations that the view is made of.
        parameters: settings.

    Attributes:
        pose: of the block.
        agent: (2,) px, where it is.
    """

    KEYS: frozenset[str]
    """Observations of the environment that the view is made of."""
    OBS_TYPE: str
    """The setting of the environment that gives them."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        parameters: ViewParameters | None = None,
    ) -> None:
        if set(getattr(env.observation_space, "spaces", {})) != self.KEYS:
            raise UserError(
                f"this view is made of {' and '.join(sorted(self.KEYS))}: choose the environment's "
                f"obs_type={self.OBS_TYPE}"
            )
        super().__init__(env)
        p = parameters or ViewParameters()
        self.reach, self.hold = p.reach, p.hold
        self._delay, self._scale = p.delay, p.scale
        self.pose, self.agent, self._target = GOAL, np.zeros(2), np.zeros(2)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[State, dict[str, Any]]:
        raw, info = self.env.reset(seed=seed, options=options)
        self.agent = self._target = np.asarray(raw["agent_pos"], float)
        return self._observe(raw, info), info

    def step(self, action: NDArray[np.float32]) -> tuple[State, float, bool, bool, dict[str, Any]]:
        self._target = self.to_target(action)
        scores: list[float] = []
        loss = 0.0
        for _ in range(self.hold):
            raw, score, terminal, truncated, info = self.env.step(self._target.astype(np.float32))
            scores.append(float(score))
            loss += 1.0 - float(score) + (0.0 if terminal else self._delay)
            if terminal or truncated:
                break
        reward = -self._scale * loss / len(scores)
        state = self._observe(raw, info)
        info = {**info, "score": max(scores), "ticks": len(scores)}
        return state, reward, bool(terminal), bool(truncated), info

    @abstractmethod
    def to_target(self, action: NDArray[np.float32]) -> Vector:
        """The target, (2,) px in the square, that an action stands for now."""

    @abstractmethod
    def to_action(self, target: Vector) -> NDArray[np.float32]:
        """The action, (2,) in [-1, 1], that comes nearest to a target (2,) px."""

    @abstractmethod
    def _observe(self, raw: dict[str, Any], info: dict[str, Any]) -> State:
        """What the policy sees; keeps ``pose`` and ``agent`` as well."""


class PixelView(PushtView):
    """PushT from its picture and the agent's own place; actions along the picture's axes.

    Of the environment's state, ``pose`` is for whoever demonstrates: no policy sees it.
    """

    KEYS, OBS_TYPE = frozenset({"pixels", "agent_pos"}), "pixels_agent_pos"

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        parameters: ViewParameters | None = None,
    ) -> None:
        super().__init__(env, parameters)
        picture = getattr(env.observation_space, "spaces", {})["pixels"]
        self.observation_space = spaces.Dict(
            {
                # The hand's place, whose future an encoder can learn to foretell.
                "tool_position": spaces.Box(0.0, SIDE, (2,), np.float32),
                "agent_motion": _box(15, 15),
                "last_target": _box(self.reach, self.reach),
                "pixels": picture,
            }
        )

    def to_target(self, action: NDArray[np.float32]) -> Vector:
        target: Vector = (self.agent + np.asarray(action, float) * self.reach).clip(0.0, SIDE)
        return target

    def to_action(self, target: Vector) -> NDArray[np.float32]:
        return ((target - self.agent) / self.reach).clip(-1.0, 1.0).astype(np.float32)

    def _observe(self, raw: dict[str, Any], info: dict[str, Any]) -> State:
        before, self.agent = self.agent, np.asarray(raw["agent_pos"], float)
        self.pose = Pose(*(float(number) for number in info["block_pose"]))
        parts = {
            "tool_position": self.agent,
            "agent_motion": self.agent - before,
            "last_target": self._target - self.agent,
        }
        state = {name: value.astype(np.float32) for name, value in parts.items()}
        return {**state, "pixels": raw["pixels"]}


class BlockFrame(PushtView):
    """PushT with observations and actions in the frame of the block.

    The block is its own mirror image, and so is its physics: what has to turn to the right is
    seen, and pushed, as in a mirror, so that all there is to learn is to turn to the left.
    """

    KEYS, OBS_TYPE = frozenset({"environment_state", "agent_pos"}), "environment_state_agent_pos"

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        parameters: ViewParameters | None = None,
    ) -> None:
        super().__init__(env, parameters)
        self._mirror = np.ones(2)  # of the block's axes: (-1, 1) in the mirror
        # Where to stand and how to lie is a matter of pixels when near, and of a hundred
        # when far: so both come twice, and the fine one is clipped.
        self.observation_space = spaces.Dict(
            {
                "agent": _box(200, 200),
                "agent_near": _box(50, 50),
                "agent_motion": _box(15, 15),
                "last_target": _box(self.reach, self.reach),
                "goal": _box(150, 150),
                "goal_near": _box(12, 12),
                "turn": _box(1, 1),
                "turn_near": _box(0.15),
            }
        )

    def to_target(self, action: NDArray[np.float32]) -> Vector:
        offset = self.pose.rotate(np.asarray(action, float) * self._mirror * self.reach)
        target: Vector = (self.agent + offset).clip(0.0, SIDE)
        return target

    def to_action(self, target: Vector) -> NDArray[np.float32]:
        offset = self.pose.rotate_back(target - self.agent) / self.reach
        return (offset * self._mirror).clip(-1.0, 1.0).astype(np.float32)

    def _observe(self, raw: dict[str, Any], info: dict[str, Any]) -> State:
        self.pose = pose = Pose.of_keypoints(np.asarray(raw["environment_state"]).reshape(8, 2))
        before, self.agent = self.agent, np.asarray(raw["agent_pos"], float)
        turn = angle_to_goal(pose)
        mirror = self._mirror = np.array([1.0 if turn >= 0 else -1.0, 1.0])
        turn = abs(turn)
        agent = (pose.to_block(self.agent) - CENTRE) * mirror
        goal = (pose.to_block(GOAL.to_world(CENTRE)) - CENTRE) * mirror
        parts = {
            "agent": agent,
            "agent_near": agent,
            # The agent's speed is not observed: how it has moved, and where to, tells it.
            "agent_motion": pose.rotate_back(self.agent - before) * mirror,
            "last_target": pose.rotate_back(self._target - self.agent) * mirror,
            "goal": goal,
            "goal_near": goal,
            "turn": np.array([np.sin(turn), np.cos(turn)]),
            "turn_near": np.array([turn]),
        }
        return {name: value.astype(np.float32) for name, value in parts.items()}
