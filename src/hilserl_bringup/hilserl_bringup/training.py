"""What every graph has in common that makes a run, and every one that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilserl_bringup.graph import named_run
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core.errors import UserError
from hilserl_core.parameters import parameter
from hilserl_core.run import ALGORITHMS
from hilserl_learner.presets import PRESETS
from hilserl_replay.curve_sinks import check_wandb

# Of the networks, again: importing these would load much to print a help text.
ENCODERS = ("learned", "end_to_end", "pretrained")


@dataclass(frozen=True)
class RunArguments:
    """Arguments of every run."""

    seed: int = parameter(1, "seed of scenes, networks and samplers", low=0, high=2**31 - 1)
    run: str = parameter(
        "",
        "the run's name under runs/, or its path; an existing one is resumed; empty: a new one",
    )
    config: str = parameter("", "a ROS parameter file in place of the graph's own")
    panel: bool = parameter(True, "show the live panel where the output is a terminal")
    tensorboard: bool = parameter(True, "draw curves into the run's folder tensorboard")
    wandb: str = parameter(
        "off",
        "Weights & Biases: not at all, into the run's folder wandb, or sent as the run goes",
        choices=("off", "offline", "online"),
    )


@dataclass(frozen=True)
class Learning:
    """Arguments of graphs that train."""

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


def existing(name: str, text: str, holding: str) -> Path:
    """The folder of an existing run.

    Raises:
        UserError: there is no such run, or it does not hold what is needed.
    """
    path = named_run(text)
    if not (path / holding).exists():
        raise UserError(f"argument '{name}': {path} holds no {holding}: name a run that does")
    return path


def demonstrations_of(arguments: Any) -> str:
    """The folder of the run whose demonstrations are used; empty: they are recorded first.

    Raises:
        UserError: there is no such run.
    """
    given = arguments.demonstrations
    return str(existing("demonstrations", given, "episodes")) if given else ""


def learner(
    arguments: Any,
    run: Path,
    robot: Mapping[str, Any],
    lockstep: bool,
    suited: Mapping[str, Any] | None = None,
) -> NodeSpec:
    """The learner's node.

    Args:
        arguments: of the graph, ``RunArguments`` and ``Learning`` among them.
        run: the run's folder.
        robot: parameters that say what observations and actions are.
        lockstep: the robot waits for each command.
        suited: settings that suit what is learned; a preset goes before them.
    """
    parameters: dict[str, Any] = {
        **robot,
        "run": str(run),
        "seed": arguments.seed,
        "demonstrations": demonstrations_of(arguments),
        "algorithm": arguments.algorithm,
        "encoder": arguments.encoder,
    }
    if lockstep:
        # No arm waits in real time, and simulation would leave a nicer process nothing.
        parameters |= {"niceness": 0, "encoder_niceness": 0}
    defaults = {**(suited or {}), **PRESETS[arguments.preset]}
    return NodeSpec("hilserl_learner", "learner_node", "learner_node", parameters, defaults)


def schedule(arguments: Any) -> dict[str, Any]:
    """The policy node's parameters that say what is done in which order, and for how long."""
    demonstrations = demonstrations_of(arguments)
    return {
        "mode": "train",
        "algorithm": arguments.algorithm,
        "demonstrations": demonstrations,
        "demos": 0 if demonstrations else arguments.demos,
        "train_minutes": arguments.train_minutes,
        "train_episodes": arguments.train_episodes,
        "evaluation_episodes": arguments.evaluation_episodes,
        "target_success": arguments.target_success,
    }


def curve_nodes(arguments: Any, run: Path) -> tuple[NodeSpec, ...]:
    """What draws curves, unless nobody wants any.

    Raises:
        UserError: Weights & Biases is asked for and not installed.
    """
    check_wandb(arguments.wandb)
    if not arguments.tensorboard and arguments.wandb == "off":
        return ()
    parameters = {
        "run": str(run),
        "tensorboard": arguments.tensorboard,
        "wandb": arguments.wandb,
    }
    return (NodeSpec("hilserl_replay", "curves_node", "curves_node", parameters, watches=True),)
