"""The robot's measurements, as the policy node receives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from hilserl_core.errors import UserError
from hilserl_core.qos import measurements
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Observation
from hilserl_description.robot import ObservationReader
from hilserl_policy.frames import Frames


class Sensors:
    """Subscribes to what an observation is made of.

    Args:
        node: that subscribes.
        reader: says what is needed, and makes observations of it.
        on_frame: called with a stamp (ns) once every stream's newest measurement has it.
        lockstep: the robot waits for an answer to every frame.

    Attributes:
        topics: of every stream, by its name.
    """

    def __init__(
        self,
        node: Node,
        reader: ObservationReader,
        on_frame: Callable[[int], None],
        lockstep: bool = False,
    ) -> None:
        self._node = node
        self._on_frame = on_frame
        self._reader = reader
        self.topics = list(self._reader.types)
        self.frames = Frames(self.topics)
        for topic, kind in self._reader.types.items():
            node.create_subscription(kind, topic, self._taker(topic), measurements(lockstep))

    def _taker(self, topic: str) -> Callable[[Any], None]:
        """What takes the messages of one stream; one that does not fit is no measurement."""

        def take(message: Any) -> None:
            try:
                value = self._reader.read(topic, message)
            except UserError as error:
                self._node.get_logger().error(f"{topic}: {error}", throttle_duration_sec=5.0)
                return
            stamp = stamp_to_ns(message.header.stamp)
            if self.frames.add(topic, stamp, value):
                self._on_frame(stamp)

        return take

    def observation(self, stamp: int, command: NDArray[np.float64]) -> Observation:
        """The observation of the newest of every stream, with the last executed command.

        Raises:
            SpecError: a part has the wrong size, or is not finite.
        """
        return self._reader.observation(stamp, self.frames.values(), command)
