"""Control tables of the Dynamixel servos of a Koch arm, after ROBOTIS' e-manual.

XL430-W250: https://emanual.robotis.com/docs/en/dxl/x/xl430-w250/
XL330-M288: https://emanual.robotis.com/docs/en/dxl/x/xl330-m288/
XL330-M077: https://emanual.robotis.com/docs/en/dxl/x/xl330-m077/

What differs: an XL430 measures no current (address 126 is its load, and it has neither
current limit nor the modes that regulate current); limits, gains and voltages.
"""

from __future__ import annotations

from hilserl_drivers.registers import RPM, Family, Mode, Model, Register

_ERRORS = {
    0: "input voltage out of range",
    2: "overheated",
    3: "encoder failure",
    4: "electrical shock, or too little power",
    5: "overload",
}
_MODES = {
    Mode.VELOCITY: 1,
    Mode.POSITION: 3,
    Mode.EXTENDED_POSITION: 4,
    Mode.PWM: 16,
}
_CURRENT_MODES = {Mode.CURRENT: 0, **_MODES, Mode.CURRENT_POSITION: 5}


def _common(
    number: int, *, max_voltage: int, min_voltage: int, max_velocity: int
) -> dict[str, Register]:
    """The registers that the three models have at the same address."""
    return {
        "model_number": Register(0, 2, writable=False, initial=number),
        "firmware": Register(6, 1, writable=False, initial=52),
        "id": Register(7, 1, initial=1),
        "baud_rate": Register(8, 1, initial=1),
        "return_delay": Register(9, 1, initial=250),
        "drive_mode": Register(10, 1),
        "operating_mode": Register(11, 1, initial=3),
        "homing_offset": Register(20, 4, signed=True),
        "temperature_limit": Register(31, 1, initial=70),
        "max_voltage": Register(32, 2, initial=max_voltage),
        "min_voltage": Register(34, 2, initial=min_voltage),
        "pwm_limit": Register(36, 2, initial=885),
        "velocity_limit": Register(44, 4, initial=max_velocity),
        "max_position": Register(48, 4, initial=4095),
        "min_position": Register(52, 4),
        "shutdown": Register(63, 1, initial=53),
        "torque_enable": Register(64, 1),
        "hardware_error": Register(70, 1, writable=False),
        "position_d_gain": Register(80, 2),
        "position_i_gain": Register(82, 2),
        "position_p_gain": Register(84, 2, initial=400),
        # In units of 20 ms; -1 says that it has tripped.
        "bus_watchdog": Register(98, 1, signed=True),
        "goal_pwm": Register(100, 2, signed=True, initial=885),
        "goal_velocity": Register(104, 4, signed=True),
        "profile_acceleration": Register(108, 4),
        "profile_velocity": Register(112, 4),
        "goal_position": Register(116, 4, signed=True),
        "moving": Register(122, 1, writable=False),
        "present_velocity": Register(128, 4, signed=True, writable=False),
        "present_position": Register(132, 4, signed=True, writable=False),
        "present_voltage": Register(144, 2, writable=False),
        "present_temperature": Register(146, 1, writable=False),
    }


def _xl330(
    name: str, number: int, *, max_velocity: int, i_gain: int, speed: float, stall_torque: float
) -> Model:
    """An XL330: ``speed`` in rpm and ``stall_torque`` in N m are those at 5 V."""
    registers = _common(number, max_voltage=70, min_voltage=35, max_velocity=max_velocity)
    registers |= {
        "current_limit": Register(38, 2, initial=1750),
        "goal_current": Register(102, 2, signed=True, initial=1750),
        "position_i_gain": Register(82, 2, initial=i_gain),
        "present_current": Register(126, 2, signed=True, writable=False),
    }
    return Model(
        name=name,
        number=number,
        family=Family.DYNAMIXEL,
        registers=registers,
        eeprom_end=64,
        modes=_CURRENT_MODES,
        state=("present_current", "present_temperature"),
        velocity_unit=0.229 * RPM,
        current_unit=0.001,
        acceleration_unit=214.577 * RPM / 60,
        offset_sign=1,
        voltage=(3.7, 6.0),
        temperature_limit=70.0,
        no_load_speed=speed * RPM,
        stall_current=1.47,
        errors=_ERRORS,
        torque_constant=stall_torque / 1.47,
    )


def _xl430() -> Model:
    registers = _common(1060, max_voltage=140, min_voltage=60, max_velocity=265)
    registers |= {
        "temperature_limit": Register(31, 1, initial=72),
        "shutdown": Register(63, 1, initial=52),
        "position_d_gain": Register(80, 2, initial=4000),
        "position_p_gain": Register(84, 2, initial=640),
        "present_load": Register(126, 2, signed=True, writable=False),
    }
    return Model(
        name="XL430-W250",
        number=1060,
        family=Family.DYNAMIXEL,
        registers=registers,
        eeprom_end=64,
        modes=_MODES,
        state=("present_load", "present_temperature"),
        velocity_unit=0.229 * RPM,
        current_unit=None,
        acceleration_unit=214.577 * RPM / 60,
        offset_sign=1,
        voltage=(6.5, 14.0),
        temperature_limit=72.0,
        no_load_speed=61 * RPM,
        stall_current=1.4,
        errors=_ERRORS,
    )


XL430_W250 = _xl430()
XL330_M288 = _xl330("XL330-M288", 1200, max_velocity=445, i_gain=0, speed=103, stall_torque=0.52)
XL330_M077 = _xl330(
    "XL330-M077", 1190, max_velocity=1620, i_gain=400, speed=383, stall_torque=0.215
)

BAUD_CODES = {57_600: 1, 115_200: 2, 1_000_000: 3, 2_000_000: 4, 3_000_000: 5, 4_000_000: 6}
