"""The page's files: the arm that it draws, the keys that it knows, and colours that can be read."""

import re

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.models import KOCH, MODELS
from hilserl_teleop.console_arm import describe_arm
from hilserl_teleop.console_pages import read_files
from hilserl_teleop.keymap import COMMANDS, JOG, browser_keys

# What stands on what: text needs 4.5 to 1 (WCAG 2.1, 1.4.3), edges and marks 3 to 1 (1.4.11).
TEXT = [
    *((ink, ground) for ink in ("ink", "muted") for ground in ("surface", "raised")),
    *((ink, ground) for ink in ("good", "bad", "warn") for ground in ("surface", "raised")),
    *((ink, "surface") for ink in ("policy", "human", "offline")),
    ("ink", "human-surface"),
    ("bad", "bad-surface"),
    ("warn", "warn-surface"),
    ("on-action", "action"),
    ("on-stop", "stop"),
]
MARKS = [
    *(("edge", ground) for ground in ("surface", "raised")),
    *((mark, ground) for mark in ("policy", "action", "bad") for ground in ("surface", "raised")),
    ("human", "human-surface"),
    ("stop", "surface"),
]


def schemes() -> dict[str, dict[str, str]]:
    text = read_files()["colours.css"][1].decode()
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    found = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", part)) for part in (light, dark)]
    assert found[0].keys() == found[1].keys()
    return {"light": found[0], "dark": found[1]}


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.1."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_right_at_its_ends():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (MARKS, 3.0)], ids=["text", "marks"])
def test_what_stands_on_what_can_be_told_apart(scheme, pairs, least):
    colours = schemes()[scheme]
    too_close = {
        pair: round(contrast(*(colours[name] for name in pair)), 2)
        for pair in pairs
        if contrast(*(colours[name] for name in pair)) < least
    }
    assert too_close == {}


def test_every_colour_of_the_page_is_one_of_those():
    files = read_files()
    style = files["style.css"][1].decode()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", style.split("}", 1)[1]) == []
    used = {
        name
        for _, content in files.values()
        for name in re.findall(r"""(?:var\(|["'])--([\w-]+)""", content.decode())
    }
    assert used <= schemes()["light"].keys()


def test_the_page_fetches_nothing_from_elsewhere():
    for name, (_, content) in read_files().items():
        addresses = re.findall(r"\b(?:https?:)?//[\w.-]+\.\w+", content.decode())
        assert addresses in ([], ["http://www.w3.org"]), name


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@pytest.mark.parametrize("arm", MODELS.values(), ids=list(MODELS))
def test_the_arm_that_is_drawn_stands_where_the_kinematics_say(arm):
    """The same chain as the page's: the tool's link must be where MuJoCo's model has it."""
    drawn = describe_arm(arm)
    position = dict(zip(JOINT_NAMES, arm.home, strict=True))
    frames = {"base_link": (np.eye(3), np.zeros(3))}
    for joint in drawn["joints"]:
        turn, place = frames[joint["parent"]]
        roll, pitch, yaw = joint["rpy"]
        x, y, z = np.eye(3)
        own = rotation(z, yaw) @ rotation(y, pitch) @ rotation(x, roll)
        angle = position.get(joint["name"], 0.0)
        axis = np.array(joint["axis"])
        there = place + turn @ np.array(joint["xyz"])
        frames[joint["child"]] = (turn @ own @ rotation(axis, angle), there)
    _, tool = frames["tool"]
    np.testing.assert_allclose(tool, ForwardKinematics(arm).position(arm.home), atol=1e-6)
    limits = {joint["name"]: joint["limits"] for joint in drawn["joints"] if joint["limits"]}
    assert limits == {joint.name: [joint.low, joint.high] for joint in arm.joints}
    assert all(min(shape["size"]) > 0 for shapes in drawn["links"].values() for shape in shapes)


def test_what_is_no_urdf_is_refused(tmp_path):
    for text in ("", "<robot", "\0"):
        (tmp_path / "arm.urdf").write_text(text)
        with pytest.raises(UserError, match=r"arm\.urdf: cannot be read as URDF"):
            describe_arm(KOCH, tmp_path / "arm.urdf")


def test_the_browsers_keys_are_the_terminals():
    keys = browser_keys()
    assert keys["jog"]["w"] == [1, 1.0]
    assert keys["jog"]["ArrowLeft"] == [0, -1.0]
    assert keys["jog"]["PageUp"] == [2, 1.0]
    assert len(keys["jog"]) == len(JOG["ee_delta"])
    assert keys["commands"]["Escape"] == "stop"
    assert keys["commands"][" "] == "toggle"
    assert "\r" not in keys["commands"]
    assert set(keys["commands"].values()) == {c.value for c in COMMANDS.values()} - {
        *("leader arm", "quit", "interrupt"),
    }
