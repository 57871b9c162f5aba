"""A bag's messages, sorted into the streams that a contract names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from hilserl_core.measuring import JOINTS, OBJECT, SERVOS, camera_stream
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Event
from hilserl_replay.bag_message import BagMessage, damaged
from hilserl_replay.bag_metadata import BagError
from hilserl_replay.bag_reader import BagReader
from hilserl_replay.contract import Contract, StreamTerms
from hilserl_replay.message_definitions import message_class, message_definition
from hilserl_replay.timeline import SECOND, Stream

JOINT_STATE, SERVO_STATE = "sensor_msgs/msg/JointState", "hilserl_msgs/msg/ServoState"
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
ACTION, ARRAY = "hilserl_msgs/msg/Action", "std_msgs/msg/Float64MultiArray"
_RESPONSES = (2, 3)  # ServiceEventInfo: RESPONSE_SENT, RESPONSE_RECEIVED
_COMMAND_TYPES = {
    "commands": (ARRAY, JOINT_STATE),
    "leader": (JOINT_STATE,),
    "executed": (ACTION,),
}


@dataclass(frozen=True)
class _Role:
    """What a topic is in the contract."""

    name: str
    types: tuple[str, ...]
    take: Callable[[BagMessage], None]


class BagStreams:
    """The streams of one bag.

    Args:
        bag: the bag.
        contract: what its topics are.

    Attributes:
        measured: what is measured, by the names of ``MeasurementReader``.
        terms: of those.
        commands: joint targets: messages, or (joints,) rad of a reset's answer.
        executed, rewards, proposals: stamped with the observation that they are about.
        events, resets, under_way: where episodes begin and end.
        ticks: stamps of ticks, where a topic gives them.
    """

    def __init__(self, bag: BagReader, contract: Contract) -> None:
        self._bag, self._contract = bag, contract
        self._roles: dict[str, list[_Role]] = {}
        self.terms: dict[str, StreamTerms] = {}
        self.measured: dict[str, Stream[BagMessage]] = {}
        self.commands: Stream[Any] = Stream(
            contract.topic(contract.actions.topic), round(contract.actions.max_age * SECOND)
        )
        self.executed: Stream[BagMessage] = Stream(self.commands.name)
        self.rewards: Stream[BagMessage] = Stream(contract.topic(contract.terms.rewards))
        self.proposals: Stream[BagMessage] = Stream(contract.topic(contract.terms.proposals))
        self.events: Stream[Event] = Stream("events")
        self.resets: Stream[None] = Stream(contract.topic(contract.episodes.resets))
        self.under_way: Stream[BagMessage] = Stream(contract.topic(contract.episodes.under_way))
        self.ticks: Stream[BagMessage] = Stream(contract.topic(contract.terms.ticks))
        self._map()

    def messages(self) -> Iterator[BagMessage]:
        """Reads the bag; each message is in its stream when it comes.

        Raises:
            UserError: the bag does not fit the contract.
        """
        self._check_topics()
        for message in self._bag.messages(self._roles.keys()):
            for role in self._roles[message.topic]:
                role.take(message)
            yield message

    def _map(self) -> None:
        contract, terms = self._contract, self._contract.terms
        self._measured(JOINTS, contract.joint_states, (JOINT_STATE,))
        if contract.servo_states is not None:
            self._measured(SERVOS, contract.servo_states, (SERVO_STATE,))
        if terms.observation == "state":
            assert contract.object_pose is not None
            self._measured(OBJECT, contract.object_pose, ("geometry_msgs/msg/PoseStamped",))
        else:
            for name, camera in contract.cameras.items():
                self._measured(camera_stream(name), camera, (IMAGE, COMPRESSED))
        kind = contract.actions.kind
        self._role(contract.actions.topic, "actions", _COMMAND_TYPES[kind], self._take_action)
        for topic in contract.episodes.events:
            self._role(topic, "events", ("hilserl_msgs/msg/OperatorEvent",), self._take_event)
        if contract.episodes.resets:
            kinds = ("hilserl_msgs/srv/Reset_Event",)
            self._role(contract.episodes.resets, "resets", kinds, self._take_reset)
        if contract.episodes.under_way:
            self._role(
                contract.episodes.under_way,
                "under_way",
                ("std_msgs/msg/Bool",),
                lambda message: self.under_way.add(message.stamp, message),
            )
        for topic, name, types, stream in (
            (terms.rewards, "rewards", ("hilserl_msgs/msg/Reward",), self.rewards),
            (terms.proposals, "proposals", (ACTION,), self.proposals),
        ):
            if topic:
                self._role(topic, name, types, self._stamped(stream))
        if terms.ticks:
            self._role(terms.ticks, "ticks", (), self._stamped(self.ticks))

    def _measured(self, name: str, terms: StreamTerms, types: tuple[str, ...]) -> None:
        self.terms[name] = terms
        stream: Stream[BagMessage] = Stream(
            self._contract.topic(terms.topic), round(terms.max_age * SECOND)
        )
        self.measured[name] = stream
        self._role(
            terms.topic,
            name,
            types,
            lambda message: stream.add(self._stamp(message, terms.stamp), message),
        )

    def _role(
        self, topic: str, name: str, types: tuple[str, ...], take: Callable[[BagMessage], None]
    ) -> None:
        self._roles.setdefault(self._contract.topic(topic), []).append(_Role(name, types, take))

    def _stamped(self, stream: Stream[Any]) -> Callable[[BagMessage], None]:
        return lambda message: stream.add(self._stamp(message, "header"), message)

    def _check_topics(self) -> None:
        """Refuses a bag that lacks a topic, or has one of another type."""
        found = self._bag.topics()
        if not found:
            raise BagError(f"{self._bag.path}: holds no topic: it is empty, or no rosbag2 bag")
        for topic, roles in self._roles.items():
            for role in roles:
                if topic not in found and role.name != "events":
                    there = ", ".join(f"{name} ({kind})" for name, kind in sorted(found.items()))
                    raise BagError(
                        f"{self._bag.path}: has no topic {topic}, which the contract names for "
                        f"{role.name}; it has {there}: name one of these"
                    )
                if topic in found and role.types and found[topic] not in role.types:
                    raise BagError(
                        f"{self._bag.path}: topic {topic} is of type {found[topic]}, and "
                        f"{role.name} needs {' or '.join(role.types)}: name another topic"
                    )

    # -- what arrives

    def _stamp(self, message: BagMessage, kind: str) -> int:
        if kind == "receive":
            return message.stamp
        stamp = message.header_stamp
        if stamp == 0:
            raise BagError(
                f"{self._bag.path}: {message.topic} has messages with a stamp of 0: use "
                "'stamp: receive' for it"
            )
        return stamp

    def _take_action(self, message: BagMessage) -> None:
        terms = self._contract.actions
        headless = message.type == ARRAY
        if terms.kind != "executed":
            stamp = message.stamp if headless else self._stamp(message, terms.stamp)
            self.commands.add(stamp, message)
            return
        stamp = self._stamp(message, "header")
        self.executed.add(stamp, message)
        # It answers the observation of its stamp, so its command is news to the next.
        self.commands.add(stamp + 1, message)

    def _take_event(self, message: BagMessage) -> None:
        event = self.decoded(message)
        stamp = stamp_to_ns(event.header.stamp) or message.stamp
        if event.event <= max(Event):
            at = max(stamp, self.events.newest or 0)
            if stamp <= self.events.asked:
                # As live: it counts from the next observation on, however late it was said.
                at = max(at, *(stream.newest or 0 for stream in self.measured.values()))
            self.events.add(at, Event(event.event))

    def _take_reset(self, message: BagMessage) -> None:
        call = self.decoded(message)
        for response in call.response if call.info.event_type in _RESPONSES else ():
            if response.success:
                stamp = stamp_to_ns(response.stamp)
                self.resets.add(stamp, None)
                self.commands.add(stamp, np.array(response.command, np.float64))

    def decoded(self, message: BagMessage) -> Any:
        """The ROS message; from any thread.

        Raises:
            BagError: it is damaged, or of another definition than the one installed.
        """
        installed = message_definition(message.type).hash
        if message.type_hash not in ("", installed):
            raise BagError(
                f"{self._bag.path}: {message.topic} was recorded with another definition of "
                f"{message.type}: read it where the packages are those that recorded it"
            )
        data = message.data
        try:
            return deserialize_message(data, message_class(message.type))
        except Exception as error:  # rclpy raises several kinds
            raise damaged(message, self._bag.path, error) from None
