"""Files and the synthetic pattern as cameras."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_camera.files import FileSource
from hilserl_camera.source import Pace, SourceSettings, make_source
from hilserl_camera.synthetic import BITS, Synthetic, draw, read_number
from hilserl_core.errors import UserError
from hilserl_core.region import Region, policy_image


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def pace(rate=10.0, time=None):
    time = time or Time()
    return Pace(rate, lambda: time.now, time.sleep)


def test_frames_come_at_their_rate():
    time = Time()
    waiting = pace(10.0, time)
    for _ in range(11):
        waiting.wait()
        time.now += 0.03  # that the frame's work takes
    assert time.now == pytest.approx(100.0 + 1.0 + 0.03)


def test_frames_that_were_missed_are_not_made_up_for():
    time = Time()
    waiting = pace(10.0, time)
    waiting.wait()
    time.now += 5.0
    time.slept.clear()
    for _ in range(6):
        waiting.wait()
    assert sum(time.slept) > 0.39


@given(st.integers(0, (1 << BITS) - 1), st.integers(64, 700), st.integers(48, 500))
def test_the_number_is_in_the_pixels(number, width, height):
    assert read_number(draw(width, height, number)) == number


@given(st.integers(0, (1 << BITS) - 1))
def test_the_number_is_in_the_policys_image_too(number):
    small = policy_image(draw(640, 480, number), Region(), (128, 128))
    assert read_number(small) == number


def test_the_pattern_moves_and_counts():
    source = Synthetic(64, 48, pace())
    assert source.open() == (64, 48)
    frames = [source.grab() for _ in range(3)]
    assert [read_number(frame.rgb) for frame in frames] == [0, 1, 2]
    lower = [frame.rgb[24:] for frame in frames]
    assert not np.array_equal(lower[0], lower[1])


def test_an_image_comes_again_and_again(tmp_path):
    rgb = draw(64, 48, 5)
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), rgb[:, :, ::-1])
    source = FileSource(path, pace())
    assert source.open() == (64, 48)
    first, second = source.grab(), source.grab()
    np.testing.assert_array_equal(first.rgb, rgb)
    np.testing.assert_array_equal(second.rgb, rgb)
    assert second.stamp > first.stamp


def test_a_video_begins_again_at_its_end(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (320, 240))
    for number in range(3):
        writer.write(np.ascontiguousarray(draw(320, 240, number)[:, :, ::-1]))
    writer.release()
    source = FileSource(path, pace())
    assert source.open() == (320, 240)
    assert [read_number(source.grab().rgb) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    source.close()


def test_a_file_that_is_no_picture(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see")
    with pytest.raises(UserError, match=r"notes.txt is no image and no video .* PNG, JPEG, MP4"):
        make_source(dataclasses.replace(SourceSettings(), device=str(path))).open()


def test_a_file_that_is_not_there():
    with pytest.raises(UserError, match=r"there is no file /no/such.mp4: name a video"):
        make_source(dataclasses.replace(SourceSettings(), device="/no/such.mp4"))
