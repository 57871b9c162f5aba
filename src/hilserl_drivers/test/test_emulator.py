"""What the emulated servos do by themselves, and the pty in front of them."""

import subprocess
import sys
import time

import pytest
from rigs import ArmRig, ServoRig

from hilserl_core.errors import UserError
from hilserl_drivers.arms import ARMS, make_bus
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.bus import EmulatedBus
from hilserl_drivers.emulator.faults import FaultRates
from hilserl_drivers.emulator.servo import OVERLOAD, EmulatedServo
from hilserl_drivers.emulator.wires import LoopbackWire, PtyBus, VirtualClock
from hilserl_drivers.models import MODELS
from hilserl_drivers.registers import Family, Mode
from hilserl_drivers.transactions import Refused, Unplugged
from hilserl_drivers.wire import SerialWire

ARM = ARMS["koch_follower"]


def test_the_watchdog_stops_a_servo_when_the_bus_is_silent():
    rig = ServoRig(["XL330-M288", "XL330-M288"])
    rig.bus.write_positions({1: 0.0, 2: 0.0})
    rig.bus.set_torque([1], True)
    rig.bus.set_profile(1, 0.5, 0.0)
    rig.bus.set_watchdog(1, 0.2)
    rig.bus.write_positions({1: 2.0})
    for _ in range(40):
        # Any request on the bus will do, also one to another servo.
        rig.clock.sleep(0.01)
        rig.bus.read(2, "moving")
    moving = rig.emulated.plant.joints[0].position
    assert moving == pytest.approx(0.2, abs=0.03)
    for _ in range(30):
        rig.clock.sleep(0.1)
        rig.emulated.advance()
    stopped = rig.emulated.plant.joints[0].position
    assert moving < stopped < moving + 0.15
    assert rig.bus.read(1, "bus_watchdog") == -1
    with pytest.raises(Refused):
        rig.bus.write(1, "goal_position", 2048)
    rig.bus.set_watchdog(1, 0.0)
    rig.bus.set_watchdog(1, 0.2)
    rig.bus.write(1, "goal_position", 2048)
    rig.clock.sleep(0.1)
    assert rig.bus.read_states([1])[1].velocity < 0


def test_a_servo_that_strains_too_long_gives_up():
    rig = ServoRig(["STS3215"])
    joint = rig.emulated.plant.joints[0]
    joint.low = joint.high = 0.0
    rig.bus.write_positions({1: 1.0})
    rig.bus.set_torque([1], True)
    for _ in range(8):
        rig.clock.sleep(0.1)
        rig.emulated.advance()
    assert rig.servos[0].get("torque_enable") == 1
    for _ in range(8):
        rig.clock.sleep(0.1)
        rig.emulated.advance()
    assert rig.servos[0].get("torque_enable") == 0
    assert rig.servos[0].get("hardware_error") == OVERLOAD
    assert rig.bus.read_states([1])[1].alert


def test_in_position_mode_a_dynamixel_ignores_a_large_offset():
    servo = EmulatedServo(MODELS["XL330-M288"], 1)
    servo.keep({"homing_offset": 1500})
    clock = VirtualClock()
    bus = EmulatedBus([servo], clock)
    assert servo.get("present_position") == 2048
    servo.keep({"operating_mode": MODELS["XL330-M288"].modes[Mode.EXTENDED_POSITION]})
    bus.advance()
    assert servo.get("present_position") == 3548


def test_bytes_take_the_time_that_they_take():
    clock = VirtualClock()
    servos = [EmulatedServo(MODELS["XL330-M288"], n, 57_600) for n in (1, 2)]
    bus = EmulatedBus(servos, clock, timing=True)
    wire = LoopbackWire(bus, clock, 57_600)
    port_bus = make_bus(Family.DYNAMIXEL, lambda baud: wire, 57_600, 0.01, clock)
    port_bus.open()
    for servo in servos:
        port_bus.attach(servo.id, servo.model)
    began = clock()
    assert len(port_bus.read_states([1, 2])) == 2
    # A request of 16 bytes, two answers of 11 + 21, each after 500 us.
    assert clock() - began == pytest.approx((16 + 2 * 32) * 10 / 57_600 + 2 * 500e-6, abs=2e-4)


def test_a_servo_at_another_baud_rate_does_not_answer():
    clock = VirtualClock()
    bus = EmulatedBus([EmulatedServo(MODELS["STS3215"], 1, 500_000)], clock)
    for baud, found in ((1_000_000, {}), (500_000, {1: 777})):
        wire = LoopbackWire(bus, clock, baud)
        port_bus = make_bus(Family.FEETECH, lambda baud, wire=wire: wire, baud, 0.01, clock)
        port_bus.open()
        assert port_bus.scan([1]) == found


def test_faults_happen_as_often_as_asked():
    rig = ServoRig(["STS3215"] * 6, FaultRates.all(0.05))
    rig.faults.rates = FaultRates(lost=0.05, corrupted=0.05)
    for _ in range(500):
        rig.bus.read_states([1, 2, 3, 4, 5, 6])
    for kind in ("lost", "corrupted"):
        assert 100 < rig.faults.counts[kind] < 200
    assert rig.bus.counts.lost >= 200


@pytest.mark.parametrize("name", ARMS)
def test_an_emulated_arm_stands_where_it_is_put_also_after_a_power_cycle(name):
    for seed in range(5):
        rig = ArmRig(name, seed=seed)
        middle = [0.9 * spec.low + 0.1 * spec.high for spec in rig.arm.servos]
        rig.emulated.place(middle)
        rig.emulated.power_cycle()
        rig.driver.configure()
        assert rig.driver.joints.positions() == pytest.approx(middle, abs=0.01)


@pytest.fixture
def pty(tmp_path):
    arm = EmulatedArm(ARM, time.monotonic)
    with PtyBus(arm.bus, tmp_path / "arm") as port:
        yield arm, port


def open_bus(path):
    bus = make_bus(
        ARM.family, lambda baud: SerialWire(str(path), baud), ARM.baud, 0.2, time.monotonic
    )
    bus.open()
    for spec in ARM.servos:
        bus.attach(spec.id, spec.table)
    return bus


def test_the_sdk_talks_through_a_serial_port(pty):
    _, port = pty
    bus = open_bus(port.path)
    assert len(bus.read_states(ARM.ids)) == 6
    bus.set_torque(ARM.ids, True)
    bus.close()


def test_a_pulled_plug_is_noticed_and_one_put_back_found(pty):
    arm, port = pty
    bus = open_bus(port.path)
    arm.servos[0].set("torque_enable", 1)
    for _ in range(3):
        port.unplug()
        with pytest.raises(Unplugged):
            bus.read_states(ARM.ids)
        with pytest.raises(UserError, match=f"no port {port.path}"):
            bus.open()
        port.plug_in()
        bus.open()
        assert len(bus.read_states(ARM.ids)) == 6
    assert arm.servos[0].get("torque_enable") == 1


def test_a_port_is_for_one_process(pty):
    _, port = pty
    hold = (
        "import sys, time\nfrom hilserl_drivers.wire import SerialWire\n"
        "wire = SerialWire(sys.argv[1], 1_000_000)\nprint('open', flush=True)\ntime.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(port.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(UserError, match=rf"in use by process {holder.pid} \(python"):
            SerialWire(str(port.path), 1_000_000)
    finally:
        holder.kill()
        holder.wait()
