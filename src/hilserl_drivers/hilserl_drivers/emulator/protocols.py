"""The two protocols from the servos' side, written from their descriptions, without the SDKs.

Protocol 2.0: https://emanual.robotis.com/docs/en/dxl/protocol2/. Feetech's is Protocol 1.0
with instructions 0x82 and 0x83 for several servos at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

PING, READ, WRITE, REBOOT, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x08, 0x82, 0x83
BROADCAST = 0xFE


@dataclass(frozen=True)
class Instruction:
    """A request as it came over the wire."""

    servo: int
    code: int
    parameters: bytes


class Codec(Protocol):
    """One protocol's bytes."""

    address_size: int
    """Bytes of an address, and of a length, in parameters."""

    def take(self, buffer: bytearray) -> Instruction | None:
        """Removes one whole instruction from the start of ``buffer``; None if there is none yet."""

    def status(self, servo: int, error: int, data: bytes = b"") -> bytes:
        """An answer's bytes."""


def crc16(data: bytes) -> int:
    """CRC-16 of Protocol 2.0: polynomial 0x8005, from 0, most significant bit first."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


def _crc_of_byte(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


_CRC_TABLE = [_crc_of_byte(byte) for byte in range(256)]


class DynamixelCodec:
    """Protocol 2.0."""

    address_size = 2
    _HEADER = b"\xff\xff\xfd\x00"
    _STUFFED = b"\xff\xff\xfd"

    def take(self, buffer: bytearray) -> Instruction | None:
        while True:
            start = buffer.find(self._HEADER)
            if start < 0:
                del buffer[: max(0, len(buffer) - len(self._HEADER) + 1)]
                return None
            del buffer[:start]
            if len(buffer) < 7:
                return None
            end = 7 + int.from_bytes(buffer[5:7], "little")
            if not 10 <= end <= 1024:
                del buffer[:4]
                continue
            if len(buffer) < end:
                return None
            packet = bytes(buffer[:end])
            if crc16(packet[:-2]) != int.from_bytes(packet[-2:], "little"):
                del buffer[:4]
                continue
            del buffer[:end]
            body = packet[7:-2].replace(self._STUFFED + b"\xfd", self._STUFFED)
            return Instruction(packet[4], body[0], body[1:])

    def status(self, servo: int, error: int, data: bytes = b"") -> bytes:
        body = bytes([0x55, error]) + data
        body = body.replace(self._STUFFED, self._STUFFED + b"\xfd")
        length = (len(body) + 2).to_bytes(2, "little")
        packet = self._HEADER + bytes([servo]) + length + body
        return packet + crc16(packet).to_bytes(2, "little")


class FeetechCodec:
    """Feetech's protocol."""

    address_size = 1
    _HEADER = b"\xff\xff"

    def take(self, buffer: bytearray) -> Instruction | None:
        while True:
            start = buffer.find(self._HEADER)
            if start < 0:
                del buffer[: max(0, len(buffer) - 1)]
                return None
            del buffer[:start]
            if len(buffer) < 4:
                return None
            end = 4 + buffer[3]
            if buffer[2] > BROADCAST or end < 6:
                del buffer[:1]
                continue
            if len(buffer) < end:
                return None
            packet = bytes(buffer[:end])
            if ~sum(packet[2:-1]) & 0xFF != packet[-1]:
                del buffer[:2]
                continue
            del buffer[:end]
            return Instruction(packet[2], packet[4], packet[5:-1])

    def status(self, servo: int, error: int, data: bytes = b"") -> bytes:
        body = bytes([servo, len(data) + 2, error]) + data
        return self._HEADER + body + bytes([~sum(body) & 0xFF])
