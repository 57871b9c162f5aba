"""No node of ours has a member that hides one of rclpy's own.

One that did answered no ``ros2 param`` and died of the question.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.lifecycle import LifecycleNode

from runs import ROOT

TRANSITIONS = {f"on_{name}" for name in ("configure", "activate", "deactivate", "cleanup")} | {
    "on_shutdown",
    "on_error",
    # Overridden: a transition that the state does not have is refused, where rclpy would raise.
    "_LifecycleNodeMixin__change_state",
}


def node_classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(ROOT.glob("src/hilserl_*/hilserl_*/**/*.py")):
        for each in ast.walk(ast.parse(path.read_text())):
            if isinstance(each, ast.ClassDef) and any(
                ast.unparse(base) in ("Node", "LifecycleNode") for base in each.bases
            ):
                yield each.name, each


def members(node: ast.ClassDef) -> set[str]:
    """Methods, and what is assigned to self."""
    result = {each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef)}
    return result | {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and ast.unparse(each.value) == "self"
    }


@pytest.fixture(scope="module")
def taken() -> set[str]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = LifecycleNode("names", context=context)
    names = set(vars(node)) | set(dir(LifecycleNode))
    node.destroy_node()
    rclpy.shutdown(context=context)
    return names - set(dir(object)) - TRANSITIONS


def test_no_member_hides_one_of_rclpy(taken: set[str]) -> None:
    found = dict(node_classes())
    assert {"MuxNode", "DriverNode", "PolicyNode", "Intervene"} <= set(found)
    assert "_parameters" in taken
    assert {name: members(each) & taken for name, each in found.items()} == {
        name: set() for name in found
    }
