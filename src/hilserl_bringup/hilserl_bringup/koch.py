"""The Koch arm's graphs: recording demonstrations, training, and a trained policy at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilserl_bringup import koch_hardware
from hilserl_bringup.action_space import ACTION_SPACES, EE_DELTA, in_action_space
from hilserl_bringup.graph import Graph, named_run
from hilserl_bringup.koch_cameras import camera_nodes, camera_parameter, config_parameter
from hilserl_bringup.koch_hardware import SCRIPTED, Hardware
from hilserl_bringup.koch_reward import JUDGES, judged
from hilserl_bringup.koch_views import with_views
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_core.run import ALGORITHMS
from hilserl_learner.presets import PRESETS

# Of the scenes and networks, again: importing these would load much to print a help text.
TASKS = ("reach", "lift_cube", "push_cube", "pick_place", "insert_peg")
SCENES = ("plain", "hard")
OBSERVATIONS = ("state", "cameras")
CAMERAS = ("front", "wrist")
REGIONS = ("whole", "left", "right")
ENCODERS = ("learned", "end_to_end", "pretrained")


@dataclass(frozen=True)
class Common(Hardware):
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
    seed: int = parameter(1, "seed of scenes, networks and samplers", low=0, high=2**31 - 1)
    run: str = parameter(
        "",
        "the run's name under runs/, or its path; an existing one is resumed; empty: a new one",
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
    config: str = parameter("", "a ROS parameter file in place of the graph's own")
    panel: bool = parameter(True, "show the live panel where the output is a terminal")
    rviz: bool = parameter(
        False, "publish the arm's description and markers, and open rviz where it is installed"
    )
    tensorboard: bool = parameter(True, "draw curves into the run's folder tensorboard")
    wandb: str = parameter(
        "off",
        "Weights & Biases: not at all, into the run's folder wandb, or sent as the run goes",
        choices=("off", "offline", "online"),
    )
    console: bool = parameter(True, "serve the operator's console, a web page")
    console_port: int = parameter(8080, "of the console's page", low=1, high=65535)
    console_host: str = parameter(
        "127.0.0.1", "address at which the console listens; 0.0.0.0: all, with a token"
    )


@dataclass(frozen=True)
class Record(Common):
    """Arguments of koch_record."""

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
class Train(Common):
    """Arguments of koch_train."""

    demos: int = parameter(20, "demonstrations to record first, where none are given", low=1)
    demonstrations: str = parameter("", "a run whose demonstrations to use, by name or path")
    train_minutes: float = parameter(
        4.5,
        "limit of training, its evaluations included, min",
        low=0.05,
        high=100_000.0,
    )
    train_episodes: int = parameter(
        0,
        "training episodes after which the last evaluations begin; 0: time alone limits training",
        low=0,
    )
    intervene: bool = parameter(True, "the operator helps while the policy trains")
    algorithm: str = parameter(
        "rlpd",
        "reinforcement learning; or cloning alone, with every correction as it comes (hg_dagger) "
        "or from the demonstrations (bc)",
        choices=ALGORITHMS,
    )
    encoder: str = parameter(
        "learned",
        "what makes features of images: a network trained on the run's own, one that the critics "
        "train, or a frozen backbone under a trained head",
        choices=ENCODERS,
    )
    preset: str = parameter(
        "default",
        "published settings of the learner; the parameter file's go before them",
        choices=tuple(PRESETS),
    )
    evaluation_episodes: int = parameter(50, "episodes of each evaluation", low=1)
    target_success: float = parameter(
        0.95, "success rate that two evaluations in a row must reach", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class Run(Common):
    """Arguments of koch_run."""

    policy: str = parameter("", "the run whose trained policy to use, by name or path")
    episodes: int = parameter(10, "episodes to do; 0: until stopped", low=0)
    intervene: bool = parameter(True, "the operator may take over")


def _existing(name: str, text: str, holding: str) -> Path:
    """The folder of an existing run.

    Raises:
        UserError: there is no such run, or it does not hold what is needed.
    """
    path = named_run(text)
    if not (path / holding).exists():
        raise UserError(f"argument '{name}': {path} holds no {holding}: name a run that does")
    return path


def _ticks(arguments: Common) -> dict[str, Any]:
    """How a node's time goes."""
    lockstep = koch_hardware.in_lockstep(arguments)
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
        *koch_hardware.robot_nodes(arguments, run, scene, pictures),
        *koch_hardware.device_nodes(arguments),
    )
    mux, devices = _ticks(arguments), koch_hardware.mux_defaults(arguments)
    if not koch_hardware.is_scripted(arguments):
        # Nobody answers every frame, so no tick may wait for a device.
        mux = {**mux, "lockstep_devices": [""]}
        return *arm, NodeSpec("hilserl_teleop", "mux_node", "mux_node", mux, devices)
    # A person at any other device goes before the scripted one.
    mux = {**mux, "yielding_devices": [SCRIPTED]}
    operator = {
        **_ticks(arguments),
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
        {"record_cameras": pictures, "devices": list(koch_hardware.DEVICES)},
    )


def _policy(arguments: Common, run: Path, **own: Any) -> NodeSpec:
    parameters = {
        **_ticks(arguments),
        "run": str(run),
        "task": arguments.task,
        "observation": arguments.observation,
        "seed": arguments.seed,
        **own,
    }
    defaults = koch_hardware.policy_defaults(arguments)
    return NodeSpec(
        "hilserl_policy", "policy_node", "policy_node", parameters, defaults, ends_run=True
    )


@with_views
def record_nodes(arguments: Record, run: Path) -> tuple[NodeSpec, ...]:
    """The operator demonstrates every episode; nobody learns."""
    koch_hardware.check(arguments)
    return (
        _recorder(arguments, run),
        *_robot_and_people(arguments, run, intervene=True),
        _policy(arguments, run, mode="record", demos=arguments.demos),
    )


@with_views
def train_nodes(arguments: Train, run: Path) -> tuple[NodeSpec, ...]:
    """Demonstrations, where none are given; then training with help; then evaluation."""
    koch_hardware.check(arguments)
    demonstrations = ""
    if arguments.demonstrations:
        demonstrations = str(_existing("demonstrations", arguments.demonstrations, "episodes"))
    learner: dict[str, Any] = {
        "run": str(run),
        "observation": arguments.observation,
        "seed": arguments.seed,
        "demonstrations": demonstrations,
        "algorithm": arguments.algorithm,
        "encoder": arguments.encoder,
    }
    if koch_hardware.in_lockstep(arguments):
        # No arm waits in real time, and simulation would leave a nicer process nothing.
        learner |= {"niceness": 0, "encoder_niceness": 0}
    return (
        _recorder(arguments, run),
        NodeSpec(
            "hilserl_learner",
            "learner_node",
            "learner_node",
            learner,
            PRESETS[arguments.preset],
        ),
        *_robot_and_people(arguments, run, arguments.intervene),
        _policy(
            arguments,
            run,
            mode="train",
            algorithm=arguments.algorithm,
            demonstrations=demonstrations,
            demos=0 if demonstrations else arguments.demos,
            train_minutes=arguments.train_minutes,
            train_episodes=arguments.train_episodes,
            evaluation_episodes=arguments.evaluation_episodes,
            target_success=arguments.target_success,
        ),
    )


@with_views
def run_nodes(arguments: Run, run: Path) -> tuple[NodeSpec, ...]:
    """A trained policy drives; the operator may take over; nobody learns."""
    koch_hardware.check(arguments)
    if not arguments.policy:
        raise UserError("argument 'policy' is needed: the run whose policy to use, policy:=NAME")
    policy = _existing("policy", arguments.policy, "checkpoints")
    return (
        _recorder(arguments, run),
        *_robot_and_people(arguments, run, arguments.intervene),
        _policy(arguments, run, mode="run", policy=str(policy), episodes=arguments.episodes),
    )


GRAPHS = {
    graph.name: graph
    for graph in (
        Graph(
            "koch_record",
            "Record demonstrations; nobody learns.",
            Record,
            in_action_space(judged(record_nodes)),
            ("hilserl_replay", "inspect"),
        ),
        Graph(
            "koch_train",
            "Train a policy from demonstrations and interventions, then evaluate it.",
            Train,
            in_action_space(judged(train_nodes)),
            ("hilserl_replay", "report"),
        ),
        Graph(
            "koch_run",
            "Let a trained policy work, the operator able to take over; nobody learns.",
            Run,
            in_action_space(judged(run_nodes)),
            ("hilserl_replay", "inspect"),
        ),
    )
}
