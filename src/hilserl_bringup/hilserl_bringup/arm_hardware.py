"""What stands for the arm in a graph, a simulation, an emulated arm or a real one, and the
devices at hand to drive it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import hilserl_description
from hilserl_bringup import arm_ros2_control
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_drivers.calibration import default_path

SIM, EMULATED, REAL = HARDWARE = ("sim", "emulated", "real")

DEVICES = ("leader", "keyboard", "console", "spacemouse", "gamepad")
COUNTDOWNS = (2.0, 2.0, 2.0, 0.0, 2.0)
"""s, of each device: who pushes a SpaceMouse has it in hand already."""

SCRIPTED = "leader"
"""The scripted person's device."""

SCRIPTED_COUNTDOWN = 0.5
"""s, of a scripted person, who is always ready."""

CONTROLS = ("driver", "ros2_control")
JOGS = ("none", "spacemouse", "spacenav", "gamepad")

FOLLOW_PERIOD = 0.02
"""s between the commands with which a leader arm follows."""

REPLY_TIMEOUT = 0.05
"""s: an emulated arm shares the machine with all who compute."""

RESET_SECONDS = 35.0
"""s that the way home may take, longer than the driver's own limit."""


@dataclass(frozen=True)
class Hardware:
    """Arguments that say which arm it is, and whether it is there.

    Attributes:
        arm: one of ``hilserl_description.models.MODELS``, which the graph says by its name.
    """

    arm: ClassVar[str] = "koch"

    sim: bool = parameter(True, "simulate the arm; false: the same as hardware:=real")
    hardware: str = parameter(
        SIM,
        "a simulated arm; one whose servos are emulated behind a serial port, in real time; or "
        "a real one",
        choices=HARDWARE,
    )
    port: str = parameter("", "the real arm's serial port, best by its name in /dev/serial/by-id")
    calibration: str = parameter(
        "", "the real arm's calibration file; empty: where calibrate puts it"
    )
    control: str = parameter(
        "driver",
        "what drives a real arm: our own driver, or ros2_control on a full ROS 2",
        choices=CONTROLS,
    )
    leader_port: str = parameter(
        "", "the serial port of a leader arm to take over with; empty: there is none"
    )
    leader_calibration: str = parameter(
        "", "the leader arm's calibration file; empty: where calibrate puts it"
    )
    jog: str = parameter(
        "none",
        "another device to take over with: a SpaceMouse at this machine, one that the spacenav "
        "package reads, or a gamepad that the joy package reads",
        choices=JOGS,
    )

    @property
    def kind(self) -> str:
        """One of ``HARDWARE``."""
        return REAL if not self.sim else self.hardware

    @property
    def follower(self) -> str:
        """The arm, as its driver calls it."""
        return f"{self.arm}_follower"


def check(arguments: Any) -> None:
    """Refuses what does not go together.

    Raises:
        UserError: says what, and the remedy.
    """
    if not arguments.sim and arguments.hardware == EMULATED:
        raise UserError(
            "argument 'sim': false means the real arm, and hardware:=emulated another: leave "
            "one of the two out"
        )
    if arguments.leader_port and is_scripted(arguments):
        raise UserError(
            "argument 'leader_port': the scripted person is the leader's device already: give "
            "operator:=keyboard as well"
        )
    if arguments.leader_port and in_lockstep(arguments):
        raise UserError(
            "argument 'leader_port': a leader arm moves by the clock: give lockstep:=false as well"
        )
    if arguments.kind != REAL:
        if arguments.control != "driver":
            raise UserError(
                "argument 'control': ros2_control drives a real arm: give sim:=false port:=PORT "
                "as well"
            )
        return
    if not arguments.port:
        raise UserError(
            "argument 'port' is needed for the real arm: its serial port, best by its name in "
            "/dev/serial/by-id ('hilserl run hilserl_drivers scan' looks at one)"
        )
    if arguments.observation == "state":
        raise UserError(
            "argument 'observation': state holds the object's pose, which only a simulation "
            "knows: use observation:=cameras"
        )
    if arguments.reward == SIM:
        raise UserError(
            "argument 'reward': sim is a simulator's judgement, and a real arm has none: use "
            "reward:=operator, or reward:=classifier classifier:=FILE"
        )


def in_lockstep(arguments: Any) -> bool:
    """Whether time waits for the commands: no port does."""
    return bool(arguments.lockstep) and arguments.kind == SIM


def is_scripted(arguments: Any) -> bool:
    """Whether the scripted person is there, who sees a simulated scene and no other."""
    return arguments.operator == "scripted" and arguments.kind != REAL


def robot_nodes(
    arguments: Any, run: Path, scene: Mapping[str, Any], pictures: Mapping[str, Any]
) -> tuple[NodeSpec, ...]:
    """The arm, and what stands around it.

    Args:
        arguments: of the graph.
        run: its folder.
        scene: parameters of a simulated scene.
        pictures: those that the parameter file may set otherwise.
    """
    if arguments.kind == SIM:
        parameters = {**scene, "arm": arguments.arm, "lockstep": in_lockstep(arguments)}
        return (NodeSpec("hilserl_sim", "mujoco_node", "mujoco_node", parameters, pictures),)
    if arguments.kind == EMULATED:
        return _emulated(arguments, run, scene, pictures)
    if arguments.control == "ros2_control":
        return _under_ros2_control(arguments)
    driver = {"port": arguments.port, "calibration": arguments.calibration}
    return (_driver({**driver, "arm": arguments.follower}),)


def _under_ros2_control(arguments: Any) -> tuple[NodeSpec, ...]:
    """The arm by ros2_control's nodes, if this machine has them."""
    arm_ros2_control.check_installed(arguments.arm)
    given, arm = arguments.calibration, arguments.arm
    calibration = Path(given) if given else default_path(arguments.follower)
    urdf = Path(hilserl_description.__file__).parent / "urdf" / f"{arm}.urdf"
    description = arm_ros2_control.expand(arm, urdf, calibration, arguments.port)
    return arm_ros2_control.arm_nodes(arm, description)


def _emulated(
    arguments: Any, run: Path, scene: Mapping[str, Any], pictures: Mapping[str, Any]
) -> tuple[NodeSpec, ...]:
    """The emulated arm, which brings its driver up once there is a port for it."""
    link = {"port": str(run / "arm.port"), "calibration": str(run / "arm.yaml")}
    parameters = {**scene, **link, "arm": arguments.arm}
    arm = NodeSpec("hilserl_sim", "emulated_node", "emulated_node", parameters, pictures)
    driver = _driver(
        {**link, "arm": arguments.follower, "autostart": False},
        {"reply_timeout": REPLY_TIMEOUT},
        # Resets go to the scene, which has the driver bring the arm home first.
        {"robot/reset": "driver_node/reset"},
    )
    return arm, driver


def _driver(
    parameters: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    remappings: Mapping[str, str] | None = None,
) -> NodeSpec:
    return NodeSpec(
        "hilserl_drivers",
        "driver_node",
        "driver_node",
        parameters,
        defaults or {},
        remappings=remappings or {},
    )


def device_nodes(arguments: Any) -> tuple[NodeSpec, ...]:
    """The devices to take over with, but for the scripted person and ``intervene``."""
    nodes: list[NodeSpec] = []
    if arguments.leader_port:
        leader = {
            "port": arguments.leader_port,
            "calibration": arguments.leader_calibration,
            "arm": f"{arguments.arm}_leader",
        }
        nodes += [
            NodeSpec(
                "hilserl_drivers",
                "driver_node",
                "leader_driver",
                leader,
                # As often as the leader is told to follow: it is not to lag, as if held.
                {"command_period": FOLLOW_PERIOD},
                namespace="leader",
            ),
            NodeSpec("hilserl_teleop", "leader_node", "leader_node", {"arm": arguments.arm}),
        ]
    if arguments.jog == "spacemouse":
        nodes.append(NodeSpec("hilserl_teleop", "spacenav_node", "spacenav_node"))
    if arguments.jog != "none":
        kind = "gamepad" if arguments.jog == "gamepad" else "spacemouse"
        nodes.append(NodeSpec("hilserl_teleop", "jog_node", "jog_node", {"kind": kind}))
    return tuple(nodes)


def mux_defaults(arguments: Any) -> dict[str, Any]:
    """Who may take over, and after which countdown."""
    countdowns = list(COUNTDOWNS)
    if is_scripted(arguments):
        countdowns[DEVICES.index(SCRIPTED)] = SCRIPTED_COUNTDOWN
    return {"devices": list(DEVICES), "countdowns": countdowns}


def policy_defaults(arguments: Any) -> dict[str, Any]:
    """Whose events count, and how long the way home may take."""
    if arguments.kind == SIM:
        return {"devices": list(DEVICES)}
    return {"devices": list(DEVICES), "reset_seconds": RESET_SECONDS}
