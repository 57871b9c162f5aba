"""A contract that is wrong is refused by file, key and value, with what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_bags import koch_contract

from hilserl_core.errors import UserError
from hilserl_description.arm_model import action_spec
from hilserl_description.models import KOCH, SO101
from hilserl_replay.contract import known_contracts, read_contract


def test_the_contracts_that_come_along_are_right_and_fit_the_learner() -> None:
    assert known_contracts() == ["koch", "run"]
    for name in known_contracts():
        contract = read_contract(name)
        assert contract.observation_spec == KOCH.observation_spec("cameras")
        assert contract.action_spec == action_spec()


def test_the_policys_cameras_come_in_its_order(tmp_path: Path) -> None:
    path = koch_contract(tmp_path / "c.yaml", image_size=128)
    text = (
        path.read_text().replace("front", "xxx").replace("wrist", "front").replace("xxx", "wrist")
    )
    path.write_text(text)
    assert read_contract(str(path)).observation_spec == KOCH.observation_spec("cameras")


def test_a_contract_says_which_arm_it_was(tmp_path: Path) -> None:
    path = koch_contract(tmp_path / "c.yaml", image_size=128)
    assert read_contract(str(path)).arm is KOCH
    contract = read_contract(str(path), {"arm": "so101"})
    assert contract.observation_spec == SO101.observation_spec("cameras")


def test_what_is_given_beside_goes_before_the_file(tmp_path: Path) -> None:
    path = koch_contract(tmp_path / "c.yaml", source="HUMAN", namespace="left")
    contract = read_contract(str(path), {"source": "POLICY"})
    assert contract.terms.source == "POLICY"
    assert contract.topic("joint_states") == "/left/joint_states"
    assert contract.topic("/tf") == "/tf"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed": 3}, "parameter 'speed' is unknown"),
        ({"arm": "panda"}, "parameter 'arm': 'panda' is not one of koch, so101"),
        ({"control_rate": "fast"}, "parameter 'control_rate': 'fast' is not a float"),
        (
            {"source": "ALIEN"},
            "parameter 'source': 'ALIEN' is not one of POLICY, HUMAN, OFFLINE, RECORDED",
        ),
        ({"source": "RECORDED"}, "source: RECORDED needs actions of kind 'executed'"),
        ({"servo_states": None}, "servo_states: name their topic, or say 'none'"),
        ({"joint_states": None}, "joint_states: names no topic"),
        ({"joint_states": {"stamp": "mine"}}, "joint_states: .*'mine' is not one of header"),
        ({"joint_states": {"max_age": -1}}, "joint_states: .*'max_age': -1.* out of range"),
        ({"cameras": None}, "cameras: none is named"),
        ({"cameras": {"front": {"topic": "x", "region": [1, 2]}}}, "cameras.front: region"),
        ({"actions": {"kind": "dreams"}}, "actions: .*'dreams' is not one of commands"),
        ({"actions": {"kind": "executed"}}, "ticks: name the topic whose stamps"),
        ({"rewards": "reward"}, "ticks: rewards belong to observations"),
        ({"observation": "state"}, "object_pose: names no topic"),
        ({"episodes": {"outcome": "LUCK"}}, "episodes: .*'LUCK' is not one of SUCCESS"),
        ({"episodes": 3}, "episodes: 3 is no set of keys"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = koch_contract(tmp_path / "mine.yaml", **changes)
    with pytest.raises(UserError, match=rf"mine\.yaml: {words}"):
        read_contract(str(path))


def test_no_contract(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"contract 'nowhere\.yaml'.*one of koch, run"):
        read_contract("nowhere.yaml")
    (tmp_path / "c.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"c\.yaml: not YAML"):
        read_contract(str(tmp_path / "c.yaml"))
