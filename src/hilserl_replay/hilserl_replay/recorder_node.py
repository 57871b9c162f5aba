"""The recorder: writes one rosbag2 bag an episode, each step before anything else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.node import main as node_main
from hilserl_core.parameters import parameter
from hilserl_core.qos import EVERY_WORD, EVERYTHING, LATCHED, STEPS
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import stamp_to_ns
from hilserl_msgs.msg import (
    Action,
    Arbitration,
    OperatorEvent,
    Reward,
    RunStatus,
    ServoState,
    Step,
)
from hilserl_msgs.srv import Reset
from hilserl_replay.bags import type_name
from hilserl_replay.mcap_bag import BagWriter
from hilserl_replay.recorder import Beside, Recorder

RAW_FOLDER = "raw"
"""Of a run, for the bag of what its steps were made of."""

RAW_TOPICS: dict[str, tuple[type[Any], QoSProfile]] = {
    "joint_states": (JointState, EVERYTHING),
    "servo_states": (ServoState, EVERYTHING),
    "sim/object_pose": (PoseStamped, EVERYTHING),
    "forward_position_controller/commands": (Float64MultiArray, EVERY_WORD),
    "policy_action": (Action, EVERY_WORD),
    "action": (Action, EVERY_WORD),
    "reward": (Reward, EVERY_WORD),
    "run/status": (RunStatus, LATCHED),
    "reset/_service_event": (Reset.Event, EVERY_WORD),
}

NEEDED = ("joint_states", "action", "reward", "forward_position_controller/commands")
"""Of these, what every run has."""

LOOK_PERIOD, LOOKS = 0.1, 10
"""s between two looks at who is there, and how many it takes: a publisher that is seen here may
not have seen this subscriber yet, and its messages would go nowhere."""

_RELIABLE = ReliabilityPolicy.RELIABLE

LOW_DISK = 1e9  # bytes; below it the diagnostics warn


@dataclass(frozen=True)
class RecorderParameters:
    """Parameters of the recorder node."""

    run: str = parameter("runs/default", "folder of the run; its last part is the run's name")
    devices: tuple[str, ...] = parameter(
        ("leader", "keyboard", "console"), "operator devices whose events are recorded"
    )
    record_cameras: tuple[str, ...] = parameter(
        ("front", "wrist"), "cameras whose policy images, if any, are recorded beside the steps"
    )
    judgements: tuple[str, ...] = parameter(
        ("",), "topics of judgements that are recorded beside the steps, such as reward/truth"
    )
    record_cameras_always: bool = parameter(
        False, "record camera images in every episode, not in evaluations only"
    )
    raw: bool = parameter(
        False, "record everything that steps are made of too, into the run's folder raw"
    )
    raw_images: tuple[str, ...] = parameter(
        ("camera/front/policy", "camera/wrist/policy"), "topics of images that raw records"
    )


class RecorderNode(Node):
    """Subscribes to steps and what is recorded beside them, and hands them to a Recorder."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.parameters = declare(self, RecorderParameters)
        self.recorder = Recorder(
            Path(self.parameters.run).expanduser().resolve(),
            namespace=self.get_namespace(),
            images_always=self.parameters.record_cameras_always,
            log=self.get_logger().warning,
        )
        self._slowest = 0.0
        self._record("arbitration", Arbitration, LATCHED, self.recorder.beside)
        for device in self.parameters.devices:
            topic = f"teleop/{device}/event"
            self._record(topic, OperatorEvent, EVERY_WORD, self.recorder.beside)
        for topic in filter(None, self.parameters.judgements):
            self._record(topic, Reward, EVERY_WORD, self.recorder.beside)
        for camera in filter(None, self.parameters.record_cameras):
            self._record(f"camera/{camera}/policy", Image, EVERYTHING, self.recorder.image)
        self._raw: BagWriter | None = None
        if self.parameters.raw:
            self._measured: dict[str, Callable[[QoSProfile], object]] = {}
            self._raw = self._record_raw(self.recorder.run_dir / RAW_FOLDER)
            self._met = 0  # looks in a row at which everybody was there
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self.create_timer(LOOK_PERIOD, self._meet, clock=steady)
        else:
            self._take_steps()
        Diagnostics(self, "bags", self._health)

    def _record(
        self, topic: str, kind: type[Any], qos: QoSProfile, take: Callable[[Beside], None]
    ) -> None:
        """Records a topic beside the steps, in the bytes that it comes in."""
        name = type_name(kind)

        def on_message(cdr: bytes) -> None:
            stamp = stamp_to_ns(deserialize_message(cdr, kind).header.stamp)
            take(Beside(topic, name, cdr, max(stamp, 0)))  # A bag has no times before 1970.

        self.create_subscription(kind, topic, on_message, qos, raw=True)

    def _take_steps(self) -> None:
        """Whoever sends steps waits for this: nothing else may be missed from then on."""
        self.create_subscription(Step, "steps", self._on_step, STEPS, raw=True)

    def _meet(self) -> None:
        """Takes steps once all have been there for a while whose raw topics no bag may lack.

        Measurements are taken as they are offered, once somebody does: who offers them reliably
        sends again what was lost on the way, and who does not would not be heard so.
        """
        for topic in list(self._measured):
            offers = self.get_publishers_info_by_topic(topic)
            if offers:
                reliable = all(offer.qos_profile.reliability == _RELIABLE for offer in offers)
                self._measured.pop(topic)(EVERY_WORD if reliable else EVERYTHING)
        if self._met >= LOOKS:
            return
        there = all(self.count_publishers(topic) for topic in NEEDED)
        self._met = self._met + 1 if there else 0
        if self._met == LOOKS:
            self._take_steps()

    def _record_raw(self, folder: Path) -> BagWriter:
        """Records topics as they come, stamped with the time at which they do."""
        bag = BagWriter(folder)
        events = {f"teleop/{d}/event": (OperatorEvent, EVERY_WORD) for d in self.parameters.devices}
        images = dict.fromkeys(filter(None, self.parameters.raw_images), (Image, EVERYTHING))
        namespace = self.get_namespace().rstrip("/")
        for topic, (kind, qos) in {**RAW_TOPICS, **events, **images}.items():

            def write(
                cdr: bytes, topic: str = f"{namespace}/{topic}", name: str = type_name(kind)
            ) -> None:
                try:
                    bag.write(topic, name, cdr, time.time_ns())
                except OSError as error:
                    raise UserError(f"{folder}: cannot be written: {error.strerror}") from None

            subscribe = partial(self.create_subscription, kind, topic, write, raw=True)
            if qos is EVERYTHING:
                self._measured[topic] = subscribe
            else:
                subscribe(qos)
        return bag

    def _on_step(self, cdr: bytes) -> None:
        start = time.monotonic()
        self.recorder.step(deserialize_message(cdr, Step), cdr)
        self._slowest = max(self._slowest, time.monotonic() - start)

    def _health(self) -> Health:
        free = shutil.disk_usage(self.recorder.run_dir).free
        counts, episode = self.recorder.counts, self.recorder.episode
        message = "waiting for steps" if episode is None else f"recording episode {episode}"
        if free < LOW_DISK:
            message = f"only {free / 1e9:.2f} GB left on the disk"
        elif counts.foreign:
            message = f"{counts.foreign} steps of another run dropped: check the run's name"
        slowest, self._slowest = self._slowest, 0.0
        values = {
            **vars(counts),
            "slowest_write_ms": f"{slowest * 1e3:.2f}",
            "disk_free_gb": f"{free / 1e9:.1f}",
        }
        return Health(message, warning=bool(free < LOW_DISK or counts.foreign), values=values)

    def drained(self) -> bool:
        """Whether nobody is left who could send what has to be recorded."""
        reliable = (s for s in self.subscriptions if s.qos_profile.reliability == _RELIABLE)
        return not any(self.count_publishers(s.topic_name) for s in reliable)

    def close(self) -> None:
        """Finishes the bags under way."""
        self.recorder.close()
        if self._raw is not None:
            self._raw.close()


def main() -> None:
    """The program ``recorder_node``."""
    node_main(RecorderNode, RecorderParameters)


if __name__ == "__main__":
    main()
