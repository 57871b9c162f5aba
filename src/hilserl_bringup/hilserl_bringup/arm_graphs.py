"""The graphs of each arm: recording demonstrations, training, and a trained policy at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilserl_bringup import arm_hardware
from hilserl_bringup.action_space import ACTION_SPACES, EE_DELTA, in_action_space
from hilserl_bringup.arm_cameras import camera_nodes, camera_parameter, config_parameter
from hilserl_bringup.arm_hardware import SCRIPTED, Hardware
from hilserl_bringup.arm_reward import JUDGES, judged
from hilserl_bringup.arm_views import with_views
from hilserl_bringup.graph import Graph
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.training import Learning, RunArguments, existing, learner, schedule
from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter

# Of the scenes and networks, again: importing these would load much to print a help text.
ARMS = ("koch", "so101")
TASKS = ("reach", "lift_cube", "push_cube", "pick_place", "insert_peg")
SCENES = ("plain", "hard")
OBSERVATIONS = ("state", "cameras")
CAMERAS = ("front", "wrist")
REGIONS = ("whole", "left", "right")


@dataclass(frozen=True)
class Common(Hardware, RunArguments):
    """Arguments of every graph."""

    task: str = parameter("lift_cube", "what the arm is to do", choices=TASKS)
    observation: str = parameter("state", "what the policy sees", choices=OBSERVATIONS)
    action_space: str = parameter(
        EE_DELTA, "what actions move: the tool, or each joint", choices=ACTION_SPACES
    )
    scene: str = parameter(
        "plain",
        "how the simulated scene looks: the same always, or another in every episode",
        choices=SCENES,
    )
    lockstep: bool = parameter(
        True, "a simulated arm waits for each command: faster than real time, repeatable"
    )
    operator: str = parameter(
        "scripted",
        "who demonstrates and helps: the scripted person, who needs a simulated scene, or only "
        "whoever runs intervene",
        choices=("scripted", "keyboard"),
    )
    front_camera: str = camera_parameter("front")
    wrist_camera: str = camera_parameter("wrist")
    camera_config: str = config_parameter()
    reward: str = parameter(
        "sim",
        "who judges: the simulator, where there is one, a classifier of the images (see "
        "'classifier'), or the operator",
        choices=JUDGES,
    )
    classifier: str = parameter("", "the classifier's file, where it judges")
    rviz: bool = parameter(
        False, "publish the arm's description and markers, and open rviz where it is installed"
    )
    console: bool = parameter(True, "serve the operator's console, a web page")
    console_port: int = parameter(8080, "of the console's page", low=1, high=65535)
    console_host: str = parameter(
        "127.0.0.1", "address at which the console listens; 0.0.0.0: all, with a token"
    )


@dataclass(frozen=True)
class Record(Common):
    """Arguments of graphs that record."""

    demos: int = parameter(20, "demonstrations to record", low=1)
    failures: float = parameter(
        0.0,
        "share of episodes that the scripted operator spoils on purpose, for a classifier to see "
        "what is no success",
        low=0.0,
        high=0.95,
    )
    region: str = parameter(
        "left",
        "half of the patch where a simulated object lies while somebody demonstrates",
        choices=REGIONS,
    )


@dataclass(frozen=True)
class Train(Common, Learning):
    """Arguments of graphs that train."""


@dataclass(frozen=True)
class Run(Common):
    """Arguments of graphs where a policy works."""

    policy: str = parameter("", "the run whose trained policy to use, by name or path")
    episodes: int = parameter(10, "episodes to do; 0: until stopped", low=0)
    intervene: bool = parameter(True, "the operator may take over")


def _ticks(arguments: Common) -> dict[str, Any]:
    """How a node's time goes."""
    lockstep = arm_hardware.in_lockstep(arguments)
    return {"lockstep": lockstep, "use_sim_time": lockstep}


def _robot_and_people(arguments: Common, run: Path, intervene: bool) -> tuple[NodeSpec, ...]:
    """The arm, who may drive it, and who decides."""
    scene: dict[str, Any] = {"task": arguments.task, "scene": arguments.scene}
    if isinstance(arguments, Record):
        scene["demonstration_region"] = arguments.region
    pictures: dict[str, Any] = {}
    sees = arguments.observation == "cameras"
    if sees:
        scene["cameras"] = list(CAMERAS)
    else:
        pictures["cameras"] = list(CAMERAS[:1])  # to look at: the policy sees the state
    arm = (
        *camera_nodes(arguments, CAMERAS if sees else ()),
        *arm_hardware.robot_nodes(arguments, run, scene, pictures),
        *arm_hardware.device_nodes(arguments),
    )
    mux = {**_ticks(arguments), "arm": arguments.arm}
    devices = arm_hardware.mux_defaults(arguments)
    if not arm_hardware.is_scripted(arguments):
        # Nobody answers every frame, so no tick may wait for a device.
        mux = {**mux, "lockstep_devices": [""]}
        return *arm, NodeSpec("hilserl_teleop", "mux_node", "mux_node", mux, devices)
    # A person at any other device goes before the scripted one.
    mux = {**mux, "yielding_devices": [SCRIPTED]}
    operator = {
        **_ticks(arguments),
        "arm": arguments.arm,
        "task": arguments.task,
        "seed": arguments.seed,
        "intervene": intervene,
    }
    if isinstance(arguments, Record):
        operator["failures"] = arguments.failures
    return (
        *arm,
        NodeSpec("hilserl_sim", "operator_node", "operator_node", operator),
        NodeSpec("hilserl_teleop", "mux_node", "mux_node", mux, devices),
    )


def _recorder(arguments: Common, run: Path) -> NodeSpec:
    # A policy that sees has its images in every step; else there are pictures to look at.
    pictures = [""] if arguments.observation == "cameras" else list(CAMERAS[:1])
    return NodeSpec(
        "hilserl_replay",
        "recorder_node",
        "recorder_node",
        {"run": str(run)},
        {"record_cameras": pictures, "devices": list(arm_hardware.DEVICES)},
    )


def _policy(arguments: Common, run: Path, **own: Any) -> NodeSpec:
    parameters = {
        **_ticks(arguments),
        "run": str(run),
        "arm": arguments.arm,
        "task": arguments.task,
        "observation": arguments.observation,
        "seed": arguments.seed,
        **own,
    }
    defaults = arm_hardware.policy_defaults(arguments)
    return NodeSpec(
        "hilserl_policy", "policy_node", "policy_node", parameters, defaults, ends_run=True
    )


@with_views
def record_nodes(arguments: Record, run: Path) -> tuple[NodeSpec, ...]:
    """The operator demonstrates every episode; nobody learns."""
    arm_hardware.check(arguments)
    return (
        _recorder(arguments, run),
        *_robot_and_people(arguments, run, intervene=True),
        _policy(arguments, run, mode="record", demos=arguments.demos),
    )


@with_views
def train_nodes(arguments: Train, run: Path) -> tuple[NodeSpec, ...]:
    """Demonstrations, where none are given; then training with help; then evaluation."""
    arm_hardware.check(arguments)
    robot = {"arm": arguments.arm, "observation": arguments.observation}
    return (
        _recorder(arguments, run),
        learner(arguments, run, robot, arm_hardware.in_lockstep(arguments)),
        *_robot_and_people(arguments, run, arguments.intervene),
        _policy(arguments, run, **schedule(arguments)),
    )


@with_views
def run_nodes(arguments: Run, run: Path) -> tuple[NodeSpec, ...]:
    """A trained policy drives; the operator may take over; nobody learns."""
    arm_hardware.check(arguments)
    if not arguments.policy:
        raise UserError("argument 'policy' is needed: the run whose policy to use, policy:=NAME")
    policy = existing("policy", arguments.policy, "checkpoints")
    return (
        _recorder(arguments, run),
        *_robot_and_people(arguments, run, arguments.intervene),
        _policy(arguments, run, mode="run", policy=str(policy), episodes=arguments.episodes),
    )


def _of(arm: str, arguments: type[Common]) -> type[Common]:
    """The arguments of an arm's graph."""
    return type(arguments.__name__, (arguments,), {"arm": arm, "__doc__": arguments.__doc__})


def _graphs(arm: str) -> tuple[Graph, ...]:
    """What can be done with an arm."""
    return (
        Graph(
            f"{arm}_record",
            "Record demonstrations; nobody learns.",
            _of(arm, Record),
            in_action_space(judged(record_nodes)),
            ("hilserl_replay", "inspect"),
        ),
        Graph(
            f"{arm}_train",
            "Train a policy from demonstrations and interventions, then evaluate it.",
            _of(arm, Train),
            in_action_space(judged(train_nodes)),
            ("hilserl_replay", "report"),
        ),
        Graph(
            f"{arm}_run",
            "Let a trained policy work, the operator able to take over; nobody learns.",
            _of(arm, Run),
            in_action_space(judged(run_nodes)),
            ("hilserl_replay", "inspect"),
        ),
    )


GRAPHS = {graph.name: graph for arm in ARMS for graph in _graphs(arm)}
