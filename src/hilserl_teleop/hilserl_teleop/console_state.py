"""What the console shows: the newest of everything, as plain values; free of ROS.

One thread takes in what arrives, another makes a snapshot of it ten times a second.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hilserl_core.step import Outcome, Phase, Source, name_of

SILENT = 3.0
"""s without a word after which a part counts as silent."""
FORGOTTEN = 60.0
"""s without diagnostics after which a part is no longer listed."""
NOTES = 5
NOTE_SECONDS = 8.0


def finite(value: float) -> float | None:
    """A number as JSON has it: None where it is none."""
    return float(value) if math.isfinite(value) else None


def numbers(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Numbers as JSON has them."""
    return [round(value, digits) if math.isfinite(value) else None for value in values]


def _region(text: str) -> list[int] | None:
    """The four numbers x, y, width, height of a region as a node writes it."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(found, list) and len(found) == 4 and all(type(n) is int for n in found)
    return found if whole else None


@dataclass
class _Health:
    level: int
    message: str
    values: Mapping[str, str]
    at: float


@dataclass
class ConsoleState:
    """The newest of everything.

    Args:
        clock: s, steady.
        device: the console's own name among the devices.
    """

    clock: Callable[[], float]
    device: str = "console"
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _said: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    _health: dict[str, _Health] = field(default_factory=dict)
    _cameras: dict[str, dict[str, bool]] = field(default_factory=dict)
    _regions: dict[str, list[int]] = field(default_factory=dict)
    _notes: list[tuple[float, str]] = field(default_factory=list)
    _episode: tuple[int, int, bool] = (0, -1, False)
    _first_tick: int | None = None
    _newest_tick: int = 0
    _by_source: dict[int, int] = field(default_factory=dict)

    # -- what arrives

    def arbitration(
        self, state: int, device: str, countdown: float, holding: bool, reason: str
    ) -> None:
        """Who drives, as the mux says."""
        self._say(
            "arbitration",
            state=state,
            device=device,
            countdown=countdown,
            holding=holding,
            reason=reason,
        )

    def run(self, **said: Any) -> None:
        """Where the run stands: the fields of hilserl_msgs/RunStatus."""
        episode = (int(said["phase"]), int(said["episode"]), bool(said["in_episode"]))
        said["phase"] = name_of(Phase, said["phase"])
        said["last_outcome"] = name_of(Outcome, said["last_outcome"])
        for name in ("success_rate", "intervention_rate", "steps_per_s", "time_left"):
            said[name] = finite(said[name])
        with self._lock:
            if episode != self._episode and episode[2]:
                self._first_tick, self._by_source = None, {}
            self._episode = episode
        self._say("run", **said)

    def learner(self, stage: str, updates: int, version: int, rate: float) -> None:
        """How learning goes."""
        self._say("learner", stage=stage, updates=updates, version=version, rate=finite(rate))

    def executed(self, stamp: int, source: int, version: int, command: Sequence[float]) -> None:
        """A tick was executed.

        Args:
            stamp: ns, of its observation.
            source: who acted.
            version: of the policy.
            command: rad, joint position targets.
        """
        with self._lock:
            if self._episode[2]:
                self._first_tick = stamp if self._first_tick is None else self._first_tick
                self._newest_tick = stamp
                self._by_source[source] = self._by_source.get(source, 0) + 1
        self._say("action", source=source, version=version, command=numbers(command))

    def reward(self, value: float, probabilities: Sequence[float], judge: str) -> None:
        """An observation was judged; the last class is success."""
        probability = finite(probabilities[-1]) if len(probabilities) else None
        self._say("reward", value=finite(value), probability=probability, judge=judge)

    def joints(self, names: Sequence[str], positions: Sequence[float]) -> None:
        """The arm's joint positions, rad."""
        self._say("joints", name=list(names), position=numbers(positions))

    def servos(self, names: Sequence[str], **measured: Sequence[float]) -> None:
        """What the servos measure: temperature, current, voltage, error."""
        values = {key: numbers(value, 3) for key, value in measured.items()}
        self._say("servos", name=list(names), **values)

    def cameras(self, available: Mapping[str, Mapping[str, bool]]) -> None:
        """Which cameras publish: of each name, whether ``policy`` and ``raw`` pictures come."""
        with self._lock:
            self._cameras = {name: dict(kinds) for name, kinds in available.items()}

    def health(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """A part's diagnostics; a camera's node tells by them the region that the policy sees."""
        region = _region(values.get("region", "")) if "camera" in values else None
        with self._lock:
            self._health[name] = _Health(level, message, values, self.clock())
            if region is not None:
                self._regions[values["camera"]] = region

    def note(self, text: str) -> None:
        """A sentence for the operator, shown for a while."""
        with self._lock:
            self._notes = [*self._notes[-NOTES + 1 :], (self.clock(), text)]

    def _say(self, part: str, **said: Any) -> None:
        with self._lock:
            self._said[part] = (self.clock(), said)

    # -- what is shown

    @property
    def mine(self) -> bool:
        """Whether the mux says that this device has the arm or is about to."""
        with self._lock:
            _, said = self._said.get("arbitration", (0.0, {}))
        return said.get("device") == self.device

    @property
    def driving(self) -> bool:
        """Whether this device's actions are executed, unless the arm holds."""
        with self._lock:
            _, said = self._said.get("arbitration", (0.0, {}))
        return said.get("device") == self.device and said.get("state") == 2

    @property
    def updates_per_s(self) -> float | None:
        """The learner's newest word on its pace; None where it has none, or is silent."""
        with self._lock:
            at, said = self._said.get("learner", (0.0, {}))
        rate: float | None = said.get("rate")
        return rate if self.clock() - at < SILENT else None

    def snapshot(self, slowly: bool = True) -> dict[str, Any]:
        """Everything, ready for JSON; ``age`` is s since a part's last word.

        Args:
            slowly: whether what changes slowly is wanted as well: servos, cameras, health.
        """
        now = self.clock()
        with self._lock:
            result: dict[str, Any] = {
                part: {**said, "age": round(now - at, 1)}
                for part, (at, said) in self._said.items()
                if slowly or part != "servos"
            }
            self._notes = [note for note in self._notes if now - note[0] < NOTE_SECONDS]
            result["notes"] = [text for _, text in self._notes]
            result["episode"] = {
                "seconds": self._seconds(),
                "steps": {name_of(Source, key): count for key, count in self._by_source.items()},
            }
            if slowly:
                result["cameras"] = self._cameras
                result["regions"] = dict(self._regions)
                result["health"] = self._shown_health(now)
        arbitration = result.get("arbitration")
        if arbitration is not None:
            # The mux tells of changes, and not of the countdown's running.
            left = arbitration["countdown"] - (now - self._said["arbitration"][0])
            arbitration["countdown"] = round(max(0.0, left), 1)
        return result

    def _seconds(self) -> float | None:
        """Of the episode under way, or of the last, by the stamps of its observations."""
        if self._first_tick is None:
            return None
        return round((self._newest_tick - self._first_tick) * 1e-9, 1)

    def _shown_health(self, now: float) -> list[dict[str, Any]]:
        """The parts' diagnostics, the worst first; a part that fell silent is a warning."""
        self._health = {k: h for k, h in self._health.items() if now - h.at < FORGOTTEN}
        shown = []
        for name, health in self._health.items():
            silent = now - health.at > SILENT
            message = f"silent for {now - health.at:.0f} s" if silent else health.message
            shown.append(
                {
                    "name": name,
                    "level": max(health.level, 1) if silent else health.level,
                    "message": message,
                    "values": dict(health.values),
                }
            )
        return sorted(shown, key=lambda part: (-part["level"], part["name"]))
