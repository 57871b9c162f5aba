"""A V4L2 camera: what is set on it, how its frames are stamped, and what is said of its faults."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_capture import FakeCapture

from hilserl_camera import device as module
from hilserl_camera.device import Device, available_devices, no_device
from hilserl_camera.source import SourceLost, SourceSettings, make_source
from hilserl_core.errors import UserError

PATH = Path("/dev/video7")


@pytest.fixture(autouse=True)
def _device_file(monkeypatch):
    """A device file that may be opened, whatever this machine has."""
    monkeypatch.setattr(Device, "_check_file", lambda self: None)
    monkeypatch.setattr(module, "by_whom", lambda path: "")
    monkeypatch.setattr(module, "available_devices", lambda: ["/dev/video3 (Webcam)"])


def opened(capture, **settings):
    device = Device(PATH, dataclasses.replace(SourceSettings(), **settings), lambda path: capture)
    device.open()
    return device


def test_format_size_and_rate_are_asked_for_before_the_first_frame():
    capture = FakeCapture()
    assert Device(PATH, SourceSettings(), lambda path: capture).open() == (640, 480)
    assert capture.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert capture.values[cv2.CAP_PROP_FPS] == 30.0
    assert capture.values[cv2.CAP_PROP_BUFFERSIZE] == 1
    # The size that a format allows is asked for once the format is set.
    assert capture.order.index(cv2.CAP_PROP_FOURCC) < capture.order.index(cv2.CAP_PROP_FRAME_WIDTH)


def test_frames_are_rgb():
    bgr = np.zeros((480, 640, 3), np.uint8)
    bgr[:, :, 0] = 200
    device = opened(FakeCapture(frames=[bgr, bgr]))
    np.testing.assert_array_equal(device.grab().rgb[0, 0], [0, 0, 200])


def test_a_stamp_is_the_drivers_where_it_gives_one():
    capture = FakeCapture()
    device = opened(capture)
    capture.values[cv2.CAP_PROP_POS_MSEC] = 1e3 * (time.monotonic() - 0.25)
    age = time.time_ns() - device.grab().stamp
    assert 0.25e9 <= age < 5e9


@pytest.mark.parametrize("received", [0.0, 12.0, 1e15])
def test_a_stamp_is_the_grabs_where_the_driver_gives_none_of_use(received):
    capture = FakeCapture()
    device = opened(capture)
    capture.values[cv2.CAP_PROP_POS_MSEC] = received
    before = time.time_ns()
    assert before <= device.grab().stamp <= time.time_ns()


@pytest.mark.parametrize("damaged", [None, np.empty((0, 0, 3), np.uint8)])
def test_a_damaged_frame_is_none(damaged):
    whole = np.zeros((480, 640, 3), np.uint8)
    device = opened(FakeCapture(frames=[whole, damaged, whole]))
    assert device.grab() is None
    assert device.grab() is not None


def test_a_camera_that_stops_is_lost():
    device = opened(FakeCapture(frames=[np.zeros((480, 640, 3), np.uint8)]))
    with pytest.raises(SourceLost, match=f"camera {PATH} is gone"):
        device.grab()


def test_controls_are_locked_by_hand():
    capture = FakeCapture()
    opened(capture, exposure=156, white_balance=4600, gain=10, focus=30)
    values = capture.values
    assert values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
    assert values[cv2.CAP_PROP_EXPOSURE] == 156
    assert values[cv2.CAP_PROP_AUTO_WB] == 0
    assert values[cv2.CAP_PROP_WB_TEMPERATURE] == 4600
    assert values[cv2.CAP_PROP_GAIN] == 10
    assert values[cv2.CAP_PROP_AUTOFOCUS] == 0
    assert values[cv2.CAP_PROP_FOCUS] == 30


def test_controls_are_given_back_to_the_automatics():
    capture = FakeCapture(values={cv2.CAP_PROP_AUTO_EXPOSURE: 1.0, cv2.CAP_PROP_POS_MSEC: 0.0})
    opened(capture)
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3
    assert capture.values[cv2.CAP_PROP_AUTO_WB] == 1
    assert cv2.CAP_PROP_EXPOSURE not in capture.values


def test_what_the_automatics_found_is_kept_after_a_while():
    found = {cv2.CAP_PROP_EXPOSURE: 321.0, cv2.CAP_PROP_WB_TEMPERATURE: 4100.0}
    capture = FakeCapture(values={**found, cv2.CAP_PROP_POS_MSEC: 0.0})
    device = opened(capture, lock_after=1e-9, focus=5)
    device.grab()
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
    assert capture.values[cv2.CAP_PROP_EXPOSURE] == 321.0
    assert capture.values[cv2.CAP_PROP_AUTO_WB] == 0
    assert capture.values[cv2.CAP_PROP_WB_TEMPERATURE] == 4100.0
    assert capture.values[cv2.CAP_PROP_FOCUS] == 5


def test_the_automatics_go_on_before_that():
    capture = FakeCapture()
    opened(capture, lock_after=60.0).grab()
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3


@pytest.mark.parametrize("name", ["exposure", "gain", "white_balance", "focus"])
def test_a_control_that_is_not_there_is_named(name):
    keys = {
        "exposure": cv2.CAP_PROP_EXPOSURE,
        "gain": cv2.CAP_PROP_GAIN,
        "white_balance": cv2.CAP_PROP_WB_TEMPERATURE,
        "focus": cv2.CAP_PROP_FOCUS,
    }
    capture = FakeCapture(refuses={keys[name]})
    with pytest.raises(UserError, match=f"parameter '{name}': 100 .*has no such control"):
        opened(capture, **{name: 100})
    assert not capture.opened


def test_a_value_that_was_changed_is_told():
    with pytest.raises(UserError, match=r"'exposure': 7 was asked for, and .* took 5"):
        opened(FakeCapture(gives={cv2.CAP_PROP_EXPOSURE: 5.0}), exposure=7)


def test_a_size_that_the_camera_does_not_have():
    capture = FakeCapture(
        gives={cv2.CAP_PROP_FRAME_WIDTH: 1280.0, cv2.CAP_PROP_FRAME_HEIGHT: 720.0}
    )
    with pytest.raises(UserError, match=r"gives 1280 x 720 MJPG where 640 x 480 was asked for"):
        opened(capture)
    assert not capture.opened


def test_a_format_that_the_camera_does_not_have():
    yuyv = cv2.VideoWriter.fourcc(*"YUYV")
    with pytest.raises(UserError, match=r"sends YUYV where fourcc 'MJPG' .* set fourcc to YUYV"):
        opened(FakeCapture(gives={cv2.CAP_PROP_FOURCC: yuyv}))


def test_a_format_of_another_length():
    with pytest.raises(UserError, match="'fourcc': 'JPEG2' is not of four letters"):
        opened(FakeCapture(), fourcc="JPEG2")


def test_a_camera_in_use_names_the_program(monkeypatch):
    monkeypatch.setattr(module, "by_whom", lambda path: " by process 12 (cheese)")
    with pytest.raises(UserError, match=f"{PATH} is in use by process 12 .cheese.: stop that"):
        opened(FakeCapture(opened=False))


def test_a_device_without_pictures_lists_the_cameras():
    with pytest.raises(UserError, match=r"gives no pictures.*there is /dev/video3 \(Webcam\)"):
        opened(FakeCapture(opened=False))


def test_a_camera_without_frames_says_what_may_help():
    with pytest.raises(UserError, match=r"sends no frame.*USB hub"):
        opened(FakeCapture(frames=[]))


# -- device files; _check_file as it is


@pytest.fixture
def check(monkeypatch, request):
    monkeypatch.undo()
    monkeypatch.setattr(module, "available_devices", lambda: ["/dev/video3 (Webcam)"])
    return lambda path: Device(Path(path), SourceSettings())._check_file()


@pytest.mark.parametrize("name", ["/dev/video77", "77"])
def test_no_such_device_names_those_there_are(monkeypatch, name):
    with pytest.raises(UserError, match=f"no camera {name}: there is /dev/video3 .Webcam."):
        make_source(dataclasses.replace(SourceSettings(), device=name))


def test_no_camera_at_all(monkeypatch):
    monkeypatch.setattr(module, "available_devices", lambda: [])
    assert "no camera is connected" in no_device("/dev/video0")


def test_another_kind_of_device_is_no_camera(check):
    with pytest.raises(UserError, match="/dev/null is no camera; there is /dev/video3"):
        check("/dev/null")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, r"no permission to open .*usermod -aG \w+ \$USER"),
        (errno.EBUSY, "is in use"),
        (errno.ENODEV, "no camera"),
        (errno.EIO, "unplug it"),
    ],
)
def test_a_device_that_cannot_be_opened(check, monkeypatch, number, said):
    def deny(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "major", lambda device: 81)
    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(UserError, match=said):
        check("/dev/null")


def test_cameras_are_listed_by_their_lasting_names(tmp_path):
    monkey = tmp_path / "sys/class/video4linux"
    for number, index, name in ((0, 0, "Webcam: Pro"), (1, 1, "Webcam: Pro"), (10, 0, "Wrist")):
        folder = monkey / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "index").write_text(f"{index}\n")
        (folder / "name").write_text(f"{name}\n")
    by_id = tmp_path / "dev/v4l/by-id"
    by_id.mkdir(parents=True)
    (tmp_path / "dev/video10").touch()
    (by_id / "usb-wrist-index0").symlink_to("../../video10")
    assert available_devices(tmp_path) == [
        f"{tmp_path}/dev/video0 (Webcam: Pro)",
        f"{by_id}/usb-wrist-index0 (Wrist)",
    ]
