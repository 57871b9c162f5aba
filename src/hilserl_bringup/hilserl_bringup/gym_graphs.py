"""The graph that trains in a Gymnasium environment, which stands in for the robot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hilserl_bringup.graph import Graph
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.training import Learning, RunArguments, curve_nodes, learner, schedule
from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_core.spec_file import FILE, dump_specs
from hilserl_learner.presets import SUITED
from hilserl_sim.gym_settings import GymSettings

_DEVICES = ("leader",)  # of whoever can show the task
_RATE = 10.0  # actions a second of simulated time


@dataclass(frozen=True)
class GymTrain(RunArguments, GymSettings, Learning):
    """Arguments of gym_train."""

    env: str = parameter(
        "gym_pusht/PushT-v0", "Gymnasium environment, as gym_pusht/PushT-v0 or MODULE:ID"
    )
    episode_seconds: float = parameter(
        15.0,
        "longest episode, s of simulated time, in which an action takes 0.1 s",
        low=0.5,
        high=3600.0,
    )

    @property
    def task(self) -> str:
        """For a new run's name."""
        return self.env.rpartition("/")[2].replace(":", "-")

    @property
    def observation(self) -> str:
        """The same."""
        return "gym"


def _nodes(arguments: GymTrain, run: Path) -> tuple[NodeSpec, ...]:
    """Demonstrations, where somebody can show the task; training with help; then evaluation."""
    time = {"lockstep": True, "use_sim_time": True}
    robot = {"specs": str(run / FILE)}
    environment = {
        "env": arguments.env,
        "env_settings": list(arguments.env_settings) or [""],
        "ranges": list(arguments.ranges) or [""],
        "view": arguments.view,
        "view_settings": list(arguments.view_settings) or [""],
        "intervene": arguments.intervene,
        "episode_ticks": round(arguments.episode_seconds * _RATE),
    }
    mux = {**time, **robot, "devices": list(_DEVICES), "lockstep_devices": list(_DEVICES)}
    policy = {
        **time,
        **robot,
        **schedule(arguments),
        "run": str(run),
        "task": arguments.task,
        "seed": arguments.seed,
        "devices": list(_DEVICES),
        "episode_seconds": arguments.episode_seconds,
        "demonstration_seconds": arguments.episode_seconds,
    }
    # Whoever shows the task may be as quick as anybody can be.
    defaults = {"cycle_ratio": 0.0}
    suited = SUITED.get(arguments.env, {}) if arguments.view == "auto" else {}
    return (
        NodeSpec(
            "hilserl_replay",
            "recorder_node",
            "recorder_node",
            {"run": str(run)},
            {"record_cameras": [""], "devices": list(_DEVICES)},
        ),
        learner(arguments, run, robot, lockstep=True, suited=suited),
        NodeSpec("hilserl_sim", "gym_node", "gym_node", {"use_sim_time": True, **environment}),
        NodeSpec("hilserl_teleop", "mux_node", "mux_node", mux),
        NodeSpec("hilserl_policy", "policy_node", "policy_node", policy, defaults, ends_run=True),
        *curve_nodes(arguments, run),
    )


def _files(arguments: GymTrain) -> dict[str, bytes]:
    """What observations and actions are: the environment is made once to know.

    Raises:
        UserError: it cannot be made, or nobody can show it and no demonstrations are given.
    """
    world, demonstrator = arguments.make()
    world.close()
    if demonstrator is None and not arguments.demonstrations:
        raise UserError(
            f"nobody here can show environment '{arguments.env}': give demonstrations:=RUN, or use "
            "train_offline, which can do without"
        )
    return {FILE: dump_specs(world.observation_spec, world.action_spec)}


GRAPHS = {
    "gym_train": Graph(
        "gym_train",
        "Train in a Gymnasium environment, then evaluate.",
        GymTrain,
        _nodes,
        ("hilserl_replay", "report"),
        _files,
    )
}
