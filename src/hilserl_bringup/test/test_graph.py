"""Graphs: arguments as typed, runs as named, parameters as merged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from hilserl_bringup import configuration
from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.declared import parameter_class
from hilserl_bringup.graph import (
    Plan,
    find_graph,
    given_arguments,
    make_plan,
    named_run,
    parse_arguments,
)
from hilserl_bringup.gym_graphs import GRAPHS as GYM_GRAPHS
from hilserl_bringup.node_spec import NodeSpec
from hilserl_bringup.runner import node_arguments
from hilserl_core import parameter_file
from hilserl_core.errors import UserError

TRAIN = GRAPHS["koch_train"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(plan: Plan) -> set[str]:
    return {node.name for node in plan.nodes}


def of(plan: Plan, name: str) -> NodeSpec:
    return next(node for node in plan.nodes if node.name == name)


def trained(path: str) -> str:
    """A folder that looks like a run that has been trained."""
    for part in ("checkpoints", "episodes"):
        Path(path, part).mkdir(parents=True)
    return path


def test_words_become_typed_arguments() -> None:
    arguments = parse_arguments(
        TRAIN, ["seed:=3", "train_minutes:=2", "intervene:=false", "algorithm:=bc"]
    )
    assert arguments.seed == 3
    assert arguments.train_minutes == 2.0
    assert arguments.intervene is False
    assert arguments.algorithm == "bc"
    assert arguments.task == "lift_cube"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sede:=3", "no argument 'sede' .did you mean seed.*choose from: .*task"),
        ("seed=3", "'seed=3' is not an argument: write name:=value"),
        ("seed:=three", "argument 'seed': 'three' is not a int"),
        ("seed:=-1", "argument 'seed': -1 is out of range"),
        ("task:=fold_laundry", "argument 'task': 'fold_laundry' is not one of reach, lift_cube"),
        ("lockstep:=perhaps", "argument 'lockstep'"),
        ("sim:=false", "'port' is needed.*scan"),
        ("hardware:=real", "'port' is needed.*scan"),
        ("hardware:=lego", "'lego' is not one of sim, emulated, real"),
        ("demonstrations:=nowhere", "'demonstrations': runs/nowhere holds no episodes"),
        ("config:=missing.yaml", "missing.yaml: No such file"),
        ("wandb:=yes", "argument 'wandb': 'yes' is not one of off, offline, online"),
    ],
)
def test_a_wrong_word_is_named_with_its_remedy(word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(TRAIN, [word])


def test_an_unknown_graph_lists_the_graphs() -> None:
    with pytest.raises(UserError, match="'koch_fly', choose from: koch_record, koch_train"):
        find_graph(GRAPHS, "koch_fly")


def test_training_has_every_part_and_ends_with_the_policy() -> None:
    plan = make_plan(TRAIN, [])
    assert names(plan) == {
        *("mujoco_node", "operator_node", "mux_node"),
        *("policy_node", "recorder_node", "learner_node", "curves_node", "console_node"),
    }
    assert [node.name for node in plan.nodes if node.ends_run] == ["policy_node"]


def test_the_console_can_be_left_out_and_is_no_part_of_what_the_run_is() -> None:
    plan = make_plan(TRAIN, ["run:=mine", "console_port:=9000"])
    console = of(plan, "console_node")
    assert console.parameters["port"] == 9000
    assert console.watches
    without = make_plan(TRAIN, ["run:=mine", "console:=false"])
    assert "console_node" not in names(without)
    assert plan.config() == without.config()
    assert of(plan, "mux_node").parameters["yielding_devices"] == ["leader"]


def test_nobody_learns_while_recording_or_running() -> None:
    trained("runs/good")
    assert "learner_node" not in names(make_plan(GRAPHS["koch_record"], []))
    assert "learner_node" not in names(make_plan(GRAPHS["koch_run"], ["policy:=good"]))


def test_nodes_of_a_run_agree_on_what_they_share() -> None:
    words = ["task:=reach", "seed:=9", "run:=mine", "lockstep:=false"]
    nodes = make_plan(TRAIN, words).nodes
    for key, value, least in (
        ("task", "reach", 3),
        ("seed", 9, 3),
        ("run", "runs/mine", 3),
        ("lockstep", False, 4),
        ("use_sim_time", False, 3),
    ):
        found = [node.parameters[key] for node in nodes if key in node.parameters]
        assert len(found) >= least
        assert set(found) == {value}


def test_demonstrations_of_another_run_take_the_place_of_recording() -> None:
    trained("runs/shown")
    plan = make_plan(TRAIN, ["demonstrations:=shown"])
    assert of(plan, "learner_node").parameters["demonstrations"] == "runs/shown"
    assert of(plan, "policy_node").parameters["demos"] == 0


@pytest.mark.parametrize(
    ("graph", "hardware", "simulator"),
    [
        ("koch_record", "sim", "mujoco_node"),
        ("koch_train", "sim", "mujoco_node"),
        ("koch_train", "emulated", "emulated_node"),
    ],
)
@pytest.mark.parametrize("judge", ["classifier", "operator"])
def test_another_judge_takes_the_simulators_place_and_the_truth_goes_aside(
    graph: str, hardware: str, simulator: str, judge: str
) -> None:
    Path("c.safetensors").touch()
    arm = ["observation:=cameras", f"hardware:={hardware}", "run:=mine"]
    words = [*arm, f"reward:={judge}", "classifier:=c.safetensors"]
    plan, usual = make_plan(GRAPHS[graph], words), make_plan(GRAPHS[graph], arm)
    assert names(plan) == names(usual) | {"reward_node"}
    assert of(plan, "reward_node").parameters["judge"] == judge
    assert of(plan, simulator).parameters["reward_topic"] == "reward/truth"
    assert "reward/truth" in of(plan, "recorder_node").parameters["judgements"]
    told = {node.name for node in plan.nodes if "reward/truth" in str(node.parameters)}
    assert told == {simulator, "recorder_node"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("reward:=classifier classifier:=c.safetensors", "observation:=cameras"),
        ("reward:=classifier observation:=cameras", "argument 'classifier' is needed"),
        ("reward:=classifier observation:=cameras classifier:=no.safetensors", "no.safetensors"),
        ("reward:=me", "'me' is not one of sim, classifier, operator"),
    ],
)
def test_a_judge_that_cannot_judge_is_refused(words: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(TRAIN, words.split())


def test_an_emulated_arm_is_driven_through_a_port_in_real_time() -> None:
    plan = make_plan(TRAIN, ["hardware:=emulated", "run:=mine"])
    assert {"emulated_node", "driver_node", "operator_node"} <= names(plan)
    assert "mujoco_node" not in names(plan)
    arm, driver = of(plan, "emulated_node"), of(plan, "driver_node")
    for key in ("port", "calibration"):
        assert arm.parameters[key] == driver.parameters[key]
    assert not driver.parameters["autostart"]
    assert driver.remappings == {"robot/reset": "driver_node/reset"}
    lockstep = {n.name: n.parameters["lockstep"] for n in plan.nodes if "lockstep" in n.parameters}
    assert set(lockstep.values()) == {False}
    arguments = node_arguments(driver, Path("file.yaml"))
    assert arguments[1:5] == ["-r", "__node:=driver_node", "-r", "robot/reset:=driver_node/reset"]


REAL = [
    *("sim:=false", "port:=/dev/koch", "observation:=cameras", "reward:=operator"),
    *("front_camera:=/dev/video0", "wrist_camera:=/dev/video2"),
]


def test_a_real_arm_has_its_driver_and_nobody_who_needs_a_simulation() -> None:
    plan = make_plan(TRAIN, REAL)
    assert names(plan) == {
        *("driver_node", "front_camera", "wrist_camera", "reward_node"),
        *("mux_node", "policy_node", "recorder_node", "learner_node"),
        *("curves_node", "console_node"),
    }
    assert of(plan, "driver_node").parameters["port"] == "/dev/koch"
    assert of(plan, "mux_node").parameters["lockstep"] is False
    assert "yielding_devices" not in of(plan, "mux_node").parameters
    assert "judgements" not in of(plan, "recorder_node").parameters
    with pytest.raises(UserError, match="observation:=cameras"):
        make_plan(TRAIN, REAL[:2])
    with pytest.raises(UserError, match=r"reward:=operator, or reward:=classifier"):
        make_plan(TRAIN, [word for word in REAL if not word.startswith("reward")])
    with pytest.raises(UserError, match="'wrist_camera' is needed"):
        make_plan(TRAIN, REAL[:-1])
    with pytest.raises(UserError, match="leave one of the two out"):
        make_plan(TRAIN, ["sim:=false", "hardware:=emulated"])


def test_a_run_is_found_by_name_or_path() -> None:
    assert named_run("mine") == Path("runs/mine")
    assert named_run("elsewhere/mine") == Path("elsewhere/mine")
    assert named_run("/data/mine") == Path("/data/mine")


def test_a_new_run_is_named_for_what_it_is() -> None:
    plan = make_plan(TRAIN, ["seed:=2"])
    assert plan.run.parent == Path("runs")
    assert plan.run.name.startswith("lift_cube-state-seed2-")


def test_a_folder_of_another_configuration_is_refused_and_kept() -> None:
    make_plan(TRAIN, ["run:=mine", "seed:=1"]).save()
    before = Path("runs/mine/config.yaml").read_text()
    make_plan(TRAIN, ["run:=mine", "seed:=1", "panel:=false"]).save()
    with pytest.raises(UserError, match=r"another configuration.*seed was 1, now 2"):
        make_plan(TRAIN, ["run:=mine", "seed:=2"]).save()
    assert Path("runs/mine/config.yaml").read_text() == before


def test_the_words_that_resume_a_run_make_the_same_plan() -> None:
    plan = make_plan(TRAIN, ["seed:=2", "intervene:=false", "train_minutes:=0.5"])
    again = make_plan(TRAIN, given_arguments(plan))
    assert again.run == plan.run
    assert again.config() == plan.config()


def test_a_preset_is_saved_with_the_values_that_it_stands_for() -> None:
    word = write("learner_node: {ros__parameters: {critics: 4}}\n")
    plan = make_plan(TRAIN, ["preset:=rlpd", "run:=mine", word])
    plan.save()
    saved = yaml.safe_load(Path("runs/mine/config.yaml").read_text())
    learner = saved["nodes"]["learner_node"]["parameters"]
    assert learner["utd_ratio"] == 20.0
    assert learner["critics"] == 4  # given, so not the preset's
    assert saved["arguments"]["preset"] == "rlpd"
    node = yaml.safe_load(Path("runs/mine/parameters/learner_node.yaml").read_text())
    assert node["/**"]["ros__parameters"] == learner
    with pytest.raises(UserError, match="another configuration"):
        make_plan(TRAIN, ["preset:=hil_serl", "run:=mine", word]).save()


def write(text: str) -> str:
    Path("own.yaml").write_text(text)
    return "config:=own.yaml"


def test_a_parameter_file_reaches_the_nodes_it_names() -> None:
    word = write(
        "/**: {ros__parameters: {a: 1, b: 2}}\nmux_node: {ros__parameters: {b: 3, c: [0.5]}}\n"
    )
    plan = make_plan(TRAIN, [word])
    mux, policy = of(plan, "mux_node").parameters, of(plan, "policy_node").parameters
    assert (mux["a"], mux["b"], mux["c"]) == (1, 3, [0.5])
    assert (policy["a"], policy["b"], policy.get("c")) == (1, 2, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ghost_node: {ros__parameters: {a: 1}}", "no node 'ghost_node', choose from"),
        ("mux_node: {parameters: {a: 1}}", "section 'mux_node' needs exactly one key"),
        (
            "mux_node: {ros__parameters: {lockstep: true}}",
            "'lockstep' of mux_node is set by the graph's",
        ),
        ("mux_node: {ros__parameters: {a: []}}", "'a' of mux_node is an empty list"),
        ("a: [", "is not YAML"),
        ("just words", "needs exactly one key"),
    ],
)
def test_a_wrong_parameter_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_plan(TRAIN, [write(text)])


def test_a_nodes_parameter_file_reads_back_with_its_types(tmp_path: Path) -> None:
    values = {"text": "1", "empty": "", "real": 5.0, "tiny": 1e-5, "flag": True, "list": (1.0, 2.0)}
    path = configuration.write(tmp_path / "node.yaml", values)
    read = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    assert read == {**values, "list": [1.0, 2.0]}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_has_its_own_parameter_and_launch_file(name: str) -> None:
    path = configuration.packaged(name)
    parameter_file.read(path)
    assert (path.parents[1] / "launch" / f"{name}.launch.py").is_file()


@pytest.mark.parametrize("name", ["so101_record", "so101_train", "so101_run"])
@pytest.mark.parametrize("words", [[], ["hardware:=emulated"], [*REAL, "leader_port:=/dev/l"]])
def test_an_so101s_graph_is_the_kochs_with_another_arm(name: str, words: list[str]) -> None:
    trained("runs/good")
    words = [*words, "policy:=good"] if name == "so101_run" else words
    graph = GRAPHS[name.replace("so101", "koch")]
    of_koch, of_so101 = make_plan(graph, words), make_plan(GRAPHS[name], words)
    assert names(of_so101) == names(of_koch)
    for ours, theirs in zip(of_so101.nodes, of_koch.nodes, strict=True):
        differing = {
            key for key, value in ours.parameters.items() if theirs.parameters[key] != value
        } - {"run", "port", "calibration"}
        assert differing <= {"arm"}, ours.name
        declared = parameter_class(ours.package, ours.program)
        assert declared is not None
        if "arm" in {field.name for field in dataclasses.fields(declared)}:
            assert ours.parameters["arm"].startswith("so101"), f"{ours.name} takes it for a Koch"
            assert theirs.parameters["arm"].startswith("koch"), theirs.name


def test_a_leader_arm_and_other_devices_stand_beside_the_keyboard() -> None:
    words = [*REAL, "leader_port:=/dev/leader"]
    plan = make_plan(TRAIN, [*words, "jog:=spacemouse"])
    driver = of(plan, "leader_driver")
    assert (driver.namespace, driver.parameters["arm"]) == ("leader", "koch_leader")
    assert node_arguments(driver, Path("f"))[3:5] == ["-r", "__ns:=/leader"]
    assert {"leader_node", "spacenav_node", "jog_node"} <= names(plan)
    mux = of(plan, "mux_node").parameters
    countdown = dict(zip(mux["devices"], mux["countdowns"], strict=True))
    for node in ("policy_node", "recorder_node", "reward_node"):
        assert of(plan, node).parameters["devices"] == mux["devices"]
    assert countdown["spacemouse"] == 0.0
    assert countdown["leader"] == countdown["keyboard"] == countdown["console"] == 2.0
    assert "spacenav_node" not in names(make_plan(TRAIN, [*words, "jog:=gamepad"]))
    with pytest.raises(UserError, match="operator:=keyboard"):
        make_plan(TRAIN, ["leader_port:=/dev/leader"])
    with pytest.raises(UserError, match="lockstep:=false"):
        make_plan(TRAIN, ["leader_port:=/dev/leader", "operator:=keyboard"])


def test_an_environment_that_nobody_can_show_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    pytest.importorskip("gymnasium")
    plan = make_plan(GYM_GRAPHS["gym_train"], ["env:=Pendulum-v1", f"run:={tmp_path / 'run'}"])
    with pytest.raises(UserError, match="nobody here can show environment 'Pendulum-v1'"):
        plan.save()
    assert not (tmp_path / "run").exists()
