"""Feetech STS servos, by Feetech's SDK (PyPI: feetech-servo-sdk, module scservo_sdk)."""

from __future__ import annotations

from collections.abc import Sequence

from scservo_sdk import COMM_SUCCESS, protocol_packet_handler

from hilserl_drivers.bus import Bus
from hilserl_drivers.feetech_models import MULTI_TURN_FEEDBACK, REVERSED_FEEDBACK
from hilserl_drivers.port import Port
from hilserl_drivers.registers import Family
from hilserl_drivers.transactions import Answer

_HEADER = 4  # Bytes up to and with the length.
_DATA = 5  # Where the data of a status packet begins.
_FULL_TORQUE = 1000


class FeetechBus(Bus):
    """STS3215 servos."""

    family = Family.FEETECH
    model_address = (3, 2)
    _status_bytes = 6
    _longest_request = 259
    _sdk = protocol_packet_handler()

    def _send_sync_read(self, port: Port, address: int, length: int, servos: Sequence[int]) -> int:
        result: int = self._sdk.syncReadTx(port, address, length, list(servos), len(servos))
        return result

    def _receive(self, port: Port) -> Answer | None:
        packet, result = self._sdk.rxPacket(port)
        if result != COMM_SUCCESS:
            return None
        end = _HEADER + packet[3] - 1
        if not _DATA <= end <= len(packet):
            return None
        return Answer(packet[2], packet[4], bytes(packet[_DATA:end]))

    def _is_refusal(self, error: int) -> bool:
        return False  # Its error byte is the hardware error; it does not say that it refused.

    def _is_alert(self, error: int) -> bool:
        return bool(error)

    def unlock(self, servo: int) -> None:
        self.write(servo, "lock", 0)

    def lock(self, servo: int) -> None:
        self.write(servo, "lock", 1)

    def set_effort_limit(self, servo: int, share: float) -> None:
        self.write(servo, "torque_limit", round(share * _FULL_TORQUE))

    def set_plain(self, servo: int) -> None:
        phase = self.recalled(servo, "phase")
        self.write_lasting(servo, "phase", phase & ~(MULTI_TURN_FEEDBACK | REVERSED_FEEDBACK))
