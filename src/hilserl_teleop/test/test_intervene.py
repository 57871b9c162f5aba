import pytest

pytest.importorskip("rclpy")

from hilserl_msgs.msg import Arbitration, RunStatus
from hilserl_teleop.intervene import describe


def line(state, age=0.0, status=None, **fields):
    return describe(Arbitration(state=state, **fields), status, "keyboard", 0.5, age)


def test_the_line_of_state_says_who_drives_and_why_the_arm_holds():
    assert line(Arbitration.POLICY).startswith("policy drives")
    assert line(Arbitration.HUMAN, device="keyboard").startswith("YOU DRIVE")
    assert line(Arbitration.HUMAN, device="leader").startswith("leader drives")
    stopped = line(Arbitration.STOPPED, holding=True, reason="stopped by leader")
    assert "STOPPED | holds | stopped by leader" in stopped


def test_the_countdown_runs_on_between_two_messages():
    assert "YOU in 1.5 s" in line(
        Arbitration.HANDOVER, age=0.5, device="keyboard", countdown=2.0, holding=True
    )
    assert "YOU in 0.0 s" in line(Arbitration.HANDOVER, age=2.5, device="keyboard", countdown=2.0)


def test_a_silent_or_missing_mux_is_said():
    assert "no mux" in describe(None, None, "keyboard", 0.5, 0.0)
    assert "silent for 5 s" in line(Arbitration.POLICY, age=5.0)


def test_nobody_is_told_to_drive_before_the_mux_hears_them():
    deaf = describe(Arbitration(state=Arbitration.POLICY), None, "keyboard", 0.5, 0.0, heard=False)
    assert "does not hear keyboard" in deaf
    assert "policy drives" not in deaf


def test_a_terminal_of_80_columns_shows_whether_the_episode_is_over():
    over = RunStatus(phase=RunStatus.RECORD, episode=12, last_outcome=1)
    waiting = "the keyboard is silent: the arm holds until it moves or releases"
    text = line(Arbitration.HUMAN, status=over, device="keyboard", holding=True, reason=waiting)
    assert "record episode 12 over: success" in text[:80]


def test_the_run_is_shown():
    status = RunStatus(phase=RunStatus.TRAIN, episode=7, in_episode=True)
    assert line(Arbitration.POLICY, status=status).startswith("policy drives | train episode 7 |")
    over = RunStatus(phase=RunStatus.TRAIN, episode=7, last_outcome=1)
    text = line(Arbitration.POLICY, status=over)
    assert text.startswith("policy drives | train episode 7 over: success |")


def test_numbers_of_another_version_are_shown_as_numbers():
    status = RunStatus(phase=77, episode=7, last_outcome=99)
    assert "phase 77 episode 7 over: outcome 99" in line(Arbitration.POLICY, status=status)
