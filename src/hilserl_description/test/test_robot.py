"""An arm, or an environment in its place: what is read of it, and how it is commanded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_core.images import to_image
from hilserl_core.spec import ActionSpec, Field, ImageField, ObservationSpec
from hilserl_core.spec_file import dump_specs
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.robot import ENVIRONMENT_STATE, Robot, robot_of
from hilserl_description.robot_parameters import ActingParameters, RobotParameters
from hilserl_msgs.msg import Observation

SPEC = ObservationSpec((Field("place", (0.0, 0.0), (5.0, 5.0)),), (ImageField("top", 4, 6),))


@pytest.fixture
def environment(tmp_path: Path) -> Robot:
    path = tmp_path / "specs.json"
    path.write_bytes(dump_specs(SPEC, ActionSpec.box([0.0, -1.0], [10.0, 1.0])))
    return robot_of(RobotParameters(specs=str(path)))


def test_an_environment_says_its_state_whole(environment: Robot) -> None:
    reader = environment.reader()
    assert set(reader.types) == {ENVIRONMENT_STATE, "camera/top/policy"}
    picture = np.full((4, 6, 3), 9, np.uint8)
    values = {
        ENVIRONMENT_STATE: reader.read(ENVIRONMENT_STATE, Observation(state=[1.0, 2.0])),
        "camera/top/policy": reader.read("camera/top/policy", to_image(picture, 7)),
    }
    observation = reader.observation(7, values, np.zeros(2))
    assert observation.stamp == 7
    np.testing.assert_array_equal(observation.state, (1.0, 2.0))
    np.testing.assert_array_equal(observation.images[0], picture)


@pytest.mark.parametrize("state", [[1.0], [1.0, float("nan")]])
def test_a_state_that_does_not_fit_is_refused(environment: Robot, state: list[float]) -> None:
    with pytest.raises(UserError, match="place"):
        environment.reader().read(ENVIRONMENT_STATE, Observation(state=state))


def test_an_environments_commands_are_its_actions(environment: Robot) -> None:
    assert environment.commands == ("action_0", "action_1")
    np.testing.assert_allclose(environment.home, (5.0, 0.0))
    mapping = environment.mapping()
    np.testing.assert_allclose(mapping.command((1.0, -0.5)), (10.0, -0.5))
    with pytest.raises(UserError, match="does not fit"):
        mapping.command((1.0,))


@pytest.mark.parametrize("arm", ["koch", "so101"])
def test_an_arm_needs_no_file(arm: str) -> None:
    robot = robot_of(ActingParameters(arm=arm))
    assert robot.commands == JOINT_NAMES
    mapping = robot.mapping()
    mapping.reset(robot.home)
    np.testing.assert_array_equal(mapping.command(np.zeros(robot.action.dim)), robot.home)
