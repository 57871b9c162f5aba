"""The files for ros2_control, as far as they can be checked without it: parsed and compared."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml

import hilserl_description
from hilserl_bringup import arm_ros2_control
from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.graph import make_plan
from hilserl_core.errors import UserError
from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.registers import Mode

URDFS = Path(hilserl_description.__file__).parent / "urdf"
PORT = "/dev/serial/by-id/an-arm"
needs_xacro = pytest.mark.skipif(
    importlib.util.find_spec("xacro") is None, reason="xacro is not installed"
)


@pytest.fixture
def expanded(tmp_path: Path, request: pytest.FixtureRequest) -> ElementTree.Element:
    """The expanded description of an arm that somebody calibrated."""
    name = request.param
    arm = EmulatedArm(ARMS[f"{name}_follower"], lambda: 0.0, seed=3)
    calibration = tmp_path / "arm.yaml"
    arm.calibration.save(calibration)
    text = arm_ros2_control.expand(name, URDFS / f"{name}.urdf", calibration, PORT)
    request.node.calibration = arm.calibration
    return ElementTree.fromstring(text)


def parameters(element: ElementTree.Element) -> dict[str, str]:
    return {p.attrib["name"]: (p.text or "").strip() for p in element.findall("param")}


@needs_xacro
@pytest.mark.parametrize("expanded", ["koch", "so101"], indirect=True)
def test_joints_are_the_arms_with_its_limits(expanded: ElementTree.Element) -> None:
    system = expanded.find("ros2_control")
    assert system is not None
    arm = ARMS[f"{expanded.attrib['name']}_follower"]
    in_urdf = {joint.attrib["name"] for joint in expanded.findall("joint")}
    joints = system.findall("joint")
    assert tuple(joint.attrib["name"] for joint in joints) == arm.joints
    assert set(arm.joints) <= in_urdf
    for joint, spec in zip(joints, arm.servos, strict=True):
        (command,) = joint.findall("command_interface")
        limits = parameters(command)
        assert float(limits["min"]) == pytest.approx(spec.low, abs=1e-4)
        assert float(limits["max"]) == pytest.approx(spec.high, abs=1e-4)
        states = [state.attrib["name"] for state in joint.findall("state_interface")]
        assert states == ["position", "velocity"], "an effort would be no torque"


@needs_xacro
@pytest.mark.parametrize("expanded", ["koch"], indirect=True)
def test_the_kochs_servos_are_those_of_our_driver(
    expanded: ElementTree.Element, request: pytest.FixtureRequest
) -> None:
    system = expanded.find("ros2_control")
    assert system is not None
    hardware = system.find("hardware")
    assert hardware is not None
    given = parameters(hardware)
    assert given["port_name"] == PORT
    calibration = request.node.calibration
    signs = [calibration.servos[i].sign for i in range(1, 7)]
    assert {-1, 1} == set(signs)
    for name in ("transmission_to_joint_matrix", "joint_to_transmission_matrix"):
        matrix = np.array([float(number) for number in given[name].split(",")]).reshape(6, 6)
        np.testing.assert_array_equal(matrix, np.diag(signs))
    for gpio, spec in zip(system.findall("gpio"), ARMS["koch_follower"].servos, strict=True):
        servo = parameters(gpio)
        assert int(servo["ID"]) == spec.id
        assert int(servo["Operating Mode"]) == spec.table.modes[spec.mode]
        assert 0.02 * int(servo["Bus Watchdog"]) == pytest.approx(0.3)
        if spec.mode == Mode.CURRENT_POSITION:
            share = spec.effort * spec.table.stall_current / spec.table.current_unit
            assert int(servo["Goal Current"]) == pytest.approx(share, rel=0.02)
        # A joint is 0 rad where the servo reads its centre, or the file would be wrong.
        assert calibration.servos[spec.id].zero == 2048


@needs_xacro
@pytest.mark.parametrize("expanded", ["so101"], indirect=True)
def test_the_so101s_offsets_are_the_calibrations(
    expanded: ElementTree.Element, request: pytest.FixtureRequest
) -> None:
    system = expanded.find("ros2_control")
    assert system is not None
    for joint, spec in zip(system.findall("joint"), ARMS["so101_follower"].servos, strict=True):
        given = parameters(joint)
        entry = request.node.calibration.servos[spec.id]
        assert (int(given["id"]), int(given["offset"])) == (spec.id, entry.zero)
        assert entry.sign == 1, "this interface knows no sign"


def test_controllers_serve_the_drivers_topics_within_limits() -> None:
    text = (arm_ros2_control.folder() / "controllers.yaml").read_text()
    sections = {name: section["ros__parameters"] for name, section in yaml.safe_load(text).items()}
    manager = sections["controller_manager"]
    assert manager["enforce_command_limits"] is True
    assert manager["update_rate"] >= 100
    for name in arm_ros2_control.CONTROLLERS:
        assert name in sections
        assert manager[name]["type"].count("/") == 1
    forward = sections["forward_position_controller"]
    for name in ("koch_follower", "so101_follower"):
        assert tuple(forward["joints"]) == ARMS[name].joints
    assert forward["interface_name"] == "position"


def test_without_ros2_control_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_ros2_control, "PACKAGES", ("controller_manager_of_nowhere",))
    words = ["sim:=false", "port:=/dev/koch", "observation:=cameras", "control:=ros2_control"]
    words += ["reward:=operator", "front_camera:=/dev/video0", "wrist_camera:=/dev/video2"]
    for arm, package in (
        ("koch", "dynamixel-hardware-interface"),
        ("so101", "feetech-ros2-driver"),
    ):
        wanted = rf"sudo apt install ros-jazzy-controller-manager-of-nowhere ros-jazzy-{package}"
        with pytest.raises(UserError, match=wanted):
            make_plan(GRAPHS[f"{arm}_train"], words)
    with pytest.raises(UserError, match="drives a real arm"):
        make_plan(GRAPHS["koch_train"], ["control:=ros2_control"])


@needs_xacro
@pytest.mark.parametrize("arm", ["koch", "so101"])
def test_with_it_its_nodes_take_the_drivers_place(
    arm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(arm_ros2_control, "check_installed", lambda arm: None)
    calibration = tmp_path / "arm.yaml"
    EmulatedArm(ARMS[f"{arm}_follower"], lambda: 0.0).calibration.save(calibration)
    words = ["sim:=false", f"port:={PORT}", "observation:=cameras", "control:=ros2_control"]
    words += ["reward:=operator", "front_camera:=/dev/video0", "wrist_camera:=/dev/video2"]
    plan = make_plan(GRAPHS[f"{arm}_train"], [*words, f"calibration:={calibration}", "rviz:=true"])
    nodes = {node.name: node for node in plan.nodes}
    assert len(nodes) == len(plan.nodes), "two nodes of one name"
    assert "driver_node" not in nodes
    assert {"controller_manager", "controller_spawner", "bridge_node"} <= set(nodes)
    description = nodes["robot_state_publisher"].parameters["robot_description"]
    assert PORT in description
    assert f'<robot name="{arm}"' in description
    assert nodes["bridge_node"].parameters["arm"] == f"{arm}_follower"
    assert nodes["controller_manager"].parameters["enforce_command_limits"] is True
    arguments = nodes["controller_spawner"].arguments
    assert arguments[:2] == arm_ros2_control.CONTROLLERS
