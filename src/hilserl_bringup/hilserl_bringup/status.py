"""What a run's messages say about it, and that in words."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from hilserl_core.step import Phase

DRIVERS = ("the policy", "nobody yet", "the operator", "nobody: stopped")
PHASES: dict[int, str] = {
    Phase.RECORD: "recording",
    Phase.TRAIN: "training",
    Phase.EVALUATE: "evaluating",
    Phase.RUN: "running",
    Phase.DONE: "done",
}
STAGES = {
    "waiting": "waiting for demonstrations",
    "compiling": "compiling",
    "behaviour_cloning": "cloning the demonstrations",
    "critic_warmup": "warming up the critics",
    "training": "learning",
}
UNKNOWN = "?"


@dataclass(frozen=True)
class Status:
    """Where a run stands; None is unknown.

    Rates are shares in [0, 1] over the last 20 episodes; ``time_left`` is in seconds, and
    ``done`` the share of the phase that is behind.
    """

    run: str = ""
    task: str = ""
    phase: int | None = None
    in_episode: bool = False
    episode: int = 0
    episodes_in_phase: int = 0
    episodes_of_phase: int = 0
    steps: int = 0
    success_rate: float | None = None
    intervention_rate: float | None = None
    steps_per_s: float | None = None
    time_left: float | None = None
    done: float | None = None
    message: str = ""
    stage: str = ""
    updates: int = 0
    updates_per_s: float | None = None
    policy_version: int = 0
    driver: int | None = None
    device: str = ""
    holding: bool = False
    reason: str = ""

    def with_run(self, message: Any) -> Status:
        """Takes in a RunStatus."""
        return dataclasses.replace(
            self,
            run=message.run,
            task=message.task,
            phase=int(message.phase),
            in_episode=bool(message.in_episode),
            episode=int(message.episode),
            episodes_in_phase=int(message.episodes_in_phase),
            episodes_of_phase=int(message.episodes_of_phase),
            steps=int(message.steps),
            policy_version=int(message.policy_version),
            success_rate=_finite(message.success_rate),
            intervention_rate=_finite(message.intervention_rate),
            steps_per_s=_finite(message.steps_per_s),
            time_left=_finite(message.time_left),
            message=message.message,
        )

    def with_learner(self, message: Any) -> Status:
        """Takes in a LearnerStatus."""
        return dataclasses.replace(
            self,
            stage=message.stage,
            updates=int(message.updates),
            updates_per_s=_finite(message.updates_per_s),
        )

    def with_arbitration(self, message: Any) -> Status:
        """Takes in an Arbitration."""
        return dataclasses.replace(
            self,
            driver=int(message.state),
            device=message.device,
            holding=bool(message.holding),
            reason=message.reason,
        )

    def later(self, seconds: float) -> Status:
        """The same, so many seconds after the last message."""
        if self.time_left is None:
            return self
        return dataclasses.replace(self, time_left=max(0.0, self.time_left - seconds))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Status:
        """Raises ValueError or TypeError where ``text`` is no status."""
        return cls(**json.loads(text))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.0f} %"


def rate(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}"


def clock(seconds: float | None) -> str:
    """Seconds as m:ss."""
    if seconds is None:
        return UNKNOWN
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def bar(share: float | None, width: int = 20) -> str:
    """A share in [0, 1] as a bar and a number."""
    if share is None:
        return UNKNOWN
    full = round(width * min(1.0, max(0.0, share)))
    return f"{'█' * full}{'░' * (width - full)} {percent(share)}"


class Pace:
    """How far a phase is, and how long the rest will take.

    Demonstrations and evaluations are so many episodes: what is left of them will take as long
    as those that were seen. Training has a limit of time.
    """

    def __init__(self) -> None:
        self._phase: int | None = None
        self._longest = 0.0  # the most time that was left in this phase, s
        self._seen: tuple[int, float] = (0, 0.0)  # episodes when it was met, and when that was
        self._newest = 0  # episodes

    def judge(self, status: Status, now: float) -> Status:
        """The status with ``done`` and ``time_left``; ``now`` is in seconds, monotonic."""
        again = status.episodes_in_phase < self._newest  # one evaluation follows the other
        self._newest = status.episodes_in_phase
        if status.phase != self._phase or again:
            self._phase, self._longest = status.phase, 0.0
            self._seen = (status.episodes_in_phase, now)
        if status.episodes_of_phase:
            return self._by_episodes(status, now)
        if status.time_left is None:
            return status
        self._longest = max(self._longest, status.time_left)
        done = 1 - status.time_left / self._longest if self._longest else 1.0
        return dataclasses.replace(status, done=done)

    def _by_episodes(self, status: Status, now: float) -> Status:
        first, since = self._seen
        had = status.episodes_in_phase - first
        left = status.episodes_of_phase - status.episodes_in_phase
        seconds = (now - since) / had * left if had > 0 else None
        done = status.episodes_in_phase / status.episodes_of_phase
        return dataclasses.replace(status, done=done, time_left=seconds)


def doing(status: Status) -> str:
    """The phase, and what the learner does where that is not the usual."""
    if status.phase is None:
        return "starting"
    text = PHASES.get(status.phase, UNKNOWN)
    if status.phase == Phase.TRAIN and status.stage not in ("", "training"):
        text += f" ({STAGES.get(status.stage, status.stage)})"
    return text


def episode(status: Status) -> str:
    """The episode under way, or the number done, within the phase."""
    number = status.episodes_in_phase + int(status.in_episode)
    return f"{number} of {status.episodes_of_phase}" if status.episodes_of_phase else f"{number}"


def driver(status: Status) -> str:
    """Who drives, and why the arm holds where it does."""
    if status.driver is None:
        return UNKNOWN
    text = DRIVERS[status.driver] if status.driver < len(DRIVERS) else str(status.driver)
    if status.device and status.driver == 2:
        text += f" ({status.device})"
    if status.holding:
        text += f", holding: {status.reason}" if status.reason else ", holding"
    return text


def rows(status: Status) -> list[tuple[str, str]]:
    """The panel's labels and values, in order."""
    return [
        ("phase", doing(status)),
        ("episode", episode(status)),
        ("success, last 20", percent(status.success_rate)),
        ("interventions", percent(status.intervention_rate)),
        ("updates/s", rate(status.updates_per_s)),
        ("steps/s", rate(status.steps_per_s)),
        ("time left", clock(status.time_left)),
        ("done", bar(status.done)),
        ("driving", driver(status)),
    ]


def line(status: Status) -> str:
    """What is known of it in one line."""
    known = [
        (status.phase is not None and status.phase != Phase.DONE, f"episode {episode(status)}"),
        (status.success_rate is not None, f"success {percent(status.success_rate)} of the last 20"),
        (
            status.intervention_rate is not None,
            f"interventions {percent(status.intervention_rate)}",
        ),
        (status.updates_per_s is not None, f"{rate(status.updates_per_s)} updates/s"),
        (status.steps_per_s is not None, f"{rate(status.steps_per_s)} steps/s"),
        (status.time_left is not None, f"{clock(status.time_left)} left"),
    ]
    details = ", ".join(text for is_known, text in known if is_known)
    return f"{doing(status)}: {details}" if details else doing(status)
