"""The simulated arm behind emulated servos, driven through their bus on a virtual clock."""

from __future__ import annotations

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description.arm_model import ArmModel
from hilserl_description.models import KOCH, MODELS
from hilserl_drivers.arms import ARMS, make_bus
from hilserl_drivers.driver import Driver, DriverSettings
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.wires import LoopbackWire, VirtualClock
from hilserl_drivers.registers import Mode
from hilserl_sim.world import World
from hilserl_sim.world_plant import Drive, WorldPlant

every_arm = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


class Bench:
    """A scene whose arm is driven over the bus."""

    def __init__(self, model: ArmModel) -> None:
        arm = ARMS[f"{model.name}_follower"]
        self.world = World("lift_cube", arm=model)
        self.clock = VirtualClock()
        emulated = EmulatedArm(arm, self.clock, plant=WorldPlant(self.world), timing=True)
        bus = make_bus(
            arm.family, lambda rate: LoopbackWire(emulated.bus, self.clock, rate), arm.baud,
            0.006, self.clock,
        )  # fmt: skip
        self.driver = Driver(bus, arm, emulated.calibration, DriverSettings(), self.clock)
        self.driver.configure()
        self.driver.activate()

    def run(self, seconds: float, command: np.ndarray | None = None) -> None:
        end = self.clock() + seconds
        while self.clock() < end:
            if command is not None:
                self.driver.command(command)
            due = self.clock() + 0.01
            self.sample = self.driver.cycle()
            self.clock.sleep(due - self.clock())


@every_arm
def test_commands_move_the_scenes_arm_and_its_joints_are_what_is_read(model):
    bench = Bench(model)
    moved = model.home + np.array([0.3, 0.1, -0.1, 0.2, 0.4, 0.5])
    target = np.clip(moved, model.low + 0.1, model.high - 0.1)
    bench.run(2.0, target)
    assert bench.world.joint_position == pytest.approx(target, abs=0.05)
    assert bench.sample.position == pytest.approx(bench.world.joint_position, abs=0.01)


@every_arm
def test_an_arm_without_torque_sinks_and_home_brings_it_back(model):
    bench = Bench(model)
    bench.driver.stop("a test")
    bench.run(1.0)
    height = bench.world.tool_position[2]
    assert height < 0.05
    bench.driver.activate()
    homing = bench.driver.home()
    bench.run(6.0)
    assert (homing.done, homing.problem) == (True, "")
    assert bench.world.joint_position == pytest.approx(model.home, abs=0.12)


def test_a_servo_pushes_no_harder_than_it_was_allowed():
    world = World("reach")
    plant = WorldPlant(world)

    def push(current: float) -> float:
        drives = [Drive(True, Mode.CURRENT_POSITION, a, 1.0, 0.0) for a in KOCH.home.tolist()]
        drives[0].position, drives[0].current = 2.0, current
        shafts = plant.advance(0.02, drives)
        return abs(shafts[0].current)

    assert push(0.2) == pytest.approx(0.2, rel=0.01)
    assert push(10.0) <= KOCH.torque_limit[0] / KOCH.torque_constant[0] + 1e-6


def test_a_profile_slows_a_servo_down():
    world = World("reach")
    plant = WorldPlant(world)
    drives = [Drive(True, Mode.EXTENDED_POSITION, a, 1.3, 0.5) for a in KOCH.home.tolist()]
    drives[0].position = 1.5
    for _ in range(50):
        plant.advance(0.01, drives)
    assert plant.advance(0.0, drives)[0].position - KOCH.home[0] == pytest.approx(0.25, abs=0.04)


def test_a_person_puts_the_object_elsewhere_and_leaves_the_arm_alone():
    world = World("lift_cube")
    world.reset(7)
    there = world.object_position
    pose = KOCH.home + 0.1
    world.reset(3)
    world.step(pose)
    before = world.joint_position
    world.rearrange(7)
    np.testing.assert_array_equal(world.joint_position, before)
    assert world.object_position == pytest.approx(there)
    with pytest.raises(UserError, match="peg"):
        World("insert_peg").rearrange(1)
