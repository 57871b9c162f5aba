import pytest

pytest.importorskip("rclpy")

from hilserl_core.errors import UserError
from hilserl_core.parameters import build
from hilserl_teleop.arbitration import Device
from hilserl_teleop.mux_node import MuxParameters


def devices(**values):
    given = {"devices": ("leader", "keyboard"), **values}
    return build(MuxParameters, given).device_list()


def test_one_countdown_serves_all_devices():
    assert devices() == [Device("leader", 2.0), Device("keyboard", 2.0)]
    assert devices(countdowns=(0.5, 0.0)) == [Device("leader", 0.5), Device("keyboard", 0.0)]


def test_in_lockstep_ticks_wait_for_the_devices_named():
    assert devices(lockstep=True) == [Device("leader", 0.0, True), Device("keyboard", 2.0)]
    assert not any(device.lockstep for device in devices(lockstep=True, lockstep_devices=("",)))


def test_a_scripted_persons_device_yields():
    assert [device.yields for device in devices(yielding_devices=("leader",))] == [True, False]
    assert not any(device.yields for device in devices())


def test_mistakes_name_the_parameter_and_the_remedy():
    with pytest.raises(UserError, match="'countdowns': 3 numbers for 2 devices"):
        devices(countdowns=(1.0, 2.0, 3.0))
    with pytest.raises(UserError, match="'lockstep_devices': 'mouse' is not in devices"):
        devices(lockstep=True, lockstep_devices=("mouse",))
    with pytest.raises(UserError, match="'yielding_devices': 'mouse' is not in devices"):
        devices(yielding_devices=("mouse",))
    with pytest.raises(UserError, match="countdowns"):
        devices(countdowns=(-1.0,))
