"""What is drawn of a run: shapes worked out by hand, and the messages that rviz is sent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from visualization_msgs.msg import Marker

from hilserl_description.arm_model import action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.koch import KOCH
from hilserl_teleop.arbitration import State
from hilserl_teleop.markers import (
    GOOD,
    PERSON,
    POLICY,
    STOPPED,
    Painter,
    Shape,
    View,
    box,
    faint,
)
from hilserl_teleop.markers_node import to_marker

TOOL = ForwardKinematics().position(KOCH.home)
FORWARD = np.array([0.0, 1.0, 0.0, 0.0])


def drawn(view: View, kind: str = "ee_delta", lookahead: float = 4.0) -> dict[str, Shape]:
    shapes = Painter(KOCH, action_spec(kind), lookahead).shapes(view)
    assert len({shape.name for shape in shapes}) == len(shapes)
    return {shape.name: shape for shape in shapes}


def test_before_anything_was_heard_there_is_the_workspace_alone() -> None:
    shapes = drawn(View())
    assert list(shapes) == ["workspace"]
    points = shapes["workspace"].points
    assert points.min(0) == pytest.approx(KOCH.workspace_low)
    assert points.max(0) == pytest.approx(KOCH.workspace_high)


def test_a_box_has_twelve_edges_each_along_one_axis() -> None:
    edges = box((0, 0, 0), (1, 2, 3)).reshape(-1, 2, 3)
    lengths = np.abs(edges[:, 1] - edges[:, 0])
    assert sorted(lengths.sum(1)) == [1] * 4 + [2] * 4 + [3] * 4
    assert (np.count_nonzero(lengths, axis=1) == 1).all()


@pytest.mark.parametrize(
    ("state", "device", "policy", "leader"),
    [
        (State.POLICY, "", POLICY, faint(PERSON)),
        (State.HUMAN, "leader", faint(POLICY), PERSON),
        (State.HUMAN, "keyboard", faint(POLICY), faint(PERSON)),
        (State.HANDOVER, "leader", faint(POLICY), faint(PERSON)),
        (State.STOPPED, "", faint(POLICY), faint(PERSON)),
    ],
)
def test_who_drives_is_drawn_solid(state: State, device: str, policy, leader) -> None:
    view = View(state, device, command=KOCH.home, proposals={"policy": FORWARD, "leader": -FORWARD})
    shapes = drawn(view)
    assert shapes["motion of policy"].colour == policy
    assert shapes["motion of leader"].colour == leader


def test_a_motion_is_an_arrow_from_the_target_over_the_next_ticks() -> None:
    shapes = drawn(View(command=KOCH.home, proposals={"policy": FORWARD}), lookahead=3)
    assert shapes["target"].points == pytest.approx(TOOL[None])
    start, end = shapes["motion of policy"].points
    assert start == pytest.approx(TOOL)
    assert end - start == pytest.approx([0, 3 * 0.025, 0])


def test_the_motion_of_joints_is_drawn_where_the_tool_would_go() -> None:
    turn = np.array([1.0, 0, 0, 0, 0, 0])
    shapes = drawn(View(command=KOCH.home, proposals={"policy": turn}), "joint_delta", lookahead=1)
    moved = KOCH.home.copy()
    moved[0] += 0.2
    assert shapes["motion of policy"].points[1] == pytest.approx(
        ForwardKinematics().position(moved)
    )


@pytest.mark.parametrize("values", [np.zeros(4), np.ones(3), np.full(4, np.nan), np.zeros(0)])
def test_what_is_no_motion_is_not_drawn(values: np.ndarray) -> None:
    assert "motion of policy" not in drawn(View(command=KOCH.home, proposals={"policy": values}))


def test_one_who_went_silent_is_not_drawn() -> None:
    view = View(command=KOCH.home).proposing("policy", FORWARD).proposing("leader", FORWARD)
    assert {"motion of policy", "motion of leader"} <= set(drawn(view))
    assert "motion of leader" not in drawn(view.proposing("leader", None))


def test_the_target_says_who_drives() -> None:
    assert drawn(View(State.HUMAN, "leader", command=KOCH.home))["target"].colour == PERSON
    held = View(State.HUMAN, "leader", holding=True, command=KOCH.home)
    assert drawn(held)["target"].colour == faint(PERSON)
    assert drawn(View(State.STOPPED, command=KOCH.home))["target"].colour == STOPPED


@pytest.mark.parametrize(
    ("view", "text", "colour"),
    [
        (View(reward=1.0, judge="sim"), "reward 1 (sim)", GOOD),
        (View(reward=-1.0, judge="operator"), "reward -1 (operator)", STOPPED),
        (
            View(reward=0.0, probability=0.256, judge="classifier"),
            "reward 0, success 26 % (classifier)",
            (0.6, 0.6, 0.6, 1.0),
        ),
    ],
)
def test_the_reward_is_a_text(view: View, text: str, colour: tuple[float, ...]) -> None:
    shape = drawn(view)["reward"]
    assert (shape.kind, shape.text, shape.colour) == ("text", text, colour)


@given(
    state=st.sampled_from(State),
    values=st.lists(st.floats(allow_nan=True, width=32), min_size=0, max_size=6),
    command=st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6),
)
def test_whatever_is_heard_every_marker_can_be_drawn(state, values, command) -> None:
    view = View(state, "leader", command=np.array(command), reward=0.0).proposing("leader", values)
    for shape in Painter(KOCH, action_spec()).shapes(view):
        marker = to_marker(shape)
        assert marker.header.frame_id == "base_link"
        assert marker.header.stamp.sec == marker.header.stamp.nanosec == 0
        numbers = [marker.scale.x, marker.scale.y, marker.scale.z, marker.pose.position.x]
        numbers += [value for point in marker.points for value in (point.x, point.y, point.z)]
        assert np.isfinite(numbers).all()
        assert 0 < marker.color.a <= 1
        if marker.type == Marker.ARROW:
            assert len(marker.points) == 2
        if marker.type == Marker.LINE_LIST:
            assert len(marker.points) % 2 == 0
