"""The simulated world: repeatable, bounded, judged, seen."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description import koch
from hilserl_description.action_mapping import ActionMapping
from hilserl_description.scenes import TASKS
from hilserl_sim.tasks import Judge
from hilserl_sim.world import SimulationError, World


def trajectory(seed: int) -> np.ndarray:
    world, mapping = World("lift_cube"), ActionMapping(koch.action_spec())
    world.reset(seed)
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(25):
        world.step(mapping.command(rng.uniform(-1, 1, 4)))
        rows.append(np.concatenate([world.joint_position, world.object_position]))
    return np.array(rows)


def test_the_same_seed_gives_the_same_trajectory_bit_for_bit():
    assert (trajectory(3) == trajectory(3)).all()
    assert (trajectory(3) != trajectory(4)).any()


def test_resets_cover_the_patch_and_its_left_half():
    world = World("lift_cube")
    places = []
    for seed in range(300):
        world.reset(seed)
        places.append(world.object_position)
    low, high = np.min(places, axis=0)[:2], np.max(places, axis=0)[:2]
    assert (low >= koch.PATCH_LOW).all()
    assert (high <= koch.PATCH_HIGH).all()
    assert (high - low > (0.15, 0.11)).all()
    for seed in range(50):
        world.reset(seed, "left")
        assert koch.PATCH_LOW[0] <= world.object_position[0] <= 0.0
    with pytest.raises(UserError, match=r"'middle'.*left"):
        world.reset(0, "middle")


@pytest.mark.parametrize("task", TASKS)
def test_an_idle_arm_stays_at_home_and_succeeds_at_nothing(task):
    world = World(task)
    for seed in range(3):
        world.reset(seed)
        for _ in range(10):
            world.step(koch.HOME)
            assert not world.success
        assert world.joint_position == pytest.approx(koch.HOME, abs=0.03)
        assert np.isfinite(world.motor_current).all()


def test_torque_stays_below_the_servos_limits_and_setpoints_are_ramped():
    world = World("lift_cube")
    world.step(koch.HIGH, 0.1)
    torque = world.motor_current * koch.TORQUE_CONSTANT
    assert (np.abs(torque) <= koch.TORQUE_LIMIT + 1e-9).all()
    moved = np.abs(world.joint_position - koch.HOME)
    assert (moved <= koch.VELOCITY_LIMIT * 0.1 + 0.02).all()


def test_an_unstable_simulation_is_not_passed_off_as_an_episode():
    world = World("lift_cube")
    world.data.qvel[:] = 1e12
    with pytest.raises(SimulationError, match=r"unstable"):
        world.step(koch.HOME)


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_pictures_show_the_cube_and_follow_it(camera):
    world = World("lift_cube", (96, 96))
    masks = []
    for seed in (1, 2):
        world.reset(seed)
        image = world.render(camera)
        assert image.shape == (96, 96, 3)
        assert image.dtype == np.uint8
        masks.append((image[..., 0] > 110) & (image[..., 1] < 70))
        assert masks[-1].sum() > 15
    world.close()
    assert (masks[0] != masks[1]).any()
    with pytest.raises(UserError, match=r"'top'.*front"):
        world.render("top")


def test_lifting_counts_only_when_held_near_the_tool_for_half_a_second():
    judge = Judge("lift_cube")
    tool, up = np.array([0, 0.2, 0.08]), np.array([0, 0.2, 0.07])
    thrown = np.array([0.2, 0.2, 0.3])
    assert not any(judge.update(tool, thrown, 0.1) for _ in range(20))
    results = [judge.update(tool, up, 0.1) for _ in range(6)]
    assert results == [False] * 5 + [True]
    judge.update(tool, np.array([0, 0.2, 0.015]), 0.1)
    assert not judge.update(tool, up, 0.1), "a drop starts the count again"


@pytest.mark.parametrize(
    ("task", "tool", "thing"),
    [
        ("reach", (0.05, 0.2, 0.1), (0.05, 0.2, 0.1)),
        ("push_cube", (0.0, 0.2, 0.05), (0.0, 0.26, 0.015)),
        ("pick_place", (0.0, 0.2, 0.1), (-0.12, 0.17, 0.015)),
    ],
)
def test_the_other_tasks_are_judged(task, tool, thing):
    judge = Judge(task)
    results = [judge.update(np.array(tool), np.array(thing), 0.1) for _ in range(6)]
    assert results[-1]
    assert not results[0]
    assert not judge.update(np.array(tool), np.add(thing, (0.06, 0, 0)), 0.1)


def test_unknown_tasks_are_refused():
    with pytest.raises(UserError, match=r"'juggle'.*lift_cube"):
        World("juggle")
