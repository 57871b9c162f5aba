"""The files that rviz and Foxglove open: their topics are ours, and Foxglove's layout is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from hilserl_bringup import configuration

# What the nodes publish at the root namespace.
TOPICS = {
    "/robot_description",
    "/markers",
    "/camera/front/policy",
    "/camera/wrist/policy",
    "/steps",
    "/arbitration",
}


def values(content: Any, key: str) -> Iterator[Any]:
    """All values of a key, however deep."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(content, list):
        for item in content:
            yield from values(item, key)


def test_rviz_shows_the_arm_the_markers_and_both_cameras() -> None:
    content = yaml.safe_load((configuration.share("rviz") / "arm.rviz").read_text())
    topics = {topic["Value"] for topic in values(content, "Topic")}
    topics |= {topic["Value"] for topic in values(content, "Description Topic")}
    assert topics == TOPICS - {"/steps", "/arbitration"}
    assert set(values(content, "Fixed Frame")) == {"base_link"}


def test_foxgloves_layout_shows_our_topics_in_panels_that_it_has() -> None:
    layout = json.loads((configuration.share("foxglove") / "arm.json").read_text())
    panels = set(layout["configById"])

    def leaves(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        else:
            yield from leaves(node["first"])
            yield from leaves(node["second"])

    assert sorted(leaves(layout["layout"])) == sorted(panels)
    topics = {
        str(value) for key in ("imageTopic", "topicPath", "topic") for value in values(layout, key)
    }
    topics |= {topic for found in values(layout, "topics") for topic in found}
    topics |= {
        str(path["value"]).partition(".")[0] for found in values(layout, "paths") for path in found
    }
    assert topics == TOPICS
