"""The simulated world: repeatable, bounded, judged, seen."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import action_spec
from hilserl_description.models import KOCH, MODELS
from hilserl_description.scenes import TASKS
from hilserl_sim.tasks import (
    INSERTION_DEPTH,
    PEG_GRIP,
    SOCKET_HEIGHT,
    Judge,
    Peg,
    Scene,
)
from hilserl_sim.world import SimulationError, World


def trajectory(seed: int) -> np.ndarray:
    world, mapping = World("lift_cube"), ActionMapping(action_spec())
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
    assert (low >= KOCH.patch_low).all()
    assert (high <= KOCH.patch_high).all()
    assert (high - low > (0.15, 0.11)).all()
    for seed in range(50):
        world.reset(seed, "left")
        assert KOCH.patch_low[0] <= world.object_position[0] <= 0.0
    with pytest.raises(UserError, match=r"'middle'.*left"):
        world.reset(0, "middle")


@pytest.mark.parametrize("arm", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("task", TASKS)
def test_an_idle_arm_stays_at_home_and_succeeds_at_nothing(task, arm):
    world = World(task, arm=arm)
    for seed in range(3):
        world.reset(seed)
        for _ in range(10):
            world.step(world.start)
            assert world.reward == 0.0
        # What is between the jaws keeps them open.
        assert world.joint_position[:5] == pytest.approx(arm.home[:5], abs=0.03)
        assert np.isfinite(world.motor_current).all()


@pytest.mark.parametrize("arm", MODELS.values(), ids=list(MODELS))
def test_torque_stays_below_the_servos_limits_and_setpoints_are_ramped(arm):
    world = World("lift_cube", arm=arm)
    world.step(arm.high, 0.1)
    torque = world.motor_current * arm.torque_constant
    assert (np.abs(torque) <= arm.torque_limit + 1e-9).all()
    moved = np.abs(world.joint_position - arm.home)
    assert (moved <= arm.velocity_limit * 0.1 + 0.02).all()


def test_an_unstable_simulation_is_not_passed_off_as_an_episode():
    world = World("lift_cube")
    world.data.qvel[:] = 1e12
    with pytest.raises(SimulationError, match=r"unstable"):
        world.step(KOCH.home)


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
    assert not any(judge.update(Scene(tool, thrown), 0.1) for _ in range(20))
    results = [judge.update(Scene(tool, up), 0.1) for _ in range(6)]
    assert results == [False] * 5 + [True]
    judge.update(Scene(tool, np.array([0, 0.2, 0.015])), 0.1)
    assert not judge.update(Scene(tool, up), 0.1), "a drop starts the count again"


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
    results = [judge.update(Scene(np.array(tool), np.array(thing)), 0.1) for _ in range(6)]
    assert results[-1]
    assert not results[0]
    assert not judge.update(Scene(np.array(tool), np.add(thing, (0.06, 0, 0))), 0.1)


@pytest.mark.parametrize(
    ("task", "tool", "thing"),
    [
        ("push_cube", (0.0, 0.25, 0.08), (0.0, 0.26, 0.06)),  # carried there
        ("push_cube", (0.0, 0.2, 0.05), (0.0, 0.285, 0.015)),  # pushed too far
        ("pick_place", (-0.12, 0.17, 0.02), (-0.12, 0.17, 0.015)),  # still in the hand
        ("pick_place", (0.0, 0.2, 0.1), (-0.12, 0.17, 0.05)),  # thrown
    ],
)
def test_what_only_looks_like_a_success_is_none(task, tool, thing):
    judge = Judge(task)
    scene = Scene(np.array(tool), np.array(thing))
    assert not any(judge.update(scene, 0.1) for _ in range(20))


HOLE = np.array([0.02, 0.14, SOCKET_HEIGHT])


def peg_scene(tip: tuple[float, float, float], tilt: float = 0.0, held: bool = True) -> Scene:
    """A peg whose tip lies at ``tip``, m from the middle of the hole's upper edge."""
    peg = Peg(HOLE + tip, np.array([np.cos(tilt / 2), np.sin(tilt / 2), 0.0, 0.0]))
    tool = peg.tip + PEG_GRIP * peg.axis if held else np.add(HOLE, (0, 0, 0.1))
    return Scene(tool, HOLE, peg)


def judged(scene: Scene) -> tuple[bool, bool]:
    judge = Judge("insert_peg")
    for _ in range(7):
        judge.update(scene, 0.1)
    return judge.success, judge.failure


def test_a_peg_is_in_when_deep_upright_and_inside():
    deep = -INSERTION_DEPTH - 0.001
    assert judged(peg_scene((0.001, -0.001, deep), tilt=0.1)) == (True, False)
    assert judged(peg_scene((0, 0, deep), held=False)) == (True, False), "it may be let go"
    assert judged(peg_scene((0, 0, -INSERTION_DEPTH + 0.001))) == (False, False)
    assert judged(peg_scene((0, 0, deep), tilt=0.3)) == (False, False)
    assert judged(peg_scene((0.03, 0, deep))) == (False, False), "beside the socket"
    assert judged(peg_scene((0, 0, -SOCKET_HEIGHT - 0.01))) == (False, False), "through the table"


def test_a_peg_out_of_the_hand_and_not_in_the_socket_is_lost():
    assert judged(peg_scene((0.03, 0, 0.0), held=False)) == (False, True)
    world = World("insert_peg")
    world.reset(0)
    for _ in range(10):
        world.step(KOCH.home)  # Opens the jaws.
    assert world.reward == -1.0


def test_every_insertion_begins_with_the_peg_in_hand_and_the_socket_somewhere():
    world = World("insert_peg")
    sockets, pegs = [], []
    for seed in range(30):
        world.reset(seed)
        sockets.append(world.object_position[:2])
        pegs.append(world.peg.tip)
        grip = world.peg.tip + PEG_GRIP * world.peg.axis
        assert np.linalg.norm(grip - world.tool_position) < 0.015
    assert (np.min(sockets, axis=0) >= KOCH.upright[0]).all()
    assert (np.max(sockets, axis=0) <= KOCH.upright[1]).all()
    assert (np.ptp(sockets, axis=0) > (0.08, 0.04)).all()
    assert (np.ptp(pegs, axis=0)[1:] > 0.001).all(), "the peg lies in the hand the same each time"
    before = world.peg.tip[2]
    for _ in range(50):
        world.step(world.start)
    assert world.peg.tip[2] == pytest.approx(before, abs=5e-4), "the peg creeps out of the jaws"


def dropped(world: World, offset: tuple[float, float]) -> tuple[float, bool]:
    """Lets the peg fall from just above the socket, ``offset`` (2,) m beside the middle.

    Returns:
        Depth of its tip in the socket, m, and whether that is a success.
    """
    world.reset(0)
    socket = np.array([-0.05, 0.11, SOCKET_HEIGHT])
    world.data.mocap_pos[0] = socket
    world.data.qpos[6:13] = (*np.add(socket, (*offset, 0.001)), 1, 0, 0, 0)
    world.data.qvel[6:] = 0.0
    for _ in range(12):
        world.step(world.start)
    return float(socket[2] - world.peg.tip[2]), world.success


@pytest.mark.parametrize("angle", np.linspace(0, 2 * np.pi, 7)[:-1])
def test_the_peg_fits_within_its_clearance_and_not_beyond(angle):
    world = World("insert_peg")
    direction = np.array([np.cos(angle), np.sin(angle)])
    depth, success = dropped(world, tuple(0.0008 * direction))
    assert depth > INSERTION_DEPTH
    assert success
    depth, success = dropped(world, tuple(0.005 * direction))
    assert depth < INSERTION_DEPTH / 2
    assert not success


def test_unknown_tasks_are_refused():
    with pytest.raises(UserError, match=r"'juggle'.*lift_cube"):
        World("juggle")
