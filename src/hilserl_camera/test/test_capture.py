"""The capture thread: the newest frame wins, once, and a source that went comes back."""

from __future__ import annotations

import queue
import time

import numpy as np
import pytest

from hilserl_camera.capture import Capture
from hilserl_camera.source import Frame, SourceLost
from hilserl_core.errors import UserError

LOST = "lost"


class Script:
    """A source that gives what the test puts in."""

    def __init__(self):
        self.next: queue.Queue = queue.Queue()
        self.opens = 0
        self.closes = 0
        self.refuse = ""
        self.size = (4, 3)

    def open(self):
        self.opens += 1
        if self.refuse:
            raise UserError(self.refuse)
        return self.size

    def grab(self):
        item = self.next.get()
        if item == LOST:
            raise SourceLost("the camera is gone")
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self.closes += 1


def frame(stamp):
    return Frame(np.zeros((3, 4, 3), np.uint8), stamp)


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def capture(script):
    result = Capture(script, retry=0.01)
    yield result
    script.refuse = ""
    result._ended.set()
    script.next.put(None)
    result.close()


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.002)


def test_a_frame_is_given_out_once(script, capture):
    script.next.put(frame(1))
    assert capture.take(10.0).stamp == 1
    assert capture.take(0.01) is None


def test_the_newest_frame_wins(script, capture):
    for stamp in (1, 2, 3):
        script.next.put(frame(stamp))
    until(lambda: capture.counts.captured == 3)
    assert capture.take(10.0).stamp == 3
    assert capture.counts.dropped == 2
    assert capture.take(0.0) is None


def test_a_frame_that_was_given_is_not_given_again(script, capture):
    for stamp in (5, 5, 4, 6):
        script.next.put(frame(stamp))
    until(lambda: capture.counts.captured + capture.counts.damaged == 4)
    assert capture.counts.captured == 2
    assert capture.take(10.0).stamp == 6


def test_a_clock_that_was_set_back_is_followed(script, capture):
    script.next.put(frame(10_000_000_000))
    assert capture.take(10.0).stamp == 10_000_000_000
    script.next.put(frame(2_000_000_000))
    assert capture.take(10.0).stamp == 2_000_000_000


def test_damaged_frames_are_counted(script, capture):
    script.next.put(None)
    script.next.put(frame(1))
    assert capture.take(10.0).stamp == 1
    assert capture.counts.damaged == 1


def test_a_source_that_went_comes_back(script, capture):
    script.next.put(frame(1))
    assert capture.take(10.0).stamp == 1
    script.refuse = "no camera /dev/video0"
    script.next.put(LOST)
    until(lambda: capture.problem == "no camera /dev/video0")
    assert capture.take(0.05) is None
    assert script.closes >= 1
    script.refuse = ""
    until(lambda: not capture.problem)
    script.next.put(frame(2))
    assert capture.take(10.0).stamp == 2
    assert capture.counts.reconnections == 1


def test_a_frame_before_the_loss_is_not_stamped_anew(script, capture):
    script.next.put(frame(7))
    script.next.put(LOST)
    script.next.put(frame(7))
    script.next.put(frame(8))
    until(lambda: capture.counts.captured == 2)
    assert capture.take(10.0).stamp == 8
    assert capture.counts.damaged == 1


def test_an_error_of_another_kind_is_told_and_the_thread_lives(script, capture):
    script.refuse = "still away"
    script.next.put(ValueError("bad luck"))
    until(lambda: capture.problem == "still away")
    script.refuse = ""
    script.next.put(frame(1))
    assert capture.take(10.0).stamp == 1


def test_a_camera_that_comes_back_with_another_size_is_not_used(script):
    def check(width, height):
        if (width, height) != (4, 3):
            raise UserError(f"{width} x {height} does not hold the region")

    capture = Capture(script, check, retry=0.01)
    script.size = (2, 2)
    script.next.put(LOST)
    until(lambda: capture.problem == "2 x 2 does not hold the region")
    script.size = (4, 3)
    until(lambda: not capture.problem)
    capture._ended.set()
    script.next.put(None)
    capture.close()
    assert script.closes >= 2


def test_a_source_that_cannot_be_opened_is_an_error_at_once(script):
    script.refuse = "no camera"
    with pytest.raises(UserError, match="no camera"):
        Capture(script)


def test_the_rate_is_that_of_the_last_frames(script):
    now = [0.0]
    capture = Capture(script, clock=lambda: now[0])
    for stamp in range(1, 5):
        now[0] += 0.1
        script.next.put(frame(stamp))
        until(lambda stamp=stamp: capture.counts.captured == stamp)
    assert capture.rate.hertz() == pytest.approx(10.0)
    now[0] += 5.0
    assert capture.rate.hertz() == 0.0
    assert capture.rate.age() == pytest.approx(5.0)
    capture._ended.set()
    script.next.put(None)
    capture.close()
