"""What the doctor says of machines that are well, and of those that are not."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from hilserl_bringup import doctor
from hilserl_bringup.doctor import Finding, Level


def free(port: int) -> None:
    """A port that can be opened."""


def taken(port: int) -> None:
    raise OSError(errno.EADDRINUSE, "Address already in use")


PORTS = [Path("/dev/ttyUSB0"), Path("/dev/ttyACM0")]
CAMERAS = [Path("/dev/video0")]


@pytest.mark.parametrize(
    ("finding", "level", "words"),
    [
        (doctor.check_ros([], "", importable=False), Level.BAD, "make setup"),
        (doctor.check_ros([Path("/nowhere")], "", importable=True), Level.BAD, "not built"),
        (doctor.check_domain({"ROS_DOMAIN_ID": "7"}, ""), Level.GOOD, "LOCALHOST"),
        (doctor.check_domain({"ROS_DOMAIN_ID": "400"}, ""), Level.BAD, "0 to 101"),
        (doctor.check_domain({"ROS_DOMAIN_ID": "x"}, ""), Level.BAD, "0 to 101"),
        (doctor.check_domain({}, "process 5 runs in it"), Level.NOTE, "another number"),
        (
            doctor.check_domain({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, ""),
            Level.NOTE,
            "LOCALHOST",
        ),
        (doctor.check_discovery(1, free), Level.GOOD, "7660"),
        (doctor.check_discovery(0, taken), Level.NOTE, "7410 is not free"),
        (doctor.check_disk(Path("/data"), 1e9), Level.BAD, "1.0 GB free.*make room"),
        (doctor.check_disk(Path("/data"), 50e9), Level.GOOD, "50.0 GB"),
        (doctor.check_shared_memory(1e6), Level.BAD, "--shm-size"),
        (doctor.check_torch("", cuda=False, cores=2), Level.BAD, "pip install torch"),
        (doctor.check_torch("2.13.0+cpu", cuda=False, cores=2), Level.GOOD, "CPU"),
        (doctor.check_torch("2.13.0", cuda=True, cores=8), Level.GOOD, "CUDA"),
        (doctor.check_torch("2.13.0", cuda=False, cores=1), Level.NOTE, "lag"),
        (doctor.check_governor([]), Level.GOOD, "virtual"),
        (doctor.check_governor(["performance"] * 4), Level.GOOD, "performance"),
        (doctor.check_governor(["powersave", "performance"]), Level.NOTE, "cpupower"),
        (doctor.check_clock(True, 2026), Level.GOOD, "NTP"),
        (doctor.check_clock(False, 2026), Level.NOTE, "set-ntp"),
        (doctor.check_clock(None, 2026), Level.NOTE, "chrony"),
        (doctor.check_clock(True, 1970), Level.BAD, "1970"),
        (
            doctor.check_devices("serial ports", "dialout", [], lambda _: True, "a: b"),
            Level.NOTE,
            "plug",
        ),
        (
            doctor.check_devices("serial ports", "dialout", PORTS, lambda _: True, "a: b"),
            Level.GOOD,
            "ttyUSB0, /dev/ttyACM0",
        ),
        (
            doctor.check_devices(
                "serial ports", "dialout", PORTS, lambda port: port.name == "ttyACM0", "ada: users"
            ),
            Level.BAD,
            "^/dev/ttyUSB0 may not.*ada: users.*dialout",
        ),
        (
            doctor.check_devices("cameras", "video", CAMERAS, lambda _: False, "ada: users"),
            Level.BAD,
            "-aG video",
        ),
        (doctor.check_rendering({}, found=False), Level.BAD, "libegl1"),
        (doctor.check_rendering({"MUJOCO_GL": "osmesa"}, found=True), Level.BAD, "black"),
        (doctor.check_rendering({"MUJOCO_GL": "egl"}, found=True), Level.GOOD, "EGL"),
    ],
)
def test_a_check_says_what_it_found_and_what_to_do(
    finding: Finding, level: Level, words: str
) -> None:
    assert finding.level == level
    assert bool(finding.remedy) == (level != Level.GOOD)
    assert re.search(words, f"{finding.found}. {finding.remedy}"), finding


def test_where_ros_comes_from(tmp_path: Path) -> None:
    (tmp_path / "lib/hilserl_policy").mkdir(parents=True)
    assert "wheels" in doctor.check_ros([tmp_path], "jazzy", importable=True).found
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ros2").touch()
    assert "full ROS 2 jazzy" in doctor.check_ros([tmp_path], "jazzy", importable=True).found


@pytest.mark.parametrize("level", [Level.GOOD, Level.NOTE, Level.BAD])
def test_the_exit_code_is_1_where_something_is_to_be_mended(
    level: Level, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding(level, "something", "as it is", "" if level == Level.GOOD else "mend it")
    monkeypatch.setattr(doctor, "examine", lambda runs: [finding])
    assert doctor.main(Path("runs")) == int(level == Level.BAD)
    output = capsys.readouterr().out
    assert ("-> mend it" in output) == bool(finding.remedy)


def test_this_machine_is_looked_at_without_harm(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path / "runs")
    assert {"torch", "disk", "cameras"} <= {finding.subject.split()[0] for finding in findings}
    assert not (tmp_path / "runs").exists()
