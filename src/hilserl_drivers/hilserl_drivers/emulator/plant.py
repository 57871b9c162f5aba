"""What moves behind the emulated servos; a simulator may take its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hilserl_drivers.registers import Mode, Model

STEP = 0.002
"""s, of integration."""

FRICTION = 0.05
"""A s/rad, of a shaft that nothing regulates."""


@dataclass
class Drive:
    """What a servo does to its shaft.

    Attributes:
        torque_on: False: it only turns along.
        mode: what it regulates.
        position: rad, its goal, as the encoder counts.
        current: A, its goal in current mode; else the greatest that it takes.
        velocity: rad/s, its goal in velocity mode; else the greatest, 0 for no limit.
    """

    torque_on: bool
    mode: Mode
    position: float
    current: float
    velocity: float


@dataclass
class Shaft:
    """What a servo measures: rad from the encoder's centre, rad/s, A."""

    position: float = 0.0
    velocity: float = 0.0
    current: float = 0.0


class Plant(Protocol):
    """Moves all shafts of a bus."""

    def advance(self, seconds: float, drives: Sequence[Drive]) -> Sequence[Shaft]:
        """Lets that much time pass; both sequences are in the order of the servos."""


@dataclass
class Joint(Shaft):
    """One shaft of a ``ServoPlant``.

    Attributes:
        load: A, the current that holds what hangs on it.
        low, high: rad, where something hard is in the way.
    """

    load: float = 0.0
    low: float = -math.inf
    high: float = math.inf


class ServoPlant:
    """Shafts that each follow their servo with a lag, no harder than it can.

    A servo acts like a spring and damper whose current is limited, and turns no faster than
    it does without load.
    """

    def __init__(self, models: Sequence[Model], stiffness: float = 25.0, lag: float = 0.02) -> None:
        """
        Args:
            models: of the servos.
            stiffness: A/rad.
            lag: s, by which a shaft follows its goal, about.
        """
        self.joints = [Joint() for _ in models]
        self._models = models
        self._stiffness = stiffness
        self._damping = stiffness * lag
        self._inertia = stiffness * (lag / 2) ** 2

    def advance(self, seconds: float, drives: Sequence[Drive]) -> Sequence[Shaft]:
        steps = max(1, math.ceil(seconds / STEP))
        for joint, model, drive in zip(self.joints, self._models, drives, strict=True):
            for _ in range(steps):
                self._step(joint, model, drive, seconds / steps)
        return self.joints

    def _step(self, joint: Joint, model: Model, drive: Drive, seconds: float) -> None:
        joint.current = self._current(joint, model, drive)
        # The servo's own damping is taken out of its current and put in implicitly, so that a
        # long step cannot make it unstable.
        own = self._damping if drive.torque_on and drive.mode != Mode.CURRENT else 0.0
        push = joint.current + own * joint.velocity - joint.load
        damping = own or FRICTION
        velocity = joint.velocity + seconds * push / self._inertia
        velocity /= 1 + seconds * damping / self._inertia
        top = abs(drive.velocity) or model.no_load_speed
        joint.velocity = max(-top, min(top, velocity))
        joint.position += joint.velocity * seconds
        if not joint.low <= joint.position <= joint.high:
            joint.position = max(joint.low, min(joint.high, joint.position))
            joint.velocity = 0.0

    def _current(self, joint: Joint, model: Model, drive: Drive) -> float:
        if not drive.torque_on:
            return 0.0
        if drive.mode == Mode.CURRENT:
            wanted = drive.current
        elif drive.mode == Mode.VELOCITY:
            wanted = self._damping * (drive.velocity - joint.velocity)
        else:
            spring = self._stiffness * (drive.position - joint.position)
            wanted = spring - self._damping * joint.velocity
        limit = min(abs(drive.current), model.stall_current)
        return max(-limit, min(limit, wanted))
