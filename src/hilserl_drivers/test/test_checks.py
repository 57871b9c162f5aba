"""Bad input: one clear message with the remedy, and no torque."""

import errno

import pytest
import serial
from rigs import BOTH, ArmRig

from hilserl_core.errors import UserError
from hilserl_drivers import wire
from hilserl_drivers.arms import ARMS
from hilserl_drivers.calibration import default_path, load
from hilserl_drivers.driver import State
from hilserl_drivers.models import BAUD_CODES

EACH = pytest.mark.parametrize("name", BOTH)


def refused(rig: ArmRig) -> str:
    """Why the driver does not start."""
    rig.clock.sleep(0.01)
    with pytest.raises(UserError) as error:
        rig.driver.configure()
    assert rig.torques() == [False] * len(rig.emulated.servos)
    assert rig.driver.state == State.CLOSED
    assert not rig.bus.is_open
    text = str(error.value)
    assert "\n" not in text
    return text


@EACH
def test_a_missing_servo(name):
    rig = ArmRig(name)
    rig.emulated.servos[4].keep({"baud_rate": BAUD_CODES[rig.arm.family][115_200]})
    text = refused(rig)
    assert text.startswith(f"servo 5 (wrist_roll) of {name} does not answer")
    assert "cable" in text


@EACH
def test_a_servo_with_the_wrong_id(name):
    rig = ArmRig(name)
    rig.emulated.servos[4].keep({"id": 15})
    text = refused(rig)
    assert "servo 5 (wrist_roll)" in text
    assert "there is a servo 15 instead" in text
    assert "scan --set-id" in text


@EACH
def test_two_servos_with_one_id(name):
    rig = ArmRig(name)
    rig.emulated.place([0.1, 0.2, 0.3, 0.4, 0.5, 0.02])
    rig.emulated.servos[4].keep({"id": 4})
    text = refused(rig)
    assert text.startswith("servo 5 (wrist_roll)") or "two servos seem to have that id" in text


def test_two_servos_of_different_models_with_one_id():
    rig = ArmRig("koch_follower")
    rig.emulated.servos[4].keep({"id": 1})
    text = refused(rig)
    assert text.startswith("servo 1 (shoulder_pan) answers, but garbled")
    assert "and servo 5 (wrist_roll) does not answer: two servos seem to have that id" in text


def test_another_model():
    rig = ArmRig("koch_follower")
    first, third = rig.emulated.servos[0], rig.emulated.servos[2]
    first.keep({"id": 3})
    third.keep({"id": 1})
    text = refused(rig)
    assert text.startswith(
        "servo 1 (shoulder_pan) is a XL330-M288, a koch_follower has a XL430-W250 there"
    )


def test_the_leaders_port():
    rig = ArmRig("koch_follower")
    rig.emulated.bus = ArmRig("koch_leader").emulated.bus
    rig.emulated.bus._clock = rig.clock
    assert "this is a koch_leader, not a koch_follower: the ports" in refused(rig)


@EACH
def test_a_wrong_baud_rate(name):
    rig = ArmRig(name)
    other = 115_200
    for servo in rig.emulated.servos:
        servo.keep({"baud_rate": BAUD_CODES[rig.arm.family][other]})
    text = refused(rig)
    assert "no servo answers at 1000000 baud, but 1, 2, 3, 4, 5, 6 at 115200" in text
    assert "'baud' to 115200" in text


@EACH
def test_no_power(name):
    rig = ArmRig(name)
    rig.emulated.bus.servos.clear()
    rig.emulated.bus.plant.advance = lambda seconds, drives: []
    with pytest.raises(UserError, match="no servo answers at any baud rate: check the arm's power"):
        rig.driver.configure()


@EACH
def test_an_arm_that_was_never_calibrated(name):
    rig = ArmRig(name)
    for servo in rig.emulated.servos:
        servo.keep({"homing_offset": 0, "min_position": 0, "max_position": 4095})
    assert f"this {name} is not calibrated" in refused(rig)


@EACH
def test_the_calibration_of_another_arm(name):
    rig, other = ArmRig(name, seed=1), ArmRig(name, seed=2)
    rig.emulated.bus = other.emulated.bus
    rig.emulated.bus._clock = rig.clock
    assert f"is the calibration of another {name}" in refused(rig)


@EACH
def test_a_servo_that_was_replaced(name):
    rig = ArmRig(name)
    rig.emulated.servos[1].keep({"homing_offset": 123})
    text = refused(rig)
    assert text.startswith("servo 2 (shoulder_lift) keeps offset and range (123,")
    assert "calibrate the arm again" in text


def test_a_horn_that_was_mounted_anew():
    rig = ArmRig("koch_follower")
    rig.emulated.joints[1].high = 3.0
    rig.emulated.place([0, 2.5, 0, 0, 0, 0])
    assert "shoulder_lift reads 2.50 rad, outside the range" in refused(rig)


@EACH
def test_a_hot_servo(name):
    rig = ArmRig(name)
    limit = rig.arm.servos[2].table.temperature_limit
    rig.emulated.servos[2].temperature = limit - 2
    text = refused(rig)
    assert text.startswith(f"servo 3 (elbow_flex) is {limit - 2:.0f} degrees hot")
    assert "let it cool down" in text


def test_low_voltage():
    rig = ArmRig("koch_follower")
    for servo in rig.emulated.servos[:2]:
        servo.voltage = 5.0
    text = refused(rig)
    assert text.startswith("servo 1 (shoulder_pan), a XL430-W250, has 5.0 V")
    assert "power supply" in text


def test_an_error_that_stays_is_said_and_one_that_has_passed_is_cleared():
    rig = ArmRig("koch_follower")
    rig.emulated.servos[3].set("hardware_error", 0x20)
    rig.driver.configure()
    assert rig.emulated.servos[3].restarts == 2
    rig = ArmRig("so101_follower")
    rig.emulated.servos[3].voltage = 2.0
    assert "servo 4 (wrist_flex), a STS3215, has 2.0 V" in refused(rig)


# -- calibration files


@pytest.fixture
def saved(tmp_path):
    rig = ArmRig()
    path = tmp_path / "koch.yaml"
    rig.emulated.calibration.save(path)
    return rig, path


def test_a_calibration_comes_back_as_saved(saved):
    rig, path = saved
    assert load(path, rig.arm).servos == rig.emulated.calibration.servos


def test_files_that_are_no_calibration(saved, tmp_path):
    rig, path = saved
    missing = tmp_path / "none.yaml"
    with pytest.raises(UserError, match=f"no calibration of koch_follower at {missing}: run"):
        load(missing, rig.arm)
    with pytest.raises(UserError, match="the calibration of 'koch_follower', and this is koch_lea"):
        load(path, ARMS["koch_leader"])
    text = path.read_text()
    for old, new, said in (
        ("servos:", "servos: [", "is damaged"),
        ("servos:", "motors:", "no 'servos' in it"),
        ("sign: 1", "sign: 3", "'sign': 3 is not one of -1, 1"),
        ("zero: 2048", "zero: far", "'zero': 'far' is not a int"),
        ("range_min", "minimum", "'minimum' is unknown"),
        ("  5:", "  7:", "does not say how servo 5, a XL330-M288, moves wrist_roll"),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(UserError, match=said):
            load(path, rig.arm)


def test_where_a_calibration_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path("koch_follower") == tmp_path / "hilserl" / "koch_follower.yaml"


# -- ports


def test_no_such_port():
    with pytest.raises(UserError, match=r"no port /dev/ttyNOTHERE: .*; check the cable, or name"):
        wire.SerialWire("/dev/ttyNOTHERE", 1_000_000)


def test_no_permission_names_the_group(monkeypatch, tmp_path):
    path = tmp_path / "tty"
    path.touch()

    def deny(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port: Permission denied")

    monkeypatch.setattr(serial, "Serial", deny)
    with pytest.raises(UserError, match=f"no permission to open {path}: .*usermod -aG .* log in"):
        wire.SerialWire(str(path), 1_000_000)


def test_a_file_is_no_port(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(UserError, match=f"port {path} cannot be opened"):
        wire.SerialWire(str(path), 1_000_000)
