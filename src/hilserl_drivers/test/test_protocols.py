"""The emulator's protocols: against the manual's examples, and against the vendors' SDKs."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hilserl_drivers.dynamixel_bus import DynamixelBus
from hilserl_drivers.emulator.protocols import (
    PING,
    READ,
    WRITE,
    DynamixelCodec,
    FeetechCodec,
    Instruction,
    crc16,
)
from hilserl_drivers.feetech_bus import FeetechBus
from hilserl_drivers.port import Port
from hilserl_drivers.transactions import Answer

CODECS = {"dynamixel": DynamixelCodec, "feetech": FeetechCodec}
BUSES = {"dynamixel": DynamixelBus, "feetech": FeetechBus}


class Tape:
    """A wire that keeps what is written, and plays what it is given."""

    def __init__(self, played: bytes = b"") -> None:
        self.written = bytearray()
        self.played = bytearray(played)

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def read(self, length: int) -> bytes:
        result = bytes(self.played[:length])
        del self.played[:length]
        return result

    def wait(self, seconds: float) -> None:
        pass

    def discard(self) -> None:
        pass

    def close(self) -> None:
        pass


class Ticking:
    """Time that passes by itself, so that waiting for nothing ends."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.0005
        return self.now


def sdk(kind: str, tape: Tape):
    port = Port(tape, 1_000_000, 0.01, Ticking())
    return BUSES[kind](lambda baud: tape, 1_000_000, 0.01, Ticking()), port


def test_the_manuals_examples():
    # A ping of servo 1, and its answer: model 1030, firmware 38.
    request = bytearray.fromhex("fffffd00010300 01 194e")
    assert DynamixelCodec().take(request) == Instruction(1, PING, b"")
    answer = DynamixelCodec().status(1, 0, bytes([0x06, 0x04, 0x26]))
    assert answer == bytes.fromhex("fffffd000107005500060426655d")
    # Reading 4 bytes at 132; 166 comes back.
    request = bytearray.fromhex("fffffd000107000284000400 1d15")
    assert DynamixelCodec().take(request) == Instruction(1, READ, bytes([0x84, 0, 4, 0]))
    answer = DynamixelCodec().status(1, 0, bytes([0xA6, 0, 0, 0]))
    assert answer == bytes.fromhex("fffffd00010800 55 00 a6000000 8cc0")
    # Feetech: a ping of servo 1 and its answer.
    assert FeetechCodec().take(bytearray.fromhex("ffff010201fb")) == Instruction(1, PING, b"")
    assert FeetechCodec().status(1, 0) == bytes.fromhex("ffff010200fc")


def test_crc_is_the_sdks():
    data = bytes(range(200))
    assert crc16(data) == DynamixelBus._sdk.updateCRC(0, list(data), len(data))


HEADERS = st.sampled_from([b"\xff\xff\xfd", b"\xff\xff\xfd\x00", b"\xff\xff", b"\xff"])
DATA = st.lists(st.binary(max_size=12) | HEADERS, max_size=6).map(b"".join)


@pytest.mark.parametrize("kind", CODECS)
@given(servo=st.integers(0, 252), data=DATA)
@example(servo=0, data=b"\xff\xff\xfd\xfd")  # The SDK by itself does not send it as it is.
def test_servos_hear_what_the_sdk_sends(kind, servo, data):
    tape = Tape()
    bus, port = sdk(kind, tape)
    assert bus._send_write(port, servo, 100, data) == 0
    codec = CODECS[kind]()
    # With what another request left on the line before it, and the next one behind.
    line = bytearray(b"\x00\xff\xfd" + tape.written + b"\xff\xff")
    instruction = codec.take(line)
    address = (100).to_bytes(codec.address_size, "little")
    assert instruction == Instruction(servo, WRITE, address + data)
    assert line == b"\xff\xff"


@pytest.mark.parametrize("kind", CODECS)
@given(servo=st.integers(0, 252), error=st.integers(0, 127), data=DATA)
def test_the_sdk_hears_what_servos_answer(kind, servo, error, data):
    tape = Tape(CODECS[kind]().status(servo, error, data))
    bus, port = sdk(kind, tape)
    port.setPacketTimeout(100)
    assert bus._next(port) == Answer(servo, error, data)


@pytest.mark.parametrize("kind", CODECS)
@given(noise=st.binary(max_size=120))
def test_noise_on_the_line_raises_nothing_and_ends(kind, noise):
    tape = Tape(noise)
    bus, port = sdk(kind, tape)
    port.setPacketTimeout(20)
    for _ in range(50):
        bus._next(port)
        if port.isPacketTimeout():
            break
    assert port.isPacketTimeout()
    CODECS[kind]().take(bytearray(noise))


@pytest.mark.parametrize("kind", CODECS)
@given(data=st.binary(min_size=10, max_size=21), bit=st.integers(0, 10_000))
def test_no_single_flipped_bit_passes_as_a_whole_answer(kind, data, bit):
    packet = bytearray(CODECS[kind]().status(7, 0, data))
    bit %= 8 * len(packet)
    packet[bit // 8] ^= 1 << bit % 8
    bus, port = sdk(kind, Tape(bytes(packet)))
    port.setPacketTimeout(len(packet))
    heard = []
    while not port.isPacketTimeout():
        answer = bus._next(port)
        heard += [answer] if answer and len(answer.data) == len(data) else []
    assert heard == []
