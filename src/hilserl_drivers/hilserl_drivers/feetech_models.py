"""The control table of the Feetech STS3215 of an SO-101 arm, after Feetech's memory table.

Numbers with a sign are a magnitude and a sign bit, whose place differs between registers.
The homing offset is subtracted: position = encoder - offset, modulo a turn. An STS3215 has
no bus watchdog; it goes on to its last goal, which the driver keeps close.
"""

from __future__ import annotations

from hilserl_drivers.registers import RADIANS_PER_TICK, RPM, Family, Mode, Model, Register

MULTI_TURN_FEEDBACK = 0x10
"""The bit of ``phase`` with which positions count turns instead of staying within one."""

REVERSED_FEEDBACK = 0x80
"""The bit of ``phase`` that turns their direction round."""

STS3215 = Model(
    name="STS3215",
    number=777,
    family=Family.FEETECH,
    registers={
        "firmware": Register(0, 1, writable=False, initial=3),
        "model_number": Register(3, 2, writable=False, initial=777),
        "id": Register(5, 1, initial=1),
        "baud_rate": Register(6, 1),
        "return_delay": Register(7, 1, initial=250),
        "status_level": Register(8, 1, initial=1),
        "min_position": Register(9, 2),
        "max_position": Register(11, 2, initial=4095),
        "temperature_limit": Register(13, 1, initial=70),
        "max_voltage": Register(14, 1, initial=140),
        "min_voltage": Register(15, 1, initial=40),
        "max_torque": Register(16, 2, initial=1000),
        "phase": Register(18, 1, initial=12),
        "position_p_gain": Register(21, 1, initial=32),
        "position_d_gain": Register(22, 1, initial=32),
        "position_i_gain": Register(23, 1),
        "protection_current": Register(28, 2, initial=500),
        "homing_offset": Register(31, 2, sign_bit=11),
        "operating_mode": Register(33, 1),
        "torque_enable": Register(40, 1),
        "profile_acceleration": Register(41, 1),
        "goal_position": Register(42, 2, sign_bit=15),
        "goal_time": Register(44, 2),
        "profile_velocity": Register(46, 2, sign_bit=15),
        "torque_limit": Register(48, 2, initial=1000),
        "lock": Register(55, 1, initial=1),
        "present_position": Register(56, 2, sign_bit=15, writable=False),
        "present_velocity": Register(58, 2, sign_bit=15, writable=False),
        "present_load": Register(60, 2, sign_bit=10, writable=False),
        "present_voltage": Register(62, 1, writable=False),
        "present_temperature": Register(63, 1, writable=False),
        "hardware_error": Register(65, 1, writable=False),
        "moving": Register(66, 1, writable=False),
        "present_current": Register(69, 2, sign_bit=15, writable=False),
    },
    eeprom_end=40,
    modes={Mode.POSITION: 0, Mode.VELOCITY: 1, Mode.PWM: 2, Mode.STEP: 3},
    state=("present_position", "present_current"),
    # 1 step/s, which is 0.01465 rpm.
    velocity_unit=RADIANS_PER_TICK,
    current_unit=0.0065,
    acceleration_unit=100 * RADIANS_PER_TICK,
    offset_sign=-1,
    # The 7.4 V and the 12 V version answer with the same model number.
    voltage=(4.5, 14.0),
    temperature_limit=70.0,
    no_load_speed=55 * RPM,
    stall_current=2.7,
    errors={
        0: "input voltage out of range",
        1: "encoder failure",
        2: "overheated",
        3: "too much current",
        5: "overload",
    },
)

BAUD_CODES = {1_000_000: 0, 500_000: 1, 250_000: 2, 128_000: 3, 115_200: 4}
