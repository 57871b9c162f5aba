from dataclasses import replace

import numpy as np
import pytest

from hilserl_core.assembly import Measurements, ObservationAssembler, yaw
from hilserl_core.spec import Field, ImageField, ObservationSpec, SpecError


def field(name, size):
    return Field(name, (-1.0,) * size, (1.0,) * size)


SPEC = ObservationSpec(
    (
        field("joint_position", 2),
        field("tool_position", 3),
        field("target_offset", 3),
        field("gripper_command", 1),
        field("object_offset", 3),
        field("object_yaw", 2),
    ),
    (ImageField("front", 2, 2),),
)
MEASURED = Measurements(
    stamp=5,
    joint_position=np.array([0.1, 0.2]),
    joint_velocity=np.zeros(2),
    motor_current=np.zeros(2),
    command=np.array([0.3, 0.4]),
    object_position=np.array([1.0, 0.0, 0.0]),
    object_orientation=np.array([0.0, 0.0, np.sin(np.pi / 8), np.cos(np.pi / 8)]),
    images={"front": np.zeros((2, 2, 3), np.uint8)},
)


def tool(q):
    return np.array([q[0], q[1], 0.5])


def test_fields_in_the_order_of_the_spec():
    observation = ObservationAssembler(SPEC, tool)(MEASURED)
    assert observation.stamp == 5
    np.testing.assert_allclose(
        observation.state,
        [0.1, 0.2, 0.1, 0.2, 0.5, 0.2, 0.2, 0.0, 0.4, 0.9, -0.2, -0.5, -1.0, 0.0],
        atol=1e-6,
    )
    assert len(observation.images) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"object_position": None}, "object's pose"),
        ({"joint_position": np.array([np.nan, 0.0])}, "joint_position"),
        ({"images": {}}, "camera 'front': image is missing"),
        ({"images": {"front": np.zeros((3, 2, 3), np.uint8)}}, r"\(3, 2, 3\)"),
    ],
)
def test_what_is_missing_or_wrong_is_named(change, words):
    with pytest.raises(SpecError, match=words):
        ObservationAssembler(SPEC, tool)(replace(MEASURED, **change))


def test_an_unknown_field_is_refused():
    with pytest.raises(SpecError, match="mood"):
        ObservationAssembler(ObservationSpec((field("mood", 1),)), tool)


def test_a_quarter_turn_of_a_cube_changes_nothing():
    quarter = np.array([0.0, 0.0, np.sin(np.pi / 4), np.cos(np.pi / 4)])
    assert np.isclose(np.cos(4 * yaw(quarter)), 1.0)
