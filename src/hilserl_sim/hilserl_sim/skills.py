"""What a scripted person knows of each task: how it is done, and whether it gets on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from hilserl_core.errors import UserError
from hilserl_sim.grasping import Grasp, Skill, Vector, grasp, in_hand
from hilserl_sim.hand import CLOSE, HOVER, OPEN, STAY, Hand, Move, Sight
from hilserl_sim.tasks import GOALS, INSERTION_DEPTH, Peg

_LIFT_HEIGHT = 0.095
_GRASP_BONUS = 0.05  # m of progress that a grasp is worth


class Reach(Skill):
    """Brings the tool to the point."""

    def plan(self, hand: Hand) -> Iterator[Move]:
        yield from hand.wander_about(OPEN)
        while True:
            yield Move(hand.sight.object_position, STAY)

    def progress(self, sight: Sight) -> float:
        return -sight.distance


class LiftCube(Grasp):
    """Grasps the cube and keeps it up."""

    def _use(self, hand: Hand) -> Iterator[Move]:
        target = np.append(hand.sight.tool_position[:2], _LIFT_HEIGHT)
        while in_hand(hand.sight):
            yield Move(target, CLOSE)

    def progress(self, sight: Sight) -> float:
        return _GRASP_BONUS + sight.height if sight.grasped else -sight.distance

    def spoil(self, hand: Hand) -> Iterator[Move]:
        """An empty lift, a cube not raised enough, one dropped, or a hand above it.

        What is enough is learned where it is nearly so: some cubes are raised just high enough,
        and are a success.
        """
        kind = hand.rng.choice(["empty", "low", "dropped", "above"], p=[0.15, 0.55, 0.15, 0.15])
        yield from hand.wander_about(OPEN)
        if kind == "above":
            height, gripper = hand.rng.uniform(0.03, _LIFT_HEIGHT), hand.rng.choice([OPEN, CLOSE])
            place = hand.sight.object_position[:2] + hand.rng.normal(0.0, 0.01, 2)
            yield from hand.go(np.append(place, max(height, HOVER * (gripper == CLOSE))), gripper)
            return
        offset = np.zeros(3)
        if kind == "empty":
            offset[1] = hand.rng.choice([-1, 1]) * hand.rng.uniform(0.035, 0.05)
        yield from grasp(hand, offset)
        if kind != "empty":
            most = 0.07 if kind == "low" else 0.025
            low = hand.sight.tool_position[2] + hand.rng.uniform(0.005, most)
            yield from hand.hold_at(low, CLOSE)
        if kind == "dropped":
            for _ in range(4):
                yield hand.stay(OPEN)
        if kind != "low":
            gripper = hand.rng.choice([OPEN, CLOSE]) if kind == "dropped" else CLOSE
            yield from hand.hold_at(hand.rng.uniform(0.07, 0.11), gripper)


class PushCube(Skill):
    """Pushes the cube to the disc with the closed jaws, from the side away from it."""

    _HEIGHT = 0.022  # m, of the tool: the jaws' lower edge stays clear of the table
    _STANDOFF = 0.045  # m, from the cube's centre to where the jaws come down behind it
    _NEAR = 0.006  # m from the disc's centre, where nothing is left to do

    def plan(self, hand: Hand) -> Iterator[Move]:
        if not self._is_behind(hand.sight):
            yield from hand.wander_about(CLOSE)
        while True:
            if self._left(hand.sight) < self._NEAR:
                yield hand.stay(CLOSE)
            elif self._is_behind(hand.sight):
                yield self._push(hand)
            else:
                yield from self._go_behind(hand)
                yield from hand.pause(CLOSE)

    def progress(self, sight: Sight) -> float:
        # The jaws cannot come nearer to the cube's centre than this.
        approach = max(sight.distance - 0.05, 0.0)
        return -self._left(sight) - approach

    @staticmethod
    def _way(sight: Sight) -> Vector:
        """(2,) m, from the cube to the disc."""
        result: Vector = np.array(GOALS["push_cube"]) - sight.object_position[:2]
        return result

    def _left(self, sight: Sight) -> float:
        return float(np.linalg.norm(self._way(sight)))

    def _direction(self, sight: Sight) -> Vector:
        """(2,) unit vector, from the cube to the disc."""
        result: Vector = self._way(sight) / (self._left(sight) + 1e-9)
        return result

    def _behind(self, sight: Sight, distance: float) -> Vector:
        """(2,) m: the tool, where the jaws are on the cube's far side from the disc."""
        place = sight.object_position[:2] - self._direction(sight) * distance
        result: Vector = place - sight.fingers[:2]
        return result

    def _is_behind(self, sight: Sight) -> bool:
        """Whether a push from here would bring the cube nearer to the disc."""
        jaws = sight.tool_position + sight.fingers
        way = self._direction(sight)
        ahead = sight.object_position[:2] - jaws[:2]
        along = float(ahead @ way)
        aside = abs(float(ahead[0] * way[1] - ahead[1] * way[0]))
        low = jaws[2] < self._HEIGHT + 0.01
        return low and 0.01 < along < 0.08 and aside < 0.02

    def _push(self, hand: Hand) -> Move:
        """Onwards through the cube, and at the same time back to the line behind it."""
        care = min(0.7, 0.15 + 8.0 * self._left(hand.sight))
        # Less than touches the cube, so that the motion goes on.
        target = self._behind(hand.sight, 0.01)
        return Move(np.append(target, self._HEIGHT), CLOSE, care, wander=0.5)

    def _go_behind(self, hand: Hand) -> Iterator[Move]:
        yield from hand.rise(HOVER + 0.005, CLOSE)
        for height, within in ((HOVER + 0.005, 0.015), (self._HEIGHT, 0.008)):
            for _ in range(30):
                target = np.append(self._behind(hand.sight, self._STANDOFF), height)
                if np.linalg.norm(hand.sight.tool_position - target) < within:
                    break
                yield Move(target, CLOSE)


class PickPlace(Grasp):
    """Grasps the cube, carries it over the disc, sets it down and lets go."""

    _CARRY = 0.06  # m, height of the tool on the way
    _SET_DOWN = 0.019
    _AWAY = 0.085
    _NEAR = 0.012  # m from the disc's centre, where the cube is let down

    def _has(self, sight: Sight) -> bool:
        return sight.grasped or self._is_placed(sight)

    def _use(self, hand: Hand) -> Iterator[Move]:
        if not self._is_placed(hand.sight):
            yield from self._carry(hand)
        if self._is_placed(hand.sight):
            yield from self._leave(hand)

    def progress(self, sight: Sight) -> float:
        left = self._left(sight)
        if self._is_placed(sight):
            return 2 * _GRASP_BONUS + min(sight.distance, 0.06)
        if sight.grasped:
            return _GRASP_BONUS + min(sight.height, 0.03) - left
        return -sight.distance - left

    @staticmethod
    def _left(sight: Sight) -> float:
        away = sight.object_position[:2] - np.array(GOALS["pick_place"])
        return float(np.linalg.norm(away))

    def _is_placed(self, sight: Sight) -> bool:
        return self._left(sight) < 0.022 and sight.height < 0.006

    def _carry(self, hand: Hand) -> Iterator[Move]:
        """Brings the cube to the disc and down, for as long as it is held."""
        while in_hand(hand.sight) and not self._is_placed(hand.sight):
            sight = hand.sight
            way = np.array(GOALS["pick_place"]) - sight.object_position[:2]
            left = float(np.linalg.norm(way))
            lifting = left > 0.03 and sight.height < 0.015
            place = sight.tool_position[:2] + (0.0 if lifting else way)
            down = left < self._NEAR
            yield Move(np.append(place, self._SET_DOWN if down else self._CARRY), CLOSE)

    def _leave(self, hand: Hand) -> Iterator[Move]:
        """Lets go, then up and away."""
        for _ in range(2):
            yield hand.stay(OPEN)
        up = np.append(hand.sight.tool_position[:2], self._AWAY)
        while self._is_placed(hand.sight):
            yield Move(up, OPEN)


def _peg(sight: Sight) -> Peg:
    assert sight.peg is not None
    return sight.peg


class InsertPeg(Skill):
    """Brings the peg in the hand over the socket and down into it."""

    _CLEAR = 0.008  # m of the tip above the socket, on the way
    _DEPTH = 0.02  # m of it below the socket's upper edge, at the end
    _RIM = 0.003  # m about that edge: neither in the hole nor clear of it
    _ALIGNED = 0.0025  # m beside the hole's axis, from where the way down begins
    _PATIENCE = 3  # ticks on the rim without getting deeper, before another try
    _FEEL = 0.004  # m by which the command leads the tool down to the rim
    _PRESS = 0.008  # m by which it does in the hole
    _UNSURE = 0.0005  # m, standard deviation of where even the best aim at

    def plan(self, hand: Hand) -> Iterator[Move]:
        if not self._is_inside(hand.sight):
            yield from hand.wander_about(CLOSE, height=0.09)
        for tries in count(1):
            # Who has missed looks closer.
            aim = hand.rng.normal(0.0, max(hand.style.aim / tries, self._UNSURE), 2)
            if not self._is_inside(hand.sight):
                yield from self._align(hand, aim)
                yield from hand.pause(CLOSE)
            yield from self._lower(hand, aim)
            yield from hand.rise(hand.sight.tool_position[2] + 0.03, CLOSE)

    def progress(self, sight: Sight) -> float:
        goal = self._to_hole(sight) - (0.0, 0.0, self._DEPTH)
        return -float(np.linalg.norm(goal))

    @staticmethod
    def _to_hole(sight: Sight) -> Vector:
        """(3,) m, from the peg's tip to the middle of the hole's upper edge."""
        result: Vector = sight.object_position - _peg(sight).tip
        return result

    def _is_inside(self, sight: Sight) -> bool:
        """Whether the tip is in the hole, and not beside the socket."""
        way = self._to_hole(sight)
        return bool(way[2] > self._RIM and np.linalg.norm(way[:2]) < 2 * self._ALIGNED)

    def _align(self, hand: Hand, aim: Vector) -> Iterator[Move]:
        """Brings the tip over the hole, but for ``aim`` (2,) m."""
        while True:
            way = self._to_hole(hand.sight)
            low = way[2] > -self._RIM
            way += np.append(aim, self._CLEAR)
            near = float(np.linalg.norm(way))
            if near < self._ALIGNED:
                return
            if low:
                way[:2] = 0.0
            careful = near < 0.03
            yield Move(
                hand.sight.tool_position + way,
                CLOSE,
                care=hand.style.care if careful else 1.0,
                wander=0.3 if careful else 1.0,
            )

    def _lower(self, hand: Hand, aim: Vector) -> Iterator[Move]:
        """Goes down into the hole and stays there; ends on the rim, or when it jams."""
        stuck, deepest = 0, -np.inf
        while stuck < self._PATIENCE:
            way = self._to_hole(hand.sight)
            depth = float(way[2])
            moving = depth > deepest + 0.001
            deepest = max(deepest, depth)
            done = depth > INSERTION_DEPTH + 0.001 and _peg(hand.sight).tilt < 0.1
            stuck = 0 if moving or done else stuck + 1
            way += np.append(aim * (depth < self._RIM), -self._DEPTH)
            # The further the command leads the arm, the harder it presses.
            press = self._PRESS if depth > self._RIM else self._FEEL
            way = np.clip(way, -press, press)
            yield Move(hand.sight.tool_position + way, CLOSE, wander=0.2)


_SKILLS: dict[str, Skill] = {
    "reach": Reach(),
    "lift_cube": LiftCube(),
    "push_cube": PushCube(),
    "pick_place": PickPlace(),
    "insert_peg": InsertPeg(),
}


def skill_of(task: str) -> Skill:
    """What a person knows of a task.

    Raises:
        UserError: the person does not know it.
    """
    if task not in _SKILLS:
        raise UserError(
            f"the scripted operator cannot do '{task}', choose from: {', '.join(_SKILLS)}"
        )
    return _SKILLS[task]
