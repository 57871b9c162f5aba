"""Any environment as a world: specs, scaling, seeds, ends, and what is refused."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_core.spec import SpecError
from hilserl_sim.gym_tasks import make_world
from hilserl_sim.gym_world import GymWorld, make_environment

BOX = spaces.Box(np.float32([-2, 0]), np.float32([2, 10]))


class Corridor(gymnasium.Env):
    """A point moves by its action; it ends at 3."""

    def __init__(self, observation: spaces.Space | None = None, action: spaces.Space = BOX) -> None:
        self.observation_space = observation or spaces.Dict(
            {
                "place": spaces.Box(-5, 5, (1,)),
                "picture": spaces.Box(0, 255, (4, 6, 3), np.uint8),
                "table": spaces.Box(0, 1, (2, 2)),
            }
        )
        self.action_space = action
        self.actions: list[np.ndarray] = []

    def _observe(self) -> Any:
        picture = np.full((4, 6, 3), 7, np.uint8)
        return {"place": self.place, "picture": picture, "table": np.eye(2, dtype=np.float32)}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 1)
        return self._observe(), {}

    def step(self, action: np.ndarray) -> Any:
        self.actions.append(action)
        self.place = self.place + action[0]
        done = bool(self.place[0] > 3)
        return self._observe(), float(self.place[0]), done, False, {"is_success": done}


def test_spaces_become_specs():
    world = GymWorld(Corridor())
    spec = world.observation_spec
    assert [(field.name, field.size) for field in spec.fields] == [("place", 1), ("table", 4)]
    assert [(i.name, i.height, i.width) for i in spec.images] == [("picture", 4, 6)]
    assert spec.fields[0].low == (-5.0,)
    assert (world.action_spec.kind, world.action_spec.dim) == ("box", 2)


def test_observations_follow_the_spec():
    world = GymWorld(Corridor())
    world.reset(3)
    observation = world.observe(17)
    assert observation.stamp == 17
    np.testing.assert_allclose(observation.state[1:], [1, 0, 0, 1])
    assert observation.images[0].shape == (4, 6, 3)


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2))
def test_action_scaling_goes_round(values):
    spec = GymWorld(Corridor()).action_spec
    action = spec.to_box(np.float32(values))
    assert (BOX.low - 1e-5 <= action).all()
    assert (action <= BOX.high + 1e-5).all()
    np.testing.assert_allclose(spec.from_box(action), np.float32(values), atol=1e-6)


def test_the_ends_of_the_range_are_the_box():
    env = Corridor()
    world = GymWorld(env)
    world.reset(0)
    world.step([-1, -1])
    world.step([0, 0])
    world.step([1, 9])  # clipped
    np.testing.assert_allclose(env.actions, [[-2, 0], [0, 5], [2, 10]])
    assert env.actions[0].dtype == BOX.dtype


def test_the_same_seed_gives_the_same_episode():
    world = GymWorld(Corridor())
    starts = []
    for seed in (4, 5, 4):
        world.reset(seed)
        starts.append(float(world.observe(0).state[0]))
    assert starts[0] == starts[2] != starts[1]


def test_a_time_limit_truncates_and_is_not_terminal():
    world = GymWorld(TimeLimit(Corridor(), 2))
    world.reset(0)
    first, second = world.step([0, 0]), world.step([0, 0])
    assert (first.terminal, first.truncated) == (False, False)
    assert (second.terminal, second.truncated, second.success) == (False, True, False)


@pytest.mark.parametrize("name", ["is_success", "success", "succeed"])
def test_success_is_read_by_whatever_name_it_has(name):
    class Named(Corridor):
        def step(self, action: np.ndarray) -> Any:
            *rest, info = super().step(action)
            return *rest, {name: info["is_success"]}

    world = GymWorld(Named())
    world.reset(0)
    assert [world.step([1, 0]).success for _ in range(2)] == [False, True]


def test_what_lies_in_a_dict_within_is_named_by_both():
    picture = spaces.Box(0, 255, (4, 6, 3), np.uint8)
    layout = {"agent": spaces.Box(-1, 1, (2,)), "pixels": spaces.Dict(wrist=picture, front=picture)}

    class Nested(Corridor):
        def _observe(self) -> Any:
            pictures = {name: np.full((4, 6, 3), i, np.uint8) for i, name in enumerate("fw")}
            pixels = {"wrist": pictures["w"], "front": pictures["f"]}
            return {"pixels": pixels, "agent": np.float32([0.5, 1])}

    world = GymWorld(Nested(spaces.Dict(layout)))
    world.reset(0)
    seen = world.observe(0)
    names = [image.name for image in world.observation_spec.images]
    seen_in = {name: int(image.max()) for name, image in zip(names, seen.images, strict=True)}
    assert seen_in == {"pixels_front": 0, "pixels_wrist": 1}
    np.testing.assert_allclose(seen.state, [0.5, 1])


def test_two_observations_of_one_name_are_refused():
    part = spaces.Box(-1, 1, (2,))
    with pytest.raises(UserError, match="two observations that become 'a_b'"):
        GymWorld(Corridor(spaces.Dict({"a": spaces.Dict({"b": part}), "a_b": part})))


def test_success_is_terminal():
    world = GymWorld(TimeLimit(Corridor(), 20))
    world.reset(0)
    steps = [world.step([1, 0]) for _ in range(2)]
    assert (steps[-1].terminal, steps[-1].truncated, steps[-1].success) == (True, False, True)


@pytest.mark.parametrize(
    ("observation", "action", "words"),
    [
        (None, spaces.Discrete(3), "Discrete.3.*Box"),
        (None, spaces.Box(-np.inf, np.inf, (2,)), "without bounds.*RescaleAction"),
        (spaces.Discrete(4), BOX, "observation 'observation' is Discrete"),
        (spaces.Dict({"a": spaces.MultiBinary(2)}), BOX, "observation 'a' is MultiBinary"),
        (spaces.Box(-np.inf, 1, (2,)), BOX, "'observation' has no bounds.*--ranges observation="),
    ],
)
def test_spaces_that_do_not_fit_are_refused(observation, action, words):
    with pytest.raises(UserError, match=words):
        GymWorld(Corridor(observation, action))


def test_stated_ranges_stand_in_for_bounds():
    world = GymWorld(Corridor(spaces.Box(-np.inf, np.inf, (2,))), {"observation": (-3.0, 4.0)})
    assert world.observation_spec.fields[0].high == (4.0, 4.0)


@pytest.mark.parametrize(
    ("ranges", "words"), [({"speed": (0, 1)}, "no observation 'speed'"), ({"place": (1, 1)}, "not")]
)
def test_bad_ranges_are_refused(ranges, words):
    with pytest.raises(UserError, match=words):
        GymWorld(Corridor(), ranges)


def test_an_observation_that_is_not_finite_is_refused():
    env = Corridor()
    world = GymWorld(env)
    world.reset(0)
    env.place = np.array([np.nan])
    world.step([0, 0])
    with pytest.raises(SpecError, match="place"):
        world.observe(0)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("NoSuchThing-v0", {}, "NoSuchThing"),
        ("no_such_package/Thing-v0", {}, "pip install no_such_package"),
        ("gym_hil/Arm-v0", {}, "pip install gym-hil"),
        ("Pendulum-v1", {"colour": 3}, "colour"),
    ],
)
def test_environments_that_cannot_be_made_are_explained(name, settings, words):
    with pytest.raises(UserError, match=words):
        make_environment(name, **settings)


def test_an_unknown_environment_is_taken_as_it_is():
    world, demonstrator = make_world("Pendulum-v1", {}, {}, {})
    assert demonstrator is None
    assert world.name == "Pendulum-v1"
    assert world.observation_spec.state_dim == 3
