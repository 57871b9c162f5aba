import numpy as np
import pytest

from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.koch import KOCH
from hilserl_teleop.console_driving import LINK, Driving, acting_in
from hilserl_teleop.console_messages import Drive
from hilserl_teleop.jog import GRIPPER

PERIOD = 0.1
FORWARD = ForwardKinematics()
REST = Drive((0.0, 0.0, 0.0), 0, 0.5)


def along(axis: int, amount: float = 1.0) -> Drive:
    move = [0.0, 0.0, 0.0]
    move[axis] = amount
    return Drive(tuple(move), 0, 0.5)


class Stage:
    def __init__(self) -> None:
        self.now = 50.0
        self.sent: list[np.ndarray] = []
        self.driving = Driving(PERIOD, lambda: self.now, self.sent.append)

    def beat(self, wish: Drive, periods: int) -> None:
        """The page repeats its wish twice a period."""
        for _ in range(periods):
            for _ in range(2):
                self.now += PERIOD / 2
                self.driving.drive(wish, True)
            self.driving.tick(True)


@pytest.fixture
def stage():
    return Stage()


def test_motion_is_sent_at_once_and_then_every_period(stage):
    assert stage.driving.drive(along(1), True)
    np.testing.assert_allclose(stage.sent, [[0, 0.5, 0, 0]])
    stage.beat(along(1), 4)
    np.testing.assert_allclose(stage.sent, [[0, 0.5, 0, 0]] * 5)
    assert not stage.driving.drive(REST, True)
    stage.driving.tick(True)
    np.testing.assert_allclose(stage.sent[-1], 0)


def test_a_tap_shorter_than_a_period_is_one_action(stage):
    stage.driving.drive(along(0, -1.0), True)
    stage.driving.drive(REST, True)
    stage.now += PERIOD
    stage.driving.drive(REST, True)
    stage.driving.tick(True)
    assert [values[0] for values in stage.sent] == [-0.5, 0.0]


def test_turning_round_and_a_second_axis_are_sent_at_once(stage):
    stage.driving.drive(along(0), True)
    assert stage.driving.drive(along(0, -1.0), True)
    assert stage.driving.drive(Drive((-1.0, 1.0, 0.0), 0, 0.5), True)
    assert [tuple(values[:2]) for values in stage.sent] == [(0.5, 0), (-0.5, 0), (-0.5, 0.5)]


def test_the_gripper_is_asked_long_enough_for_a_tick_to_see_it(stage):
    stage.driving.drive(Drive((0.0, 0.0, 0.0), -1, 0.1), True)
    stage.beat(REST, 3)
    assert [values[GRIPPER] for values in stage.sent] == [-1, -1, -1, 0]


def test_when_the_page_falls_silent_nothing_is_sent_any_longer(stage):
    stage.driving.drive(along(2), True)
    stage.now += LINK + 0.01
    for _ in range(5):
        stage.driving.tick(True)
        stage.now += PERIOD
    assert len(stage.sent) == 1
    stage.driving.drive(REST, True)
    stage.driving.tick(True)
    np.testing.assert_allclose(stage.sent[-1], 0)  # what was wanted before is not taken up


def test_nothing_moves_before_the_mux_lets_it(stage):
    for _ in range(3):
        assert not stage.driving.drive(along(2), False)
        stage.driving.tick(False)
    np.testing.assert_allclose(stage.sent, 0)  # it says that it is there
    assert stage.driving.drive(along(2), True)
    assert stage.sent[-1][2] == 0.5


def test_after_a_release_nothing_is_sent(stage):
    stage.driving.drive(along(2), True)
    stage.driving.rest()
    stage.driving.tick(True)
    assert len(stage.sent) == 1


def test_in_a_space_of_joints_the_page_still_moves_the_tool():
    sent, known = [], []
    act = acting_in(action_spec("joint_delta"), KOCH, sent.append, lambda: known)
    act(np.array([0.0, 0.5, 0.0, 1.0], np.float32))
    assert sent[-1].shape == (6,)
    assert not sent[-1].any(), "where the arm is told to be is not known yet"
    known = KOCH.home.tolist()
    act(np.array([0.0, 0.5, 0.0, 1.0], np.float32))
    mapping = ActionMapping(action_spec("joint_delta"), KOCH)
    moved = FORWARD.position(mapping.command(sent[-1])) - FORWARD.position(KOCH.home)
    assert moved == pytest.approx([0.0, 0.5 * 0.025, 0.0], abs=2e-3)
    assert sent[-1][-1] == 1.0
