"""What ``play`` publishes of a bag, in order: its messages, and what its steps hold."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from hilserl_core.errors import UserError
from hilserl_core.images import to_image
from hilserl_core.messages import doubles
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Episode, Step
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_replay.bag_message import BagMessage
from hilserl_replay.bag_reader import is_bag, open_bag
from hilserl_replay.bags import STEPS_TOPIC, episode_folders, read_episode, type_name
from hilserl_replay.layout import Layout, layout
from hilserl_replay.message_definitions import message_definition
from hilserl_replay.selection import check_run

# What a robot, a learner or a recorder that is running would take for its own.
_HEARD = (
    *("*/commands", "*/cmd_vel", "*/joint_trajectory", "*/action", "*/policy_action"),
    *("*/event", "*/weights", f"*/{STEPS_TOPIC}"),
)


@dataclass(frozen=True)
class Played:
    """One message to publish.

    Attributes:
        topic: its name, absolute.
        type: ``package/msg/Type``.
        type_hash: of the definition that it was recorded with; empty where that is not known.
        stamp: ns.
        read: gives its CDR bytes.
    """

    topic: str
    type: str
    type_hash: str
    stamp: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Choice:
    """Which topics are played.

    Attributes:
        patterns: shell patterns of topic names, as ``camera/*``; none: every topic that no
            running robot or learner would act on.
        namespace: put before every topic.
    """

    patterns: tuple[str, ...] = ()
    namespace: str = ""

    def plays(self, topic: str) -> bool:
        """Whether a topic, by its absolute name, is played."""
        if not self.patterns:
            return not any(fnmatch.fnmatch(topic, pattern) for pattern in _HEARD)
        return any(
            fnmatch.fnmatch(topic, pattern if pattern.startswith("/") else f"*/{pattern}")
            for pattern in self.patterns
        )

    def name(self, topic: str) -> str:
        """Under which name it is."""
        prefix = self.namespace.strip("/")
        return f"/{prefix}{topic}" if prefix else topic


def folders(path: Path, start: int = 0) -> list[Path]:
    """The bags of a run from the episode of number ``start`` on, or the one bag of ``path``.

    Raises:
        UserError: it is neither, or has no such episode.
    """
    if is_bag(path):
        return [path]
    check_run(path)
    found = [folder for folder in episode_folders(path) if int(folder.name) >= start]
    if not found:
        raise UserError(f"{path}: no episode from number {start} on: give a lower --start")
    return found


def messages(folder: Path) -> list[Played]:
    """A bag's messages by stamp, with those that its steps hold.

    A step gives its images, on ``camera/NAME/policy``, where the bag has no such topic, and its
    joints' positions and velocities on ``joint_states``, likewise.

    Raises:
        UserError: it is not a bag, or is damaged.
    """
    found = [_recorded(message) for message in open_bag(folder).messages()]
    topics = {message.topic for message in found}
    steps = [topic for topic in topics if topic.endswith(f"/{STEPS_TOPIC}")]
    for topic in steps:
        namespace = topic.removesuffix(STEPS_TOPIC)
        made = _of_steps(read_episode(folder), namespace)
        found += [message for message in made if message.topic not in topics]
    return sorted(found, key=lambda message: message.stamp)


def _recorded(message: BagMessage) -> Played:
    def read() -> bytes:
        return message.data

    return Played(message.topic, message.type, message.type_hash, message.stamp, read)


def _made(topic: str, message: Image | JointState) -> Played:
    data = serialize_message(message)
    stamp = stamp_to_ns(message.header.stamp)
    return Played(topic, type_name(type(message)), "", stamp, lambda: data)


def _of_steps(episode: Episode, namespace: str) -> Iterator[Played]:
    names = layout(episode)
    for step in episode.steps:
        stamp = step.observation.stamp
        for name, image in zip(names.images, step.observation.images, strict=True):
            yield _made(f"{namespace}camera/{name}/policy", to_image(image, stamp, name))
        if names.joints is not None:
            yield _made(f"{namespace}joint_states", _joint_state(step, names))


def _joint_state(step: Step, names: Layout) -> JointState:
    state = step.observation.state
    message = JointState(name=list(JOINT_NAMES), position=doubles(state[names.joints]))
    velocity = [i for i, name in enumerate(names.state) if name.startswith("joint_velocity.")]
    message.velocity = doubles(state[velocity])
    message.header.stamp = ns_to_stamp(step.observation.stamp)
    return message


def message_class(name: str) -> type[Any] | None:
    """The class of ``package/msg/Type``; None where that is not installed."""
    package, _, kind = name.split("/") if name.count("/") == 2 else ("", "", "")
    try:
        found: type[Any] = getattr(importlib.import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError, ValueError):
        return None
    return found


def playable(found: Sequence[Played], choice: Choice) -> tuple[list[Played], list[str]]:
    """Those messages that are chosen and can be published, under their new names.

    Returns:
        The messages, and in words what of the bag is left out and why.
    """
    reasons: dict[str, str] = {}
    for message in found:
        if message.topic not in reasons:
            reasons[message.topic] = _left_out(message, choice)
    kept = [
        replace(message, topic=choice.name(message.topic))
        for message in found
        if not reasons[message.topic]
    ]
    return kept, [f"{topic}: {reason}" for topic, reason in sorted(reasons.items()) if reason]


def _left_out(message: Played, choice: Choice) -> str:
    """Why a message's topic is not played; empty where it is."""
    if not choice.plays(message.topic):
        return "not chosen" if choice.patterns else "somebody might act on it; name it in --topics"
    if message_class(message.type) is None:
        return f"its type {message.type or 'is unknown'} is not installed"
    if message.type_hash not in ("", message_definition(message.type).hash):
        return f"recorded with another definition of {message.type}"
    return ""
