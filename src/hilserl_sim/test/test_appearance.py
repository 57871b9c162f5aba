"""The hard scene: another in every episode, the same for a seed, and fair."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description.scenes import CAMERAS, CLUTTER, TASKS, load_scene
from hilserl_sim.appearance import CAMERA_SHIFT, CAMERA_TURN
from hilserl_sim.tasks import GOALS
from hilserl_sim.world import World

SEEDS = range(30)


@pytest.fixture(scope="module")
def world():
    result = World("lift_cube", (32, 32), scene="hard")
    yield result
    result.close()


def pictures(world, seed):
    world.reset(seed)
    return np.stack([world.render(camera).copy() for camera in CAMERAS])


def test_a_seed_makes_the_same_picture_and_another_seed_another(world):
    first, other, again = (pictures(world, seed) for seed in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5


def test_the_object_lies_where_it_lies_in_the_plain_scene(world):
    plain = World("lift_cube")
    for seed in SEEDS:
        world.reset(seed)
        plain.reset(seed)
        np.testing.assert_array_equal(world.object_position, plain.object_position)


def test_cameras_stay_near_their_places(world):
    nominal = load_scene("lift_cube", "hard")
    moved = []
    for seed in SEEDS:
        world.reset(seed)
        shift = world.model.cam_pos - nominal.cam_pos
        moved.append(np.abs(shift).max())
        dot = np.abs((world.model.cam_quat * nominal.cam_quat).sum(1)).clip(0, 1)
        assert (2 * np.arccos(dot) <= CAMERA_TURN + 1e-6).all()
    assert CAMERA_SHIFT / 2 < max(moved) <= CAMERA_SHIFT + 1e-9


@pytest.mark.parametrize("task", TASKS)
def test_clutter_touches_nothing_covers_nothing_and_looks_like_nothing_wanted(task):
    world = World(task, scene="hard")
    model = world.model
    things = [model.geom(f"clutter{i}").id for i in range(CLUTTER)]
    assert not model.geom_contype[things].any()
    assert not model.geom_conaffinity[things].any()
    wanted = colorsys.rgb_to_hsv(*model.geom_rgba[model.body("object").geomadr[0], :3])[0]
    for seed in SEEDS:
        world.reset(seed)
        places = [world.object_position[:2], *([GOALS[task]] if task in GOALS else [])]
        for thing in things:
            away = [np.linalg.norm(model.geom_pos[thing, :2] - place) for place in places]
            assert min(away) > model.geom_size[thing, :2].max()
            hue = colorsys.rgb_to_hsv(*model.geom_rgba[thing, :3])[0]
            assert min(abs(hue - wanted), 1 - abs(hue - wanted)) > 0.079


def test_a_scene_that_is_not_there_is_refused_by_name():
    with pytest.raises(UserError, match=r"'dark'.*plain, hard"):
        load_scene("lift_cube", "dark")
