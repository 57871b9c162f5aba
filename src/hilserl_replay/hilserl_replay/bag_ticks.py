"""A bag as ticks: at each, the observation and what else is known of it.

Messages stay where they lie in the bag until a tick wants them, and images are decoded beside
the reading, so that a frame that no tick uses costs next to nothing.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilserl_core.assembly import ObservationAssembler
from hilserl_core.episode_loop import Executed, Proposal
from hilserl_core.errors import UserError
from hilserl_core.images import to_rgb
from hilserl_core.measuring import SERVOS, MeasurementReader, by_name
from hilserl_core.messages import float32
from hilserl_core.region import Region, policy_image
from hilserl_core.step import Event, Observation, Source
from hilserl_description.action_mapping import ActionReader
from hilserl_description.arm_model import JOINT_NAMES
from hilserl_description.kinematics import ForwardKinematics
from hilserl_replay.bag_message import BagMessage
from hilserl_replay.bag_metadata import BagError
from hilserl_replay.bag_reader import BagReader
from hilserl_replay.bag_streams import ACTION, JOINT_STATE, BagStreams
from hilserl_replay.contract import RECORDED, CameraTerms, Contract
from hilserl_replay.timeline import SECOND, Sample, Stream, Timeline

_IN_FLIGHT = 4  # ticks whose images are being decoded


@dataclass
class Tick:
    """One tick.

    Attributes:
        observation: what was seen.
        command: (joints,) rad, in force at the observation; the gripper at a setpoint.
        executed: the action that answered, where the bag says so.
        proposal: the policy's.
        reward: how the observation was judged, where it was.
        events: stamps (ns) and words of operators since the tick before.
        reset: whether the arm was reset since the tick before.
        under_way: whether an episode is; None where the bag does not say.
    """

    observation: Observation
    command: NDArray[np.float64]
    executed: Executed | None = None
    proposal: Proposal = field(default_factory=lambda: Proposal(np.zeros(0, np.float32)))
    reward: float | None = None
    events: list[tuple[int, Event]] = field(default_factory=list)
    reset: bool = False
    under_way: bool | None = None


@dataclass
class TickCounts:
    """What became of the ticks of a bag."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    pauses: int = 0
    late: int = 0
    seconds: float = 0.0


@dataclass
class _Unread:
    """A tick whose images may still be on their way."""

    stamp: int
    values: dict[str, Any]
    command: NDArray[np.float64]
    rest: dict[str, Any]


class BagTicks:
    """Reads one bag after a contract.

    Args:
        bag: the bag.
        contract: what its topics are.
        pool: decodes images.
        sizes: of each camera's frames, kept from bag to bag: it may not change.

    Attributes:
        counts: complete once the ticks were read.
    """

    def __init__(
        self,
        bag: BagReader,
        contract: Contract,
        pool: Executor,
        sizes: dict[str, tuple[int, int]],
    ) -> None:
        self.counts = TickCounts()
        self._bag, self._contract, self._pool, self._sizes = bag, contract, pool, sizes
        self._reader = MeasurementReader(contract.observation_spec, JOINT_NAMES)
        self._assemble = ObservationAssembler(
            contract.observation_spec, ForwardKinematics(contract.arm).position
        )
        self._actions = ActionReader(contract.action_spec, contract.arm)
        self._streams = BagStreams(bag, contract)
        self._held: dict[str, tuple[Sample[BagMessage], Any]] = {}
        self._timeline = Timeline(self._streams.measured.values())
        self._start: int | None = None
        self._number = 0
        self._last = -1
        self._events_due: list[tuple[int, Event]] = []
        self._reset_due = False

    def read(self) -> Iterator[Tick]:
        """The bag's ticks, in order.

        Raises:
            UserError: the bag does not fit the contract.
        """
        unread: deque[_Unread] = deque()
        first = last = None
        for message in self._streams.messages():
            first, last = first or message.stamp, message.stamp
            unread.extend(self._due(final=False))
            while len(unread) > _IN_FLIGHT:
                yield from self._finished(unread.popleft())
        unread.extend(self._due(final=True))
        for each in unread:
            yield from self._finished(each)
        self.counts.late = sum(stream.late for stream in self._streams.measured.values())
        self.counts.seconds = (last - first) / SECOND if first and last else 0.0

    @property
    def events_left(self) -> list[tuple[int, Event]]:
        """Stamps (ns) and words of operators after the last tick."""
        later = self._streams.events.up_to(2**63)
        return self._events_due + [(sample.stamp, sample.item) for sample in later]

    def _due(self, final: bool) -> Iterator[_Unread]:
        """The ticks whose samples have all come."""
        while True:
            tick = self._next_tick()
            if tick is None or not (final or self._timeline.ready(tick)):
                return
            if final and not self._contract.terms.ticks and tick > self._end():
                return
            self._number += 1
            made = self._make(tick)
            if made is not None:
                yield made

    def _next_tick(self) -> int | None:
        if self._contract.terms.ticks:
            return self._streams.ticks.following
        if self._start is None:
            return self._following
        return self._start + round(self._number * SECOND / self._contract.terms.control_rate)

    @property
    def _following(self) -> int | None:
        """Stamp of the next sample of any stream, ns."""
        streams = self._streams.measured.values()
        return min((s.following for s in streams if s.following is not None), default=None)

    def _end(self) -> int:
        return max(s.newest for s in self._streams.measured.values() if s.newest is not None)

    def _make(self, tick: int) -> _Unread | None:
        """One tick, unless a stream has no sample for it."""
        self._streams.ticks.up_to(tick)
        if self._start is None:
            self._start, self._number = tick, 1
        samples, reason = {}, ""
        for name, stream in self._streams.measured.items():
            sample = stream.fresh(tick)
            if sample is None:
                reason = reason or self._why_none(stream, tick)
            else:
                samples[name] = sample
        if not samples and not self._contract.terms.ticks:
            self.counts.pauses += 1
            self._skip_pause()
            return None
        command = self._streams.commands.fresh(tick)
        if command is None:
            reason = reason or self._why_none(self._streams.commands, tick)
        newest = max((sample.stamp for sample in samples.values()), default=-1)
        stamp = tick if self._contract.terms.ticks else newest
        if not reason and stamp <= self._last:
            reason = "nothing new since the tick before"
            self._skip_pause()
        if reason or command is None:
            self.counts.dropped[reason] += 1
            return None
        try:
            return self._unread(tick, stamp, samples, command.item)
        except _Unfit as error:
            self.counts.dropped[str(error)] += 1
            return None

    def _why_none(self, stream: Stream[BagMessage], tick: int) -> str:
        if stream.at(tick) is None:
            return f"{stream.name}: nothing yet"
        return f"{stream.name}: nothing newer than {stream.max_age / SECOND:g} s"

    def _skip_pause(self) -> None:
        """Goes on with the clock where something is measured again."""
        if self._following is not None and self._start is not None:
            period = SECOND / self._contract.terms.control_rate
            ticks = math.ceil((self._following - self._start) / period)
            self._number = max(self._number, ticks)

    def _unread(
        self, tick: int, stamp: int, samples: Mapping[str, Sample[BagMessage]], command: Any
    ) -> _Unread:
        values = {name: self._value(name, sample) for name, sample in samples.items()}
        if self._contract.servo_states is None:
            values[SERVOS] = np.zeros(len(JOINT_NAMES))
        given = self._command(command)
        self._last = stamp
        return _Unread(stamp, values, given, {**self._told(tick), **self._boundaries(tick)})

    def _told(self, tick: int) -> dict[str, Any]:
        """What messages say that are stamped with the observation that they are about."""
        streams, result = self._streams, dict[str, Any]()
        executed = streams.executed.at(tick)
        if executed is not None and executed.stamp == tick:
            action = streams.decoded(executed.item)
            told = self._contract.terms.source
            source = Source(action.source) if told == RECORDED else Source[told]
            result["executed"] = Executed(float32(action.values), source)
        reward = streams.rewards.at(tick)
        if reward is not None and reward.stamp == tick:
            result["reward"] = float(streams.decoded(reward.item).value)
        proposal = streams.proposals.at(tick)
        if proposal is not None:
            # To the last observation of an episode none is sent: the policy is the one before.
            action, answers = streams.decoded(proposal.item), proposal.stamp == tick
            values = float32(action.values if answers else ())
            result["proposal"] = Proposal(values, version=action.policy_version)
        return result

    def _boundaries(self, tick: int) -> dict[str, Any]:
        """What says where episodes begin and end."""
        events = self._streams.events.up_to(tick - 1)
        result: dict[str, Any] = {
            "events": [(sample.stamp, sample.item) for sample in events],
            "reset": bool(self._streams.resets.up_to(tick)),
        }
        flag = self._streams.under_way.at(tick)
        if self._contract.episodes.under_way:
            result["under_way"] = flag is not None and self._streams.decoded(flag.item).data
        return result

    def _value(self, name: str, sample: Sample[BagMessage]) -> Any:
        """What a sample measures, read once however many ticks it serves."""
        held = self._held.get(name)
        if held is not None and held[0] is sample:
            value = held[1]
        else:
            value = self._read_value(name, sample.item)
            self._held[name] = (sample, value)
        return value

    def _read_value(self, name: str, message: BagMessage) -> Any:
        terms = self._streams.terms[name]
        if isinstance(terms, CameraTerms):
            return self._pool.submit(self._picture, name, terms, message)
        decoded = self._streams.decoded(message)
        try:
            return self._reader.read(name, decoded)
        except UserError as error:
            raise _Unfit(f"{message.topic}: {error}") from None

    def _picture(self, name: str, terms: CameraTerms, message: BagMessage) -> NDArray[np.uint8]:
        """What the policy sees of a frame (height, width, 3) uint8; in a thread of the pool."""
        size = self._contract.terms.image_size
        decoded = self._streams.decoded(message)
        try:
            frame = to_rgb(decoded)
            found = (frame.shape[1], frame.shape[0])
            expected = self._sizes.setdefault(name, found)
            if found != expected:
                raise BagError(
                    f"{self._bag.path}: {message.topic}: its images change from {expected[0]} x "
                    f"{expected[1]} to {found[0]} x {found[1]} at stamp "
                    f"{message.header_stamp / SECOND:.3f}, and a region is of one size: convert "
                    "the parts on their own, each with its contract"
                )
            return policy_image(frame, Region.of(terms.region), (size, size))
        except BagError:
            raise
        except UserError as error:
            raise _Unfit(f"{message.topic}: {error}") from None

    def _command(self, command: Any) -> NDArray[np.float64]:
        """(joints,) rad, of a message or of a reset's answer."""
        if isinstance(command, np.ndarray):
            values, found, topic = command, JOINT_NAMES, self._contract.episodes.resets
        else:
            decoded, topic = self._streams.decoded(command), command.topic
            if command.type == JOINT_STATE:
                values, found = decoded.position, decoded.name
            elif command.type == ACTION:
                values, found = decoded.command, JOINT_NAMES
            else:
                values, found = decoded.data, self._contract.actions.joints
        try:
            return by_name(JOINT_NAMES, list(found), values, "command")
        except UserError as error:
            raise _Unfit(f"{topic}: {error}") from None

    def _finished(self, unread: _Unread) -> Iterator[Tick]:
        """The tick, once its images are decoded; what was said in one that is dropped stays due."""
        self._events_due += unread.rest["events"]
        self._reset_due |= unread.rest["reset"]
        command = unread.command
        if self._contract.actions.kind != "executed":
            command = self._actions.settled(command)
        try:
            values = {
                name: value.result() if isinstance(value, Future) else value
                for name, value in unread.values.items()
            }
            observation = self._assemble(self._reader.measurements(unread.stamp, values, command))
        except BagError:
            raise
        except UserError as error:
            self.counts.dropped[str(error)] += 1
            return
        events, self._events_due = self._events_due, []
        reset, self._reset_due = self._reset_due, False
        self.counts.kept += 1
        rest = {**unread.rest, "events": events, "reset": reset}
        yield Tick(observation, command, **rest)


class _Unfit(UserError):
    """A message that is no measurement."""
