"""A parameter changed in a ROS parameter file, and all else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_core.parameter_file import PARAMETERS, read, set_numbers

REGION = [1, 2, 30, 40]


def kept(path: Path, text: str, node: str = "camera_node") -> str:
    path.write_text(text)
    set_numbers(path, node, "region", REGION)
    assert read(path)[node]["region"] == REGION
    return path.read_text()


def test_a_new_file(tmp_path):
    path = tmp_path / "new" / "cameras.yaml"
    set_numbers(path, "camera_node", "region", REGION)
    assert path.read_text() == ("camera_node:\n  ros__parameters:\n    region: [1, 2, 30, 40]\n")


def test_a_value_is_changed_where_it_stands(tmp_path):
    text = """# our cameras
camera_node:
  ros__parameters:
    device: /dev/video0   # on the left
    region: [0, 0, 5, 5]  # drawn in May
    fps: 30.0

mux_node:
  ros__parameters: {rate: 10.0}
"""
    assert kept(tmp_path / "a.yaml", text) == text.replace("[0, 0, 5, 5]", "[1, 2, 30, 40]")


def test_a_list_over_several_lines_is_replaced(tmp_path):
    text = """camera_node:
  ros__parameters:
    region:
      - 0
      - 0
      - 5
      - 5
    fps: 30.0  # of it
"""
    edited = kept(tmp_path / "a.yaml", text)
    assert read(tmp_path / "a.yaml") == {"camera_node": {"region": REGION, "fps": 30.0}}
    assert "# of it" in edited


def test_a_parameter_is_added(tmp_path):
    text = """camera_node:
  ros__parameters:
    # which one
    device: /dev/video0
"""
    edited = kept(tmp_path / "a.yaml", text)
    assert "# which one" in edited
    assert read(tmp_path / "a.yaml")["camera_node"]["device"] == "/dev/video0"


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_node_is_added(tmp_path, end):
    text = "/**:\n  ros__parameters:\n    fps: 15.0  # all" + end
    assert kept(tmp_path / "a.yaml", text).startswith(text)
    assert read(tmp_path / "a.yaml")["/**"] == {"fps": 15.0}


@pytest.mark.parametrize(
    "text",
    [
        "{camera_node: {ros__parameters: {region: [1, 1, 1, 1], fps: 30.0}}}",
        "camera_node: {ros__parameters: {fps: 30.0}}\n",
        "camera_node:\n  ros__parameters: {fps: 30.0}\n",
        "camera_node:\n  ros__parameters:\n    {fps: 30.0}\n",
    ],
)
def test_other_ways_of_writing_keep_their_values(tmp_path, text):
    kept(tmp_path / "a.yaml", text)
    assert read(tmp_path / "a.yaml")["camera_node"] == {"region": REGION, "fps": 30.0}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "camera_node:\n  ros__parameters:\n"])
def test_files_without_parameters(tmp_path, text):
    kept(tmp_path / "a.yaml", text)
    assert read(tmp_path / "a.yaml") == {"camera_node": {"region": REGION}}


names = st.text("abcxyz_", min_size=1, max_size=6)
values = st.one_of(
    st.integers(-9, 9),
    st.floats(-2, 2),
    st.booleans(),
    st.text(max_size=8),
    st.lists(st.integers(0, 9), max_size=4),
)
files = st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, names, st.one_of(st.none(), st.booleans()), st.lists(st.integers(0, 99), max_size=4))
def test_whatever_the_file_holds_stays(tmp_path, sections, node, style, numbers):
    path = tmp_path / "any.yaml"
    content = {name: {PARAMETERS: own} for name, own in sections.items()}
    path.write_text(yaml.safe_dump(content, default_flow_style=style) if content else "")
    set_numbers(path, node, "region", numbers)
    assert read(path) == {**sections, node: {**sections.get(node, {}), "region": numbers}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "needs exactly one key, ros__parameters"),
        ("camera_node: 5", "section 'camera_node' needs exactly one key"),
        ("camera_node: {parameters: {}}", "section 'camera_node' needs exactly one key"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_no_parameter_file_is_left_alone(tmp_path, text, said):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        set_numbers(path, "camera_node", "region", REGION)
    assert path.read_text() == text


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="is no text"):
        set_numbers(path, "camera_node", "region", REGION)
