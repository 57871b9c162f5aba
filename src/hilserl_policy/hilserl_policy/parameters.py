"""Parameters of the policy node."""

from __future__ import annotations

from dataclasses import dataclass

from hilserl_core.parameters import parameter
from hilserl_core.run import ALGORITHMS
from hilserl_core.step import Phase
from hilserl_description.robot_parameters import RobotParameters


@dataclass(frozen=True)
class PolicyParameters(RobotParameters):
    """What the policy node does, and for how long."""

    run: str = parameter("", "folder of the run")
    task: str = parameter("lift_cube", "what the arm is to do")
    seed: int = parameter(1, "seed of scenes and of exploration", low=0, high=2**31 - 1)
    lockstep: bool = parameter(False, "ticks are the simulator's frames, not a timer's")
    control_rate: float = parameter(10.0, "ticks a second", low=1.0, high=100.0)
    episode_seconds: float = parameter(10.0, "length of an episode, s", low=0.5, high=3600.0)
    demonstration_seconds: float = parameter(
        20.0,
        "length of a demonstration, s; a person may take longer than the policy has time for",
        low=0.5,
        high=3600.0,
    )
    mode: str = parameter("train", "what the run is for", choices=("record", "train", "run"))
    algorithm: str = parameter("rlpd", "the learner's", choices=ALGORITHMS)
    demos: int = parameter(20, "successful demonstrations to record first", low=0, high=100_000)
    train_minutes: float = parameter(
        4.5, "limit of training, its evaluations included, min", low=0.01, high=100_000.0
    )
    train_episodes: int = parameter(
        0,
        "training episodes after which the last evaluations begin; 0: time alone limits training",
        low=0,
        high=10**9,
    )
    evaluation_episodes: int = parameter(50, "episodes of an evaluation", low=1, high=100_000)
    mean_action: bool = parameter(
        False,
        "evaluate, and work in mode run, with the mean action and the likeliest gripper choice "
        "instead of a sample",
    )
    target_success: float = parameter(
        0.95, "success rate that two evaluations in a row must reach", low=0.0, high=1.0
    )
    target_intervention: float = parameter(
        0.05, "intervention rate of the last 20 episodes below which to evaluate", low=0.0, high=1.0
    )
    training_success: float = parameter(
        0.95,
        "share of the last 20 training episodes, successes without help, at which to evaluate",
        low=0.0,
        high=1.0,
    )
    cycle_ratio: float = parameter(
        0.6,
        "evaluate once the median cycle time of the last 20 successes is at most this share of "
        "the demonstrations'; 0 does not ask",
        low=0.0,
        high=10.0,
    )
    episodes: int = parameter(0, "episodes in mode run; 0: until stopped", low=0, high=10**9)
    policy: str = parameter("", "folder of the run whose policy to use in mode run")
    demonstrations: str = parameter("", "folder of the run whose demonstrations the learner uses")
    devices: tuple[str, ...] = parameter(
        ("leader", "keyboard", "console"),
        "operator devices whose events count, as in teleop/DEVICE/event",
    )
    recorder: str = parameter(
        "recorder_node", "node that must take the steps before an episode begins; empty: none"
    )
    stall_seconds: float = parameter(
        5.0, "wall-clock time without a complete tick after which an episode is given up",
        low=0.2, high=600.0,
    )  # fmt: skip
    reset_seconds: float = parameter(
        5.0, "wall-clock time that a reset may take before it is asked for again", low=0.2,
        high=600.0,
    )  # fmt: skip
    max_age: float = parameter(
        0.15, "age of a measurement beyond which a timer's tick is skipped, s", low=0.01, high=10.0
    )

    def episode_steps(self, phase: Phase) -> int:
        """Ticks after which an episode of a phase times out."""
        recording = phase == Phase.RECORD
        seconds = self.demonstration_seconds if recording else self.episode_seconds
        return round(seconds * self.control_rate)


def sampled_phases(p: PolicyParameters) -> tuple[Phase, ...]:
    """Phases in which the policy's actions are samples.

    HIL-SERL evaluates samples too: where the cameras leave in doubt what to do, the mean can
    be to do nothing, and an arm that does nothing sees the same again.
    """
    if p.algorithm != "rlpd":
        return ()  # it only imitates: its spread was never learned
    return (Phase.TRAIN,) if p.mean_action else (Phase.TRAIN, Phase.EVALUATE, Phase.RUN)
