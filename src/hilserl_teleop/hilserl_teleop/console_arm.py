"""The arm as a page draws it: links of primitive shapes on joints, from the URDF."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from hilserl_core.errors import UserError
from hilserl_description.arm_model import ArmModel
from hilserl_description.scenes import model_path

Numbers = list[float]


def describe_arm(arm: ArmModel, path: Path | None = None) -> dict[str, Any]:
    """The arm of a URDF, ready for JSON.

    Args:
        arm: which arm it is.
        path: of the URDF; the arm's own where none is given.

    Returns:
        ``joints``: each with name, type, parent, child, origin (xyz in m, rpy in rad), axis
        and limits [low, high] in rad; ``links``: the shapes of each link, each with xyz, rpy,
        size [x, y, z] in m and colour [r, g, b] in [0, 1]; ``workspace``: the corners, m, of
        the box that the tool's targets stay in.

    Raises:
        UserError: the file is no URDF.
    """
    path = path or model_path(f"urdf/{arm.name}.urdf")
    try:
        robot = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"{path}: cannot be read as URDF: {error}") from None
    colours = {
        material.get("name", ""): _numbers(colour.get("rgba"), 4)[:3]
        for material in robot.findall("material")
        if (colour := material.find("color")) is not None
    }
    return {
        "joints": [_joint(joint) for joint in robot.findall("joint")],
        "links": {
            link.get("name", ""): [_shape(each, colours) for each in link.findall("visual")]
            for link in robot.findall("link")
        },
        "workspace": [arm.workspace_low.tolist(), arm.workspace_high.tolist()],
    }


def _numbers(text: str | None, count: int) -> Numbers:
    return [float(word) for word in text.split()] if text else [0.0] * count


def _origin(element: Element) -> dict[str, Numbers]:
    origin = element.find("origin")
    given = origin.attrib if origin is not None else {}
    return {"xyz": _numbers(given.get("xyz"), 3), "rpy": _numbers(given.get("rpy"), 3)}


def _joint(joint: Element) -> dict[str, Any]:
    limit, axis = joint.find("limit"), joint.find("axis")
    names = {part: joint.find(part) for part in ("parent", "child")}
    return {
        "name": joint.get("name"),
        "type": joint.get("type"),
        **{part: each.get("link") if each is not None else "" for part, each in names.items()},
        **_origin(joint),
        "axis": _numbers(axis.get("xyz") if axis is not None else None, 3),
        "limits": [float(limit.get(key, 0.0)) for key in ("lower", "upper")]
        if limit is not None
        else None,
    }


def _shape(visual: Element, colours: dict[str, Numbers]) -> dict[str, Any]:
    """A visual as a box; a cylinder as the box around it."""
    box, cylinder = visual.find("geometry/box"), visual.find("geometry/cylinder")
    size = [0.0, 0.0, 0.0]
    if box is not None:
        size = _numbers(box.get("size"), 3)
    elif cylinder is not None:
        width = 2 * float(cylinder.get("radius", 0.0))
        size = [width, width, float(cylinder.get("length", 0.0))]
    material = visual.find("material")
    name = material.get("name", "") if material is not None else ""
    return {**_origin(visual), "size": size, "colour": colours.get(name, [0.5, 0.5, 0.5])}
