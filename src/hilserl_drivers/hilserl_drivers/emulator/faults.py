"""What goes wrong on a wire, on demand."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, fields

from hilserl_drivers.emulator.protocols import Codec


@dataclass(frozen=True)
class FaultRates:
    """How often each kind happens, a share of packets.

    Attributes:
        lost: an answer does not arrive.
        late: it comes after the one who asked has given up.
        split: it comes in two parts.
        corrupted: bits flip, or bytes are changed, lost or added.
        wrong_id: it says, with a right checksum, that another servo sent it.
        unheard: a request does not arrive.
        garbled: a request arrives damaged.
    """

    lost: float = 0.0
    late: float = 0.0
    split: float = 0.0
    corrupted: float = 0.0
    wrong_id: float = 0.0
    unheard: float = 0.0
    garbled: float = 0.0

    @classmethod
    def all(cls, rate: float) -> FaultRates:
        """Every kind at the same rate."""
        return cls(*[rate] * len(fields(cls)))


class Faults:
    """Draws faults and counts them.

    Attributes:
        rates: may be replaced at any time.
        counts: of each kind, so far.
    """

    def __init__(self, rates: FaultRates | None = None, seed: int = 0) -> None:
        self.rates = rates or FaultRates()
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)

    def _happens(self, kind: str) -> bool:
        rate = getattr(self.rates, kind)
        if rate and self._random.random() < rate:
            self.counts[kind] += 1
            return True
        return False

    def request(self, data: bytes) -> bytes:
        """A request as it arrives at the servos."""
        if self._happens("unheard"):
            return b""
        return self._damage(data) if self._happens("garbled") else data

    def answer(
        self, codec: Codec, servo: int, error: int, data: bytes, others: list[int]
    ) -> list[tuple[float, bytes]]:
        """An answer as it arrives at the host: parts, each with its delay in s.

        Args:
            codec: of the bus.
            servo, error, data: what is answered.
            others: ids of the other servos of the bus.
        """
        if self._happens("lost"):
            return []
        if self._happens("wrong_id"):
            servo = self._random.choice([*others, self._random.randrange(253)])
        packet = codec.status(servo, error, data)
        if self._happens("corrupted"):
            packet = self._damage(packet)
        delay = self._random.uniform(0.005, 0.06) if self._happens("late") else 0.0
        if self._happens("split") and len(packet) > 1:
            middle = self._random.randrange(1, len(packet))
            gap = self._random.uniform(0.0002, 0.003)
            return [(delay, packet[:middle]), (delay + gap, packet[middle:])]
        return [(delay, packet)]

    def _damage(self, packet: bytes) -> bytes:
        result = bytearray(packet)
        kind = self._random.choice(("flip", "change", "drop", "add", "burst"))
        place = self._random.randrange(len(result))
        if kind == "flip":
            for _ in range(self._random.randint(1, 3)):
                bit = self._random.randrange(8 * len(result))
                result[bit // 8] ^= 1 << bit % 8
        elif kind == "change":
            result[place] ^= self._random.randrange(1, 256)
        elif kind == "drop":
            del result[place]
        elif kind == "add":
            result.insert(place, self._random.randrange(256))
        else:
            for index in range(place, min(len(result), place + self._random.randint(2, 6))):
                result[index] = self._random.randrange(256)
        return bytes(result)
