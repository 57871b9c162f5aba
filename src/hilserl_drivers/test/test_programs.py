"""The programs for a terminal, on emulated arms, with a person who is a script."""

import io
import time
from collections.abc import Iterator

import numpy as np
import pytest
from rich.console import Console
from rigs import ArmRig

from hilserl_core.errors import UserError
from hilserl_drivers import calibrate, monitor, scan
from hilserl_drivers.arms import ARMS
from hilserl_drivers.calibration import load
from hilserl_drivers.driver import Driver
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.wires import PtyBus

POSES = {"koch_follower": 0.0, "so101_follower": 0.1}


def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def said(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return " ".join(on.file.getvalue().split())


class Person:
    """Presses Enter and moves the arm: each step is an Enter (True) or a motion (False)."""

    def __init__(self, rig: ArmRig, steps: Iterator[bool]) -> None:
        self.rig, self._steps = rig, steps

    def __call__(self) -> bool:
        self.rig.clock.sleep(0.05)
        return next(self._steps)


def through_ranges(rig: ArmRig, skip: str = "") -> Iterator[bool]:
    """Moves every joint to both ends."""
    pose = rig.emulated.angles()
    for index, spec in enumerate(rig.arm.servos):
        if spec.joint == skip:
            continue
        low, high = spec.low - 0.05, spec.high + 0.05
        for angle in (*np.linspace(pose[index], low, 4), *np.linspace(low, high, 8), pose[index]):
            there = pose.copy()
            there[index] = angle
            rig.emulated.place(there)
            yield False


def directions(rig: ArmRig, wrong: str = "") -> Iterator[bool]:
    """Moves each joint as asked."""
    yield True
    for index, spec in enumerate(rig.arm.servos):
        there = rig.emulated.angles()
        there[index] += -0.4 if spec.joint == wrong else 0.4
        rig.emulated.place(there)
        yield True


def whole(rig: ArmRig, wrong: str = "") -> Iterator[bool]:
    yield True
    rig.emulated.place([POSES[rig.arm.name] + 0.5 * (not rig.arm.zero_in_pose)] * 6)
    yield True
    yield from through_ranges(rig)
    yield True
    if rig.arm.zero_in_pose:
        rig.emulated.place([-0.5] * 6)
        yield from directions(rig, wrong)


@pytest.mark.parametrize("name", POSES)
def test_an_arm_that_was_calibrated_is_driven(name, tmp_path):
    rig = ArmRig(name, seed=3)
    rig.emulated.forget_calibration()
    path, out = tmp_path / "arm.yaml", console()
    calibrate.run(rig.arm, rig.bus, path, out, Person(rig, whole(rig)))
    assert f"saved to {path}" in said(out)
    entries = load(path, rig.arm)
    for servo, entry in rig.emulated.calibration.servos.items():
        found = entries.servos[servo]
        assert (found.sign, found.joint) == (entry.sign, entry.joint)
    rig.emulated.power_cycle()
    driver = Driver(rig.bus, rig.arm, entries, rig.settings, rig.clock)
    driver.configure()
    assert driver.joints.positions() == pytest.approx(rig.emulated.angles(), abs=0.01)
    driver.activate()
    assert rig.torques() == [True] * 6


def test_what_was_left_out_is_asked_for_again(tmp_path):
    rig = ArmRig("koch_follower")
    rig.emulated.forget_calibration()

    def steps() -> Iterator[bool]:
        yield True
        rig.emulated.place([0.0] * 6)
        yield True
        yield from through_ranges(rig, skip="elbow_flex")
        yield True
        yield from through_ranges(rig)
        yield True
        rig.emulated.place([-0.5] * 6)
        yield True
        yield True  # Nothing was moved: it is asked for once more.
        for index in range(6):
            there = rig.emulated.angles()
            there[index] += 0.4
            rig.emulated.place(there)
            yield True

    out = console()
    calibrate.run(rig.arm, rig.bus, tmp_path / "arm.yaml", out, Person(rig, steps()))
    assert "elbow_flex was moved by 0.00 rad, about 3.22 are expected" in said(out)
    assert "shoulder_pan moved by 0.00 rad only" in said(out)
    assert "saved to" in said(out)


def test_a_direction_that_cannot_be_right_is_refused(tmp_path):
    rig = ArmRig("koch_follower")
    rig.emulated.forget_calibration()
    path = tmp_path / "arm.yaml"
    with pytest.raises(UserError, match=r"gripper would reach from .* the direction was not as"):
        calibrate.run(rig.arm, rig.bus, path, console(), Person(rig, whole(rig, wrong="gripper")))
    assert not path.exists()


def test_the_monitor_shows_every_joint(tmp_path):
    rig = ArmRig("koch_follower")
    path = tmp_path / "arm.yaml"
    rig.emulated.calibration.save(path)
    rig.emulated.place([0.25, 0.1, 0.1, 0.1, 0.1, -0.5])
    out = console()
    monitor.run(rig.arm, rig.bus, path, out, Person(rig, iter([False, False, True])))
    text = said(out)
    assert "shoulder_pan" in text
    assert "0.250" in text
    assert "-0.500" in text
    assert rig.torques() == [False] * 6


def test_the_monitor_works_on_an_arm_without_calibration(tmp_path):
    rig = ArmRig("so101_follower")
    out = console()
    monitor.run(rig.arm, rig.bus, tmp_path / "none.yaml", out, Person(rig, iter([True])))
    assert "no calibration of so101_follower" in said(out)
    assert "showing the servos' own positions" in said(out)


@pytest.fixture
def port(tmp_path, request):
    arm = EmulatedArm(ARMS[request.param], time.monotonic)
    with PtyBus(arm.bus, tmp_path / "arm") as served:
        yield arm, served


def run_scan(*words: str) -> tuple[int, str]:
    out = console()
    code = scan.run(scan._parser().parse_args(words), out)
    return code, said(out)


@pytest.mark.parametrize("port", ["koch_follower", "so101_follower"], indirect=True)
def test_scan_lists_the_servos_and_changes_an_id(port):
    arm, served = port
    family = ["--port", str(served.path), "--family", arm.arm.family.value, "--baud", "1000000"]
    code, text = run_scan(*family)
    assert code == 0
    for spec in arm.arm.servos:
        assert spec.model in text
    code, text = run_scan(*family, "--set-id", "6", "11")
    assert arm.servos[5].id == 11
    arm.power_cycle()
    assert arm.servos[5].id == 11
    with pytest.raises(UserError, match="there is a servo 1 already"):
        run_scan(*family, "--set-id", "2", "1")


@pytest.mark.parametrize("port", ["so101_follower"], indirect=True)
def test_scan_changes_the_baud_rate(port):
    arm, served = port
    words = ["--port", str(served.path), "--family", "feetech", "--baud", "1000000"]
    run_scan(*words, "--set-baud", "500000")
    assert {servo.baud for servo in arm.servos} == {500_000}
    with pytest.raises(UserError, match="no servo answers"):
        run_scan(*words)


@pytest.mark.parametrize("program", [scan, monitor, calibrate])
def test_help_has_an_example_and_mistakes_are_one_line(program, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])
    assert ended.value.code == 0
    assert "example" in capsys.readouterr().out
    arm = [] if program is scan else ["koch_follower"]
    assert program.main([*arm, "--port", "/dev/ttyNOTHERE"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no port /dev/ttyNOTHERE")
    assert error.count("\n") == 1


def test_positive_directions_are_those_of_the_arms_description():
    """What a person is told to do for larger angles, by the arm's own kinematics."""
    tool_position = pytest.importorskip("hilserl_description.kinematics").ForwardKinematics()

    def tool(index: int, angle: float) -> np.ndarray:
        joints = np.zeros(6)
        joints[index] = angle
        return np.asarray(tool_position.position(joints))

    right, forward, up = 0, 1, 2
    told = {spec.joint: spec.positive for spec in ARMS["koch_follower"].servos}
    moved = {joint: tool(n, 0.2) - tool(n, 0.0) for n, joint in enumerate(told)}
    assert "right" in told["shoulder_pan"]
    assert moved["shoulder_pan"][right] > 0
    assert "backwards" in told["shoulder_lift"]
    assert moved["shoulder_lift"][forward] < 0
    assert "lower" in told["elbow_flex"]
    assert moved["elbow_flex"][up] < 0
    assert "raise" in told["wrist_flex"]
    assert moved["wrist_flex"][up] > 0
