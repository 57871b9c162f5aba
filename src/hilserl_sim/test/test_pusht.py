"""PushT from the block's frame, and who shows it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("gym_pusht", reason="needs pip install gym-pusht", exc_type=ImportError)

from hilserl_core.errors import UserError
from hilserl_sim.gym_tasks import make_world
from hilserl_sim.gym_world import make_environment
from hilserl_sim.pusht_geometry import CENTRE, GOAL, OUTLINE, Pose, angle_to_goal, distance_to_goal
from hilserl_sim.pusht_pusher import Physics, Route
from hilserl_sim.pusht_view import BlockFrame, PixelView

NAME, KEYPOINTS = "gym_pusht/PushT-v0", "environment_state_agent_pos"
places = st.floats(-600, 600)
poses = st.builds(Pose, places, places, st.floats(-7, 7))


@pytest.fixture(scope="module")
def view() -> BlockFrame:
    return BlockFrame(make_environment(NAME, obs_type=KEYPOINTS))


def at(view: BlockFrame, agent: tuple[float, float], pose: Pose) -> dict[str, np.ndarray]:
    """Resets so that agent and block lie as given."""
    view.reset(seed=0)
    env = view.unwrapped
    env.agent.position = agent
    env.block.angle = pose.angle
    env.block.position = (pose.x, pose.y)
    env.block.velocity, env.block.angular_velocity = (0, 0), 0
    env.space.reindex_shapes_for_body(env.block)
    view.agent = view._target = np.array(agent)
    return view._observe(env.get_obs(), env._get_info())


@given(poses, st.tuples(places, places))
def test_frames_go_round(pose, point):
    there = pose.to_world(np.array(point))
    np.testing.assert_allclose(pose.to_block(there), point, atol=1e-8)


@given(poses)
def test_distance_to_goal_is_zero_only_there(pose):
    assert distance_to_goal(GOAL) == pytest.approx(0)
    assert distance_to_goal(pose) >= 0
    assert -np.pi <= angle_to_goal(pose) <= np.pi


@given(st.integers(0, 2**20))
@settings(max_examples=20)
def test_the_pose_is_that_of_the_keypoints(view, seed):
    view.reset(seed=seed)
    corners = view.unwrapped.get_keypoints(view.unwrapped._block_shapes)
    near = np.linalg.norm(corners[:, None] - view.pose.to_world(OUTLINE)[None], axis=2).min(1)
    # Two of the environment's keypoints lie on the edge between the bars' corners.
    assert near.max() < 1e-6


@given(st.tuples(st.floats(150, 350), st.floats(150, 350)), st.floats(-3, 3), st.floats(-3, 3))
@settings(max_examples=20)
def test_where_the_block_lies_does_not_change_how_the_agent_is_seen(view, place, angle, other):
    one, two = Pose(*place, angle), Pose(250.0, 240.0, other)
    seen = [at(view, tuple(p.to_world(np.array([30.0, -40.0]))), p)["agent"] for p in (one, two)]
    np.testing.assert_allclose(np.abs(seen[0]), np.abs(seen[1]), atol=1e-3)


@given(st.floats(0.01, 3.1), st.tuples(st.floats(-80, 80), st.floats(-60, -30)))
@settings(max_examples=10)
def test_left_and_right_are_mirror_images(view, turn, agent):
    seen, moved = [], []
    for side in (1.0, -1.0):
        # Turned to either side of the goal, and put so that the centre of gravity stays.
        pose = Pose(0.0, 0.0, GOAL.angle - side * turn)
        centre = GOAL.to_world(CENTRE)
        shift = centre - pose.to_world(CENTRE)
        pose = Pose(*shift.tolist(), pose.angle)
        before = at(view, tuple(pose.to_world(np.array([side * agent[0], agent[1]]))), pose)
        after, *_ = view.step(np.float32([0.2, 0.9]))
        seen.append(before)
        moved.append(after)
    for one, other in (seen, moved):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], atol=0.02, err_msg=name)


def test_at_the_goal_nothing_is_left_to_do(view):
    seen = at(view, (50.0, 50.0), GOAL)
    np.testing.assert_allclose(seen["goal_near"], 0, atol=1e-4)
    np.testing.assert_allclose(seen["turn"], [0, 1], atol=1e-5)


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2))
@settings(max_examples=20)
def test_actions_and_targets_go_round(view, values):
    at(view, (256.0, 200.0), Pose(256.0, 300.0, 0.7))
    action = np.float32(values)
    np.testing.assert_allclose(view.to_action(view.to_target(action)), action, atol=1e-5)


def test_success_ends_the_loss_and_waiting_does_not(view):
    at(view, (50.0, 50.0), GOAL)
    _, reward, terminal, truncated, info = view.step(np.zeros(2, np.float32))
    assert (terminal, truncated, info["is_success"], info["score"]) == (True, False, True, 1.0)
    assert reward == pytest.approx(0, abs=1e-6)
    at(view, (50.0, 50.0), Pose(GOAL.x + 6, GOAL.y, GOAL.angle))
    _, reward, terminal, _, info = view.step(np.zeros(2, np.float32))
    assert not terminal
    assert 0.8 < info["score"] < 1
    assert reward < -0.05  # the delay's, although nearly all is covered


def test_the_time_limit_is_in_the_environments_ticks(view):
    view.reset(seed=1)
    ended, steps = False, 0
    while not ended:
        *_, terminal, ended, info = view.step(np.zeros(2, np.float32))
        steps += info["ticks"]
    assert (steps, terminal) == (300, False)


def test_from_pixels_the_same_is_seen_done_and_shown():
    view = PixelView(make_environment(NAME, obs_type=PixelView.OBS_TYPE))
    state = at(view, (100.0, 200.0), Pose(256.0, 200.0, 0.3))
    assert state["pixels"].shape == (96, 96, 3)
    np.testing.assert_array_equal(state["tool_position"], (100.0, 200.0))
    assert view.pose == Pose(256.0, 200.0, 0.3)
    np.testing.assert_allclose(view.to_target(np.array([1.0, -0.5])), (160.0, 170.0))
    np.testing.assert_allclose(view.to_action(np.array([160.0, 170.0])), (1.0, -0.5), atol=1e-6)
    before = state["pixels"]
    state, reward, *_ = view.step(np.array([0.5, 0.0], np.float32))
    assert state["agent_motion"][0] > 0
    assert (state["pixels"] != before).any()
    assert -0.15 <= reward <= 0.0


def test_other_observations_are_refused():
    with pytest.raises(UserError, match="obs_type"):
        BlockFrame(make_environment(NAME, obs_type="state"))


@pytest.mark.parametrize("kind", ["state", "pixels"])
def test_another_observation_is_taken_plain(kind):
    world, demonstrator = make_world(NAME, {"obs_type": kind}, {}, {})
    assert demonstrator is None
    world.reset(0)
    assert (world.observe(0).state.size > 0) == (kind == "state")
    assert len(world.observe(0).images) == (kind == "pixels")


@pytest.mark.parametrize(
    ("settings", "view", "words"),
    [
        ({}, {"reach": "far"}, "reach"),
        ({}, {"reach": "-1"}, "reach.*out of range"),
        ({}, {"colour": "red"}, "colour.*unknown"),
        ({"obs_type": "state"}, {"reach": "40"}, "no view"),
        ({"obs_type": "smell"}, {}, "smell"),
    ],
)
def test_wrong_settings_are_named(settings, view, words):
    with pytest.raises(UserError, match=words):
        make_world(NAME, settings, {}, view)


def test_the_copy_of_the_physics_pushes_as_the_environment_does(view):
    pose = Pose(256.0, 200.0, 0.3)
    start = pose.to_world(np.array([20.0, -25.0]))
    targets = start + pose.rotate(np.array([[0.0, 15.0], [0.0, 30.0], [0.0, 45.0]]))
    at(view, tuple(start), pose)
    for target in targets:
        view.step(view.to_action(target))
    *_, (predicted, agent) = Physics().push(pose, start, targets, view.hold)
    np.testing.assert_allclose(agent, view.agent, atol=0.5)
    np.testing.assert_allclose(predicted.to_world(OUTLINE), view.pose.to_world(OUTLINE), atol=0.5)
    assert np.linalg.norm(predicted.to_world(OUTLINE) - pose.to_world(OUTLINE), axis=1).min() > 1


@given(st.floats(-3.1, 3.1), st.floats(-3.1, 3.1))
@settings(max_examples=30)
def test_a_route_leads_round_the_block(here, there):
    from shapely.geometry import LineString

    from hilserl_sim.pusht_pusher import BLOCK, RADIUS

    start, end = (np.array([0, 45]) + 120 * np.array([np.cos(a), np.sin(a)]) for a in (here, there))
    way = Route().corners(start, end)
    np.testing.assert_array_equal(way[-1], end)
    assert BLOCK.distance(LineString([start, *way])) > RADIUS if len(way) else True


def test_the_pusher_demonstrates():
    world, demonstrator = make_world(NAME, {}, {}, {})
    assert demonstrator is not None
    successes = 0
    for seed in range(2):
        world.reset(seed)
        demonstrator.reset()
        ended = False
        while not ended:
            action = demonstrator.act(world.info)
            assert np.abs(action).max() <= 1
            step = world.step(action)
            ended = step.terminal or step.truncated
        successes += bool(step.success)
    assert successes
