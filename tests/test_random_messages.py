"""A whole run whose every topic is sent messages that mean nothing: no node may end of them."""

from __future__ import annotations

import importlib
import math
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from runs import Run

ROUNDS = 80
LENGTHS = (0, 1, 2, 4, 6, 7, 20)
FLOATS = (0.0, 0.3, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e30)
WORDS = ("", "shoulder_pan", "gripper", "keyboard", "rgb8", "/x", "é\n", "x" * 3000)
SEEN_BY_ALL = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def message_class(name: str) -> type[Any]:
    package, _, kind = name.rpartition("/")
    return getattr(importlib.import_module(f"{package.partition('/')[0]}.msg"), kind)


def number(kind: str, rng: random.Random) -> int:
    bits = int(kind.lstrip("uint"))
    low = 0 if kind.startswith("u") else -(2 ** (bits - 1))
    high = low + 2**bits - 1
    return rng.choice([0, 1, 2, 3, low, high, rng.randint(low, high)])


def value(kind: str, rng: random.Random) -> Any:
    """Anything of a field's type, as ``get_fields_and_field_types`` writes it."""
    if many := re.fullmatch(r"(.+)\[(\d+)\]|sequence<([^,]+).*>", kind):
        length = int(many[2]) if many[2] else rng.choice(LENGTHS)
        return [value(many[1] or many[3], rng) for _ in range(length)]
    if kind in ("double", "float"):
        return rng.choice(FLOATS)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "octet":
        return bytes([rng.randrange(256)])
    if kind.startswith("string"):
        return rng.choice(WORDS)
    return anything(message_class(kind), rng) if "/" in kind else number(kind, rng)


def anything(kind: type[Any], rng: random.Random) -> Any:
    """A message with anything in most of its fields."""
    fields = kind.get_fields_and_field_types().items()
    return kind(**{name: value(of, rng) for name, of in fields if rng.random() < 0.85})


def listened_to(node: Node) -> dict[str, type[Any]]:
    own = ("/rosout", "/parameter_events")
    return {
        topic: message_class(kinds[0])
        for topic, kinds in node.get_topic_names_and_types()
        if topic not in own and node.count_subscribers(topic) and "_event" not in topic
    }


@pytest.fixture
def node() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    result = rclpy.create_node("anybody", context=context)
    yield result
    result.destroy_node()
    rclpy.shutdown(context=context)


def test_no_message_ends_a_node(node: Node, tmp_path: Path) -> None:
    run = Run("koch_record", tmp_path / "run", hardware="emulated", operator="keyboard")
    try:
        names = ("driver_node", "mux_node", "policy_node", "recorder_node", "console_node")
        run.until(lambda: all(name in node.get_node_names() for name in names[:3]), 40)
        run.until(lambda: node.count_publishers("steps") and node.count_subscribers("steps"), 40)
        time.sleep(2.0)  # Until the last of the subscriptions is seen here.
        before = {name: run.node(name).pid for name in names}
        topics = listened_to(node)
        assert {"/steps", "/action", "/run/status", "/joint_states", "/arbitration"} <= set(topics)
        publishers = [
            (kind, node.create_publisher(kind, topic, SEEN_BY_ALL))
            for topic, kind in topics.items()
        ]
        rng = random.Random(0)
        for _ in range(ROUNDS):
            for kind, publisher in publishers:
                publisher.publish(anything(kind, rng))
            time.sleep(0.02)
        time.sleep(2.0)
        assert run.process.poll() is None, run.output[-3000:]
        assert {name: run.node(name).pid for name in names} == before, run.output[-3000:]
        assert "Traceback" not in run.output
    finally:
        run.stop()
