"""The reward node: judges every observation by its stamp, from the cameras or by a person's word.

An observation that it cannot judge gets no judgement, for nobody may invent a reward: the policy
node then waits, says so, and gives the episode up.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rclpy.node import Node

from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.messages import floats, observation_from_msg
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Event
from hilserl_msgs.msg import Observation, OperatorEvent, Reward
from hilserl_reward.classifier import Classifier, load_classifier
from hilserl_reward.judge import Judge, Probabilities


@dataclass(frozen=True)
class RewardParameters:
    """Parameters of ``reward_node``."""

    judge: str = parameter(
        "classifier",
        "who judges: the classifier, overruled by the operator, or the operator alone",
        choices=("classifier", "operator"),
    )
    classifier: str = parameter("", "file that 'hilserl run hilserl_reward train' wrote")
    frames: int = parameter(
        8, "observations in a row that must say the same before it counts", low=1, high=1000
    )
    gap: float = parameter(
        0.35, "s between two observations beyond which they are not in a row", low=0.01, high=10.0
    )
    threshold: float = parameter(
        0.0,
        "least probability of success to be believed; 0: what the classifier's file says",
        low=0.0,
        high=1.0,
    )
    devices: tuple[str, ...] = parameter(
        ("leader", "keyboard", "console"),
        "operator devices whose events count, as in teleop/DEVICE/event",
    )


class RewardNode(Node):
    """Takes observations, gives rewards."""

    def __init__(self) -> None:
        super().__init__("reward_node")
        p = self.parameters = declare(self, RewardParameters)
        self._classifier = self._load() if p.judge == "classifier" else None
        verdict = None if self._classifier is None else self._classifier.spec.verdict
        self._judge = Judge(verdict, p.frames, round(p.gap * 1e9))
        self._seconds: deque[float] = deque(maxlen=100)
        self._judged = self._refused = 0
        self._success = float("nan")
        self._rewards = self.create_publisher(Reward, "reward", qos.RELIABLE)
        for device in filter(None, p.devices):
            topic = f"teleop/{device}/event"
            self.create_subscription(OperatorEvent, topic, self._on_event, qos.RELIABLE)
        self.create_subscription(Observation, "observation", self._on_observation, qos.RELIABLE)
        Diagnostics(self, "judge", self._health)

    def _load(self) -> Classifier:
        path = self.parameters.classifier
        if not path:
            raise UserError(
                "reward_node: parameter 'classifier' is empty: give a file that "
                "'hilserl run hilserl_reward train' wrote"
            )
        # The simulator, the policy and the learner need the other cores.
        torch.set_num_threads(1)
        classifier = load_classifier(Path(path))
        if self.parameters.threshold:
            spec = dataclasses.replace(classifier.spec, success=self.parameters.threshold)
            classifier.spec = spec
        return classifier

    def _on_event(self, message: OperatorEvent) -> None:
        if message.event <= max(Event):
            self._judge.event(stamp_to_ns(message.header.stamp), Event(message.event))

    def _on_observation(self, message: Observation) -> None:
        start = time.monotonic()
        probabilities: Probabilities = np.zeros(0, np.float32)
        if self._classifier is not None:
            try:
                probabilities = self._classifier.judge(observation_from_msg(message))
            except UserError as error:
                self._refused += 1
                self.get_logger().error(f"not judged: {error}", throttle_duration_sec=5.0)
                return
            self._success = float(probabilities[-1])
        said = self._judge.judge(stamp_to_ns(message.header.stamp), probabilities)
        reward = Reward(value=said.value, judge=said.judge)
        reward.header.stamp = message.header.stamp
        reward.probabilities = floats(said.probabilities)
        self._rewards.publish(reward)
        self._judged += 1
        self._seconds.append(time.monotonic() - start)

    def _health(self) -> Health:
        mean = sum(self._seconds) / len(self._seconds) if self._seconds else 0.0
        values = {
            "judge": self.parameters.judge,
            "judged": self._judged,
            "refused": self._refused,
            "probability of success": f"{self._success:.3f}",
            "ms a judgement": f"{1e3 * mean:.2f}",
        }
        message = "judging" if self._judged else "waiting for observations"
        if self._refused:
            message = f"{self._refused} observations could not be judged: see the log"
        return Health(message, warning=bool(self._refused), values=values)


def main() -> None:
    run_node(RewardNode, RewardParameters)


if __name__ == "__main__":
    main()
