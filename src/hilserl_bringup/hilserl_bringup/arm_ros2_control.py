"""The real arm under ros2_control, on a full ROS 2, in place of our own driver."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import yaml

from hilserl_bringup.node_spec import NodeSpec
from hilserl_core.errors import UserError

PACKAGES = (
    "controller_manager",
    "forward_command_controller",
    "joint_state_broadcaster",
    "robot_state_publisher",
)
"""What has to be installed, beside xacro and the hardware's own."""

HARDWARE = {"koch": "dynamixel_hardware_interface", "so101": "feetech_ros2_driver"}
"""By arm, the package that drives its servos."""

CONTROLLERS = ("joint_state_broadcaster", "forward_position_controller")


def folder() -> Path:
    """Where the xacro and controller files are."""
    beside = Path(__file__).resolve().parents[1] / "ros2_control"
    if beside.is_dir():
        return beside
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("hilserl_bringup"), "ros2_control")


def expand(arm: str, description: Path, calibration: Path, port: str) -> str:
    """The arm's URDF with its hardware, for ros2_control.

    Args:
        arm: "koch" or "so101".
        description: its plain URDF.
        calibration: that ``calibrate`` wrote.
        port: of its servos.

    Raises:
        UserError: xacro is not installed, or a file cannot be read.
    """
    try:
        xacro = importlib.import_module("xacro")
    except ImportError:
        raise _not_installed(["xacro"]) from None
    if not calibration.is_file():
        raise UserError(
            f"no calibration at {calibration}: run 'hilserl run hilserl_drivers calibrate "
            f"{arm}_follower --port {port}'"
        )
    mappings = {"description": str(description), "calibration": str(calibration), "port": port}
    try:
        document = xacro.process_file(str(folder() / f"{arm}.urdf.xacro"), mappings=mappings)
    except Exception as error:  # Of xacro's own kinds; each says what and where.
        raise UserError(f"{arm}.urdf.xacro cannot be expanded: {error}") from None
    return str(document.toxml())


def check_installed(arm: str) -> None:
    """Whether this machine has ros2_control, and what drives the arm's servos.

    Raises:
        UserError: names what is missing, and how to install it.
    """
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    missing = []
    for package in (*PACKAGES, HARDWARE[arm]):
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise _not_installed(missing)


def _not_installed(packages: list[str]) -> UserError:
    apt = " ".join(f"ros-jazzy-{name.replace('_', '-')}" for name in packages)
    return UserError(
        f"argument 'control': ros2_control needs {', '.join(packages)}, not installed here: on a "
        f"full ROS 2 'sudo apt install {apt}', or leave control:=driver"
    )


def arm_nodes(arm: str, robot_description: str) -> tuple[NodeSpec, ...]:
    """The nodes that take the driver's place, with its topics and services."""
    controllers = folder() / "controllers.yaml"
    sections: dict[str, Any] = yaml.safe_load(controllers.read_text())
    manager = sections["controller_manager"]["ros__parameters"]
    # It stays until the end, and takes the controllers down with it.
    spawner = (*CONTROLLERS, "--param-file", str(controllers), "--unload-on-kill")
    return (
        NodeSpec(
            "robot_state_publisher",
            "robot_state_publisher",
            "robot_state_publisher",
            {"robot_description": robot_description},
        ),
        NodeSpec("controller_manager", "ros2_control_node", "controller_manager", manager),
        NodeSpec("controller_manager", "spawner", "controller_spawner", arguments=spawner),
        NodeSpec("hilserl_drivers", "bridge_node", "bridge_node", {"arm": f"{arm}_follower"}),
    )
