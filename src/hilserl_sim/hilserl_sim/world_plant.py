"""The simulated arm as what moves behind emulated servos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilserl_drivers.emulator.plant import Drive, Shaft
from hilserl_drivers.registers import Mode
from hilserl_sim.world import SimulationError, World

POSITION_MODES = (Mode.POSITION, Mode.EXTENDED_POSITION, Mode.CURRENT_POSITION)
"""Those that are simulated; a servo in another mode is limp."""

LONGEST = 0.1
"""s simulated in one call: after a longer pause of this process time was lost."""


class WorldPlant:
    """The joints of a ``World``, each turned by the servo that is mounted in it.

    Servos regulate as the scene's actuators do, no harder than the current allows that they
    were given, and go to a far goal no faster than their profile.

    Args:
        world: whose arm it is; it is simulated by nobody else.

    Attributes:
        failure: why the simulation has stopped; empty while it goes on.
    """

    def __init__(self, world: World) -> None:
        self.failure = ""
        self._world = world
        self._timestep = float(world.model.opt.timestep)
        self._left = 0.0
        self._goal = world.joint_position
        self._shafts = [Shaft(position=angle) for angle in self._goal.tolist()]

    def advance(self, seconds: float, drives: Sequence[Drive]) -> Sequence[Shaft]:
        """Simulates the time that has passed, in whole time steps."""
        self._left = min(self._left + seconds, LONGEST)
        steps = int(self._left / self._timestep)
        if not steps or self.failure:
            return self._shafts
        elapsed = steps * self._timestep
        self._left -= elapsed
        torque = self._regulate(drives, elapsed)
        try:
            self._world.drive(self._goal, torque, steps)
        except SimulationError as error:
            self.failure = str(error)
            return self._shafts
        measured = (
            self._world.joint_position,
            self._world.joint_velocity,
            self._world.motor_current,
        )
        self._shafts = [
            Shaft(*values) for values in zip(*(m.tolist() for m in measured), strict=True)
        ]
        return self._shafts

    def _regulate(self, drives: Sequence[Drive], seconds: float) -> np.ndarray:
        """Moves the goals (6,) rad on; returns the torques (6,) N m that may be used."""
        here = self._world.joint_position
        torque = np.zeros(len(drives))
        for i, (drive, joint) in enumerate(zip(drives, self._world.arm.joints, strict=True)):
            if not drive.torque_on or drive.mode not in POSITION_MODES:
                self._goal[i] = here[i]
                continue
            torque[i] = abs(drive.current) * joint.torque_constant
            way = drive.position - self._goal[i]
            if drive.velocity:
                step = abs(drive.velocity) * seconds
                way = max(-step, min(step, way))
            self._goal[i] += way
        return torque
