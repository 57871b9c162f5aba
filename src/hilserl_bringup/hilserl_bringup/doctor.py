"""``hilserl doctor``: looks at this machine, and says what to do where something is missing."""

from __future__ import annotations

import enum
import grp
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl_bringup.exclusive import domain_lock, hold
from hilserl_core.errors import UserError

DISK_NEEDED = 5e9  # bytes
_SHARED_NEEDED = 64e6  # bytes of /dev/shm that Fast DDS needs for images
_DISCOVERY_PORT, _PORTS_PER_DOMAIN = 7400, 250  # of DDS
_HIGHEST_DOMAIN = 101  # beyond it the ports lie among those that Linux gives away


class Level(enum.Enum):
    """How a check came out."""

    GOOD = "ok"
    NOTE = "note"  # works, maybe not as well as it could, or only a real arm needs it
    BAD = "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it; empty: nothing."""

    level: Level
    subject: str
    found: str
    remedy: str = ""


def good(subject: str, found: str) -> Finding:
    return Finding(Level.GOOD, subject, found)


def note(subject: str, found: str, remedy: str) -> Finding:
    return Finding(Level.NOTE, subject, found, remedy)


def bad(subject: str, found: str, remedy: str) -> Finding:
    return Finding(Level.BAD, subject, found, remedy)


# -- the checks: what was looked at comes in, so that they can be tested anywhere


def check_ros(prefixes: Sequence[Path], distro: str, importable: bool) -> Finding:
    """Where ROS 2 comes from, and whether the workspace is built."""
    subject = "ROS 2"
    if not importable:
        remedy = "run 'make setup', or source a full ROS 2 Jazzy and build with colcon"
        return bad(subject, "rclpy cannot be imported", remedy)
    if not any((prefix / "lib" / "hilserl_policy").is_dir() for prefix in prefixes):
        remedy = "run 'make setup', or 'colcon build' and source install/setup.bash"
        return bad(subject, "the workspace is not built, or not sourced", remedy)
    if any((prefix / "bin" / "ros2").exists() for prefix in prefixes):
        return good(subject, f"a full ROS 2 {distro}")
    return good(subject, "its wheels from PyPI: no ros2 launch, rviz or rosbag2 here, hilserl up")


def check_domain(environment: Mapping[str, str], taken: str) -> Finding:
    """The domain, who can hear it, and whether a run is under way there."""
    domain = environment.get("ROS_DOMAIN_ID", "") or "0"
    subject = f"ROS domain {domain}"
    if not domain.isdigit() or int(domain) > _HIGHEST_DOMAIN:
        return bad(subject, "no domain of DDS", f"set ROS_DOMAIN_ID to 0 to {_HIGHEST_DOMAIN}")
    if taken:
        return note(subject, taken, "end that run, or set ROS_DOMAIN_ID to another number")
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST").upper()
    if reach in ("SUBNET", "SYSTEM_DEFAULT"):
        return note(
            subject,
            f"discovery range {reach}: every machine of the network takes part",
            "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, if nodes on other machines need not",
        )
    return good(subject, f"free; discovery range {reach}")


def check_discovery(domain: int, bind: Callable[[int], None]) -> Finding:
    """Whether a participant could open its ports."""
    port = _DISCOVERY_PORT + _PORTS_PER_DOMAIN * domain + 10
    try:
        bind(port)
    except OSError as error:
        return note(
            "discovery",
            f"UDP port {port} is not free ({error.strerror})",
            "another ROS program in this domain has it, which is fine where it is yours",
        )
    return good("discovery", f"UDP port {port} can be opened")


def check_disk(path: Path, free: float) -> Finding:
    subject = f"disk at {path}"
    found = f"{free / 1e9:.1f} GB free"
    if free < DISK_NEEDED:
        return bad(subject, found, "make room: an hour with cameras records some GB")
    return good(subject, found)


def check_shared_memory(free: float) -> Finding:
    found = f"{free / 1e6:.0f} MB free"
    if free < _SHARED_NEEDED:
        return bad(
            "shared memory",
            found,
            "delete old /dev/shm/fastrtps_* while no ROS node runs; in a container use "
            "--ipc=host or --shm-size=1g",
        )
    return good("shared memory", found)


def check_torch(version: str, cuda: bool, cores: int) -> Finding:
    if not version:
        return bad("torch", "not installed", "run 'make setup', or pip install torch==2.13.0")
    device = "a CUDA device" if cuda else "the CPU, which is enough"
    if cores < 2:
        return note("torch", f"{version} on {device}", "one core is slow: learning will lag")
    return good("torch", f"{version} on {device}, {cores} cores")


def check_governor(governors: Iterable[str]) -> Finding:
    """How the CPU chooses its clock rate; none where the kernel does not say."""
    subject, names = "CPU governor", sorted(set(governors))
    if not names:
        return good(subject, "not chosen here (a virtual machine, or fixed)")
    if names == ["performance"]:
        return good(subject, "performance")
    return note(
        subject,
        ", ".join(names),
        "for an even control loop: sudo cpupower frequency-set -g performance",
    )


def check_clock(synchronised: bool | None, year: int) -> Finding:
    """Whether the clock can be trusted: stamps of several machines are compared."""
    if year < 2024:
        return bad("clock", f"it is {year} here", "set it: sudo timedatectl set-ntp true")
    if synchronised is None:
        return note(
            "clock",
            "nobody says whether it is kept by NTP",
            "needed where nodes run on several machines: install chrony or systemd-timesyncd",
        )
    if not synchronised:
        return note("clock", "not kept by NTP", "sudo timedatectl set-ntp true")
    return good("clock", "kept by NTP")


def check_devices(
    subject: str, group: str, paths: Sequence[Path], allowed: Callable[[Path], bool], groups: str
) -> Finding:
    """Which there are of what a real arm needs, and whether this user may use them.

    Args:
        subject: what the devices are.
        group: whose members may use them.
        paths: those there are.
        allowed: whether this user may use one.
        groups: this user's, in words.
    """
    if not paths:
        return note(subject, "none", "needed for a real arm: plug them in")
    refused = [str(path) for path in paths if not allowed(path)]
    if refused:
        return bad(
            subject,
            f"{', '.join(refused)} may not be used (your groups: {groups})",
            f"sudo usermod -aG {group} $USER, then log in again",
        )
    return good(subject, ", ".join(map(str, paths)))


def check_rendering(environment: Mapping[str, str], found: bool) -> Finding:
    backend = environment.get("MUJOCO_GL", "")
    if not found:
        return bad(
            "rendering",
            "no EGL library for the simulated cameras",
            "sudo apt install libegl1 libgl1-mesa-dri",
        )
    if backend == "osmesa":
        return bad("rendering", "MUJOCO_GL=osmesa draws black frames here", "export MUJOCO_GL=egl")
    return good("rendering", f"EGL (MUJOCO_GL={backend or 'not set: egl is used'})")


# -- what is looked at


def examine(runs: Path) -> list[Finding]:
    """All checks on this machine; ``runs`` is where runs would go."""
    environment = os.environ
    prefixes = [Path(p) for p in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    where = runs if runs.is_dir() else Path()
    groups = _groups()
    domain = environment.get("ROS_DOMAIN_ID", "") or "0"
    findings = [
        check_ros(prefixes, environment.get("ROS_DISTRO", "jazzy"), _importable("rclpy")),
        check_domain(environment, _run_under_way()),
    ]
    if domain.isdigit() and int(domain) <= _HIGHEST_DOMAIN:
        findings.append(check_discovery(int(domain), _bind))
    return [
        *findings,
        check_disk(where.resolve(), shutil.disk_usage(where).free),
        check_shared_memory(_free(Path("/dev/shm"))),
        check_torch(_version("torch"), Path("/dev/nvidiactl").exists(), _cores()),
        check_rendering(environment, _has_egl()),
        check_governor(_governors()),
        check_clock(_synchronised(), _year()),
        check_devices("serial ports", "dialout", _devices("ttyUSB*", "ttyACM*"), _allowed, groups),
        check_devices("cameras", "video", _devices("video*"), _allowed, groups),
    ]


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _version(package: str) -> str:
    """Asks the metadata: importing torch takes seconds."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _run_under_way() -> str:
    try:
        with hold(domain_lock(), "process {pid} runs in it"):
            return ""
    except UserError as error:
        return str(error)


def _bind(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", port))


def _free(path: Path) -> float:
    return float(shutil.disk_usage(path).free) if path.is_dir() else 0.0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_egl() -> bool:
    import ctypes.util

    return ctypes.util.find_library("EGL") is not None


def _governors() -> list[str]:
    folder = Path("/sys/devices/system/cpu")
    return [p.read_text().strip() for p in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")]


def _synchronised() -> bool | None:
    """What systemd says of the clock; None where nobody can be asked."""
    try:
        command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(answer.stdout.strip())


def _year() -> int:
    import datetime

    return datetime.datetime.now().year


def _devices(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in Path("/dev").glob(pattern))


def _allowed(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _groups() -> str:
    """This user's groups, in words."""
    names = []
    for number in sorted({os.getegid(), *os.getgroups()}):
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            names.append(str(number))
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}: {', '.join(names)}"


def report(findings: Sequence[Finding]) -> str:
    """Findings as text: each with its remedy below."""
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level.value:4}  {finding.subject:{width}}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':4}  {'':{width}}  -> {finding.remedy}")
    failed = sum(finding.level == Level.BAD for finding in findings)
    lines.append("")
    lines.append(f"{failed} to mend" if failed else "nothing is in the way")
    return "\n".join(lines)


def main(runs: Path) -> int:
    """Looks, prints, and returns the exit code: 1 where something is to be mended."""
    findings = examine(runs)
    print(report(findings))
    return int(any(finding.level == Level.BAD for finding in findings))
