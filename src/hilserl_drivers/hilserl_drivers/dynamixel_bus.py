"""Dynamixel servos, Protocol 2.0, by ROBOTIS' own SDK."""

from __future__ import annotations

from collections.abc import Sequence

from dynamixel_sdk import COMM_SUCCESS, Protocol2PacketHandler
from dynamixel_sdk.robotis_def import INST_REBOOT

from hilserl_drivers.bus import Bus
from hilserl_drivers.port import Port
from hilserl_drivers.registers import Family, Mode
from hilserl_drivers.transactions import ATTEMPTS, Answer, BusError

_ALERT = 0x80  # Of a status packet's error: there is a hardware error.
_HEADER = 7  # Bytes up to and with the length.
_DATA = 9  # Where the data of a status packet begins.
_CRC = 2
_WATCHDOG_UNIT = 0.02  # s
_FULL_PWM = 885


class _PacketHandler(Protocol2PacketHandler):
    """ROBOTIS' SDK, whose own ``txPacket`` loses the bytes that stuffing adds.

    It makes a new list where a packet grows, and goes on with the old one; a servo would take a
    byte of the data for stuffing.
    """

    def addStuffing(self, packet: list[int]) -> list[int]:
        packet[:] = super().addStuffing(packet)
        return packet


class DynamixelBus(Bus):
    """XL430 and XL330 servos."""

    family = Family.DYNAMIXEL
    model_address = (0, 2)
    can_reboot = True
    _status_bytes = 11
    _longest_request = 1024
    _sdk = _PacketHandler()

    def _send_sync_read(self, port: Port, address: int, length: int, servos: Sequence[int]) -> int:
        result: int = self._sdk.syncReadTx(port, address, length, list(servos), len(servos), False)
        return result

    def _receive(self, port: Port) -> Answer | None:
        packet, result = self._sdk.rxPacket(port, False)
        if result != COMM_SUCCESS:
            return None
        # Once the SDK has taken the stuffing out, the list is longer than the packet.
        end = _HEADER + packet[5] + (packet[6] << 8) - _CRC
        if not _DATA <= end <= len(packet):
            return None
        return Answer(packet[4], packet[8], bytes(packet[_DATA:end]))

    def _is_refusal(self, error: int) -> bool:
        return bool(error & ~_ALERT)

    def _is_alert(self, error: int) -> bool:
        return bool(error & _ALERT)

    def reboot(self, servo: int) -> None:
        for _ in range(ATTEMPTS):
            if self._ask(servo, 0, lambda port: self._send_reboot(port, servo)) is not None:
                return
        raise BusError(f"servo {servo} does not answer the request to restart")

    def _send_reboot(self, port: Port, servo: int) -> int:
        packet = [0, 0, 0, 0, servo, 3, 0, INST_REBOOT, 0, 0]
        result: int = self._sdk.txPacket(port, packet)
        port.setPacketTimeout(self._status_bytes)
        return result

    def set_effort_limit(self, servo: int, share: float) -> None:
        model = self.models[servo]
        if self.recalled(servo, "operating_mode") == model.modes.get(Mode.CURRENT_POSITION):
            limit = self.recalled(servo, "current_limit")
            self.write(servo, "goal_current", round(share * limit))
        else:
            self.write(servo, "goal_pwm", round(share * _FULL_PWM))

    def set_watchdog(self, servo: int, seconds: float) -> None:
        units = min(127, max(1, round(seconds / _WATCHDOG_UNIT))) if seconds > 0 else 0
        self.write(servo, "bus_watchdog", units)

    def set_plain(self, servo: int) -> None:
        # Bit 0 turns the direction round, bit 2 has profiles in ms.
        self.write_lasting(servo, "drive_mode", 0)
