"""The program train_offline: a run on disk, without ROS, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("gymnasium", reason="gymnasium is not installed: pip install gymnasium")

import gymnasium
from gymnasium import spaces

from hilserl_core.run import RunDirectory
from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step
from hilserl_learner import demonstrations
from hilserl_learner.train_offline import main
from hilserl_policy.weights import decode, read_metadata

SHORT = [
    *("--total-steps", "30", "--eval-every", "20", "--eval-episodes", "2"),
    *("--final-episodes", "3", "--hidden", "8", "--batch-size", "8", "--critic-warmup", "2"),
    *("--cloning-steps", "2"),
]


class Wait(gymnasium.Env):
    """Ends after ten actions."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Box(-2, 2, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(2, np.float32), 1.0, self.left == 0, False, {"is_success": self.left == 0}


class Picture(Wait):
    observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)


@pytest.fixture(scope="module", autouse=True)
def environments():
    gymnasium.register("Wait-v0", lambda **kw: Wait())
    gymnasium.register("Picture-v0", lambda **kw: Picture())


def test_a_run_leaves_its_curve_its_policy_and_a_checkpoint(tmp_path, capsys):
    run = tmp_path / "run"
    main(["--env", "Wait-v0", "--run", str(run), *SHORT])
    lines = RunDirectory(run).read("evaluations")
    assert [line["steps"] for line in lines] == [0, 20, 30, 30]
    assert [line["episodes"] for line in lines] == [2, 2, 2, 3]
    assert lines[-1]["final"] is True
    assert (lines[-1]["success"], lines[-1]["ticks"], lines[-1]["total"]) == (1.0, 10, 10)
    assert (run / "policy.safetensors").exists()
    assert list((run / "checkpoints").iterdir())
    assert RunDirectory(run).config()["learner"]["hidden"] == [8]
    last = capsys.readouterr().out.splitlines()[-1]
    assert "success 100 % of 3 episodes" in last


@pytest.mark.parametrize("encoder", ["end_to_end", "learned"])
def test_pictures_are_learned_from(tmp_path, encoder):
    pytest.importorskip("gym_pusht", reason="gym-pusht is not installed: pip install gym-pusht")
    run = tmp_path / "run"
    words = ["--env", "gym_pusht/PushT-v0", "--env-settings", "obs_type=pixels_agent_pos"]
    words += ["--encoder", encoder, "--demos", "1", "--pretrain-updates", "2"]
    once = ("--eval-every", "30", "--eval-episodes", "1", "--final-episodes", "1")
    main([*words, "--capacity", "1000", "--run", str(run), *SHORT, *once])
    data = (run / "policy.safetensors").read_bytes()
    policy = decode(data, read_metadata(data)["spec"])
    assert policy.encoder is not None
    assert policy.encoder.spec.cameras == ("pixels",)


def test_a_run_is_not_written_over(tmp_path, capsys):
    words = ["--env", "Wait-v0", "--run", str(tmp_path / "run"), *SHORT]
    main(words)
    with pytest.raises(SystemExit, match="1"):
        main(words)
    assert "holds a run already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "env is missing"),
        (["--env", "Nothing-v7"], "Nothing"),
        (["--env", "no_such_package/Thing-v0"], "pip install no_such_package"),
        (["--env", "CartPole-v1"], "Box"),
        (["--env", "Picture-v0", *SHORT], "learns from demonstrations first"),
        (["--env", "Wait-v0", "--demos", "many"], "demos"),
        (["--env", "Wait-v0", "--utd-ratio", "-1"], "utd_ratio"),
        (["--env", "Wait-v0", "--ranges", "observation"], "ranges"),
        (["--env", "Wait-v0", "--ranges", "observation=1"], "LOW:HIGH"),
        (["--env", "Wait-v0", "--env-settings", "fast"], "env_settings"),
        (["--env", "Wait-v0", "--view-settings", "reach=3"], "reach"),
        (["--env", "Wait-v0", "--demonstrations", "/nowhere.npz"], "/nowhere.npz"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--run", str(tmp_path / "run")])
    assert exit_.value.code == 1
    error = capsys.readouterr().err.strip()
    assert said in error
    assert error.count("\n") == 0
    assert not (tmp_path / "run").exists()  # so that the next try is not refused


def test_ros_is_not_imported(tmp_path):
    code = (
        "import sys; from hilserl_learner.train_offline import main\n"
        f"main(['--env', 'Pendulum-v1', '--run', {str(tmp_path / 'run')!r}, *{SHORT!r},\n"
        "      '--env-settings', 'max_episode_steps=5'])\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('rclpy', 'hilserl_msgs')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _episode(number: int, length: int) -> Episode:
    steps = [
        Step(
            Observation(i, np.float32([number, i])),
            action=np.float32([0.1 * i]) if i < length else np.zeros(0, np.float32),
            source=Source.OFFLINE,
            reward=float(i),
            is_first=i == 0,
            is_last=i == length,
            is_terminal=i == length,
            outcome=Outcome.SUCCESS if i == length else Outcome.NONE,
            phase=Phase.RECORD,
            index=i,
            spec="spec",
        )
        for i in range(length + 1)
    ]
    return Episode(tuple(steps))


def test_demonstrations_are_read_as_they_were_written(tmp_path):
    written = [_episode(0, 3), _episode(1, 5)]
    demonstrations.save(tmp_path / "d.npz", written, "here")
    read = demonstrations.load(tmp_path / "d.npz", "spec", "here")
    assert len(read) == len(written)
    for one, other in zip(written, read, strict=True):
        for a, b in zip(one.steps, other.steps, strict=True):
            np.testing.assert_array_equal(a.observation.state, b.observation.state)
            np.testing.assert_array_equal(a.action, b.action)
            for name in ("reward", "source", "outcome", "is_first", "is_last", "is_terminal"):
                assert getattr(a, name) == pytest.approx(getattr(b, name))


@pytest.mark.parametrize(("spec", "settings"), [("other", "here"), ("spec", "there")])
def test_demonstrations_of_another_environment_are_refused(tmp_path, spec, settings):
    demonstrations.save(tmp_path / "d.npz", [_episode(0, 2)], "here")
    with pytest.raises(demonstrations.UserError, match="another environment"):
        demonstrations.load(tmp_path / "d.npz", spec, settings)


def test_damaged_demonstrations_are_refused(tmp_path):
    path = tmp_path / "d.npz"
    demonstrations.save(path, [_episode(0, 2)], "here")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(demonstrations.UserError, match="damaged"):
        demonstrations.load(path, "spec", "here")


def test_pusht_is_learned_from_its_own_demonstrations(tmp_path, capsys):
    pytest.importorskip("gym_pusht", reason="needs pip install gym-pusht", exc_type=ImportError)
    first, second = tmp_path / "first", tmp_path / "second"
    words = ["--env", "gym_pusht/PushT-v0", "--demos", "1", *SHORT, "--eval-episodes", "1"]
    main([*words, "--final-episodes", "1", "--run", str(first)])
    main([*words, "--final-episodes", "1", "--run", str(second), "--demonstrations", str(first)])
    said = capsys.readouterr().out
    assert said.count("demonstrations: 1 successful") == 2
    assert len(RunDirectory(second).read("evaluations")) == 3
