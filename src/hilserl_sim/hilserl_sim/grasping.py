"""What tasks have in common for a scripted person, most of all how an object is grasped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from hilserl_description.arm_model import GRIPPER
from hilserl_sim.hand import CLOSE, HOVER, OPEN, STAY, Hand, Move, Sight
from hilserl_sim.tasks import GRASP_DISTANCE

Vector = NDArray[np.float64]

_GRASP_HEIGHT = 0.015
_SPOILING = 80  # ticks of a task done wrongly


class Skill(ABC):
    """One task, as a person sees it. Stateless: what is going on is in the hand."""

    @abstractmethod
    def plan(self, hand: Hand) -> Iterator[Move]:
        """A move for every tick, without end, whatever the state in which it begins."""

    @abstractmethod
    def progress(self, sight: Sight) -> float:
        """How far the task has come, m: the more the better, comparable within an episode."""

    def secured(self, sight: Sight) -> bool:
        """Whether the object is in hand, in a task that asks for it."""
        return False

    def spoil(self, hand: Hand) -> Iterator[Move]:
        """Shows what is no success, and ends: here, the task done at a wrong place."""
        angle = hand.rng.uniform(-np.pi, np.pi)
        hand.mistake = hand.rng.uniform(0.03, 0.06) * np.array([np.cos(angle), np.sin(angle), 0.0])
        yield from islice(self.plan(hand), _SPOILING)


class Grasp(Skill):
    """What tasks that begin with a grasp have in common."""

    def plan(self, hand: Hand) -> Iterator[Move]:
        first = not self._has(hand.sight)
        if first:
            yield from hand.wander_about(OPEN)
        while True:
            if not self._has(hand.sight):
                yield from grasp(hand, aim(hand, first))
                first = False
            yield from hand.pause(STAY)
            yield from self._use(hand)

    def secured(self, sight: Sight) -> bool:
        return sight.grasped

    def _has(self, sight: Sight) -> bool:
        """Whether no grasp is needed."""
        return sight.grasped

    @abstractmethod
    def _use(self, hand: Hand) -> Iterator[Move]:
        """Does the rest with the object in hand; ends when it has been lost."""


def in_hand(sight: Sight) -> bool:
    """Whether the object still comes along; seen more leniently than a new grasp."""
    return sight.grasped or sight.distance < GRASP_DISTANCE


def aim(hand: Hand, first: bool) -> Vector:
    """Where to grasp, relative to the object: (3,) m."""
    offset = np.append(hand.rng.normal(0.0, hand.style.aim, 2), 0.0)
    if first and hand.rng.random() < hand.style.miss and hand.at_leisure:
        angle = hand.rng.uniform(-np.pi, np.pi)
        # Before or behind the object, where the jaws close on nothing.
        offset[1] += 0.035 if np.sin(angle) > 0 else -0.035
    return offset


def grasp(hand: Hand, offset: Vector) -> Iterator[Move]:
    """Opens, goes over the object, down, and closes."""
    if _near_but_low(hand.sight):
        here = hand.sight.tool_position
        yield from hand.go(np.append(here[:2], HOVER), OPEN)
    yield from approach(hand, offset, HOVER, within=0.012)
    yield from hand.pause(OPEN)
    yield from approach(hand, offset, _GRASP_HEIGHT, within=0.005, care=hand.style.care)
    yield from hand.pause(OPEN)
    for _ in range(10):
        before = hand.sight.joint_position[GRIPPER]
        yield hand.stay(CLOSE)
        moved = abs(hand.sight.joint_position[GRIPPER] - before)
        arm = hand.sight.arm
        closing = arm.opening(hand.sight.joint_position) < arm.widest - 0.3
        if closing and moved < 0.04:
            return


def _near_but_low(sight: Sight) -> bool:
    """Whether going over the object from here would push it away."""
    across = sight.tool_position[:2] - sight.object_position[:2]
    low = sight.tool_position[2] < sight.object_position[2] + 0.03
    return bool(low and 0.006 < np.linalg.norm(across) < 0.08)


def approach(
    hand: Hand, offset: Vector, height: float, within: float, care: float = 1.0
) -> Iterator[Move]:
    """Goes to ``height`` over the place beside the object that ``offset`` says."""
    for _ in range(60):
        thing = hand.sight.object_position
        target = np.array([thing[0] + offset[0], thing[1] + offset[1], height])
        if np.linalg.norm(hand.sight.tool_position - target) < within:
            return
        yield Move(target, OPEN, care)
