"""Who judges a run: the simulator, a classifier of what the cameras see, or a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hilserl_bringup.arm_hardware import DEVICES, REAL, SIM
from hilserl_bringup.node_spec import NodeSpec
from hilserl_core.errors import UserError

JUDGES = (SIM, "classifier", "operator")
_TRUTH = "reward/truth"

Nodes = Callable[[Any, Path], tuple[NodeSpec, ...]]


def judged(nodes: Nodes) -> Nodes:
    """The nodes of a graph, under the judge that its arguments ask for.

    Where another than the simulator judges, the simulator's own judgement goes aside: the
    recorder keeps it for the report, and no other node hears of it.
    """

    def with_judge(arguments: Any, run: Path) -> tuple[NodeSpec, ...]:
        if arguments.reward == SIM:
            return nodes(arguments, run)
        given = _given(arguments)
        planned = [_with(node, given.get(node.name, {})) for node in nodes(arguments, run)]
        return (*planned, _reward_node(arguments))

    return with_judge


def _given(arguments: Any) -> dict[str, dict[str, Any]]:
    """What other nodes have to know of it."""
    if arguments.kind == REAL:
        return {}  # Nobody knows the truth, and no scripted person is there.
    everything = arguments.reward == "operator"
    simulator = {"reward_topic": _TRUTH}
    return {
        "mujoco_node": simulator,
        "emulated_node": simulator,
        "recorder_node": {"judgements": ["reward", _TRUTH]},
        "operator_node": {
            "words": "always" if everything else "demonstrations",
            "overrule": not everything,
        },
    }


def _with(node: NodeSpec, parameters: Mapping[str, Any]) -> NodeSpec:
    return dataclasses.replace(node, parameters={**node.parameters, **parameters})


def _reward_node(arguments: Any) -> NodeSpec:
    parameters: dict[str, Any] = {"judge": arguments.reward}
    if arguments.reward == "classifier":
        parameters["classifier"] = str(_classifier(arguments))
    devices = {"devices": list(DEVICES)}
    return NodeSpec("hilserl_reward", "reward_node", "reward_node", parameters, devices)


def _classifier(arguments: Any) -> Path:
    """The classifier's file.

    Raises:
        UserError: none is given or there, or the policy's observations have no images.
    """
    if arguments.observation != "cameras":
        raise UserError(
            "argument 'reward': a classifier looks at images: give observation:=cameras, or "
            "reward:=sim"
        )
    if not arguments.classifier:
        raise UserError(
            "argument 'classifier' is needed: a file that 'hilserl run hilserl_reward train' wrote"
        )
    path = Path(arguments.classifier)
    if not path.is_file():
        raise UserError(f"argument 'classifier': {path} is not there: name a .safetensors file")
    return path
