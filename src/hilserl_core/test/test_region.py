"""From a frame to the policy's image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_core.region import Region, policy_image


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_the_whole_frame_at_its_own_size_is_left_alone():
    frame = picture(12, 10)
    assert policy_image(frame, Region(), (12, 10)) is frame


def test_a_region_of_the_right_size_is_cut_out():
    frame = picture(12, 10)
    np.testing.assert_array_equal(policy_image(frame, Region(3, 2, 5, 4), (5, 4)), frame[2:6, 3:8])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_every_pixel_is_the_mean_of_its_area(across, down, x, y):
    frame = picture(4 * across + 3, 3 * down + 3, seed=across)
    part = frame[y : y + 3 * down, x : x + 4 * across].astype(float)
    mean = part.reshape(3, down, 4, across, 3).mean(axis=(1, 3))
    small = policy_image(frame, Region(x, y, 4 * across, 3 * down), (4, 3))
    assert np.abs(small - mean).max() <= 0.51


def test_areas_that_are_no_whole_pixels_are_weighted():
    row = np.array([[0, 90, 255]], np.uint8)[:, :, None].repeat(3, axis=2)
    small = policy_image(row.repeat(2, axis=0), Region(), (2, 2))
    # One and a half pixels each: (0 + 90 / 2) / 1.5 and (90 / 2 + 255) / 1.5.
    np.testing.assert_array_equal(small[0, :, 0], [30, 200])


def test_a_region_is_seen_alone():
    frame = picture(40, 30)
    other = picture(40, 30, seed=1)
    region = Region(7, 5, 21, 17)
    region.crop(other)[:] = region.crop(frame)
    small = policy_image(frame, region, (8, 8))
    np.testing.assert_array_equal(small, policy_image(other, region, (8, 8)))


def test_the_same_frame_gives_the_same_image():
    frame = picture(640, 480)
    region = Region(101, 33, 333, 333)
    first = policy_image(frame, region, (128, 128))
    # Where the frame lies in memory makes no difference, nor that it is part of a larger one.
    wide = np.zeros((480, 700, 3), np.uint8)
    wide[:, 30:670] = frame
    np.testing.assert_array_equal(policy_image(wide[:, 30:670], region, (128, 128)), first)


@pytest.mark.parametrize("numbers", [(-1, 0, 5, 5), (0, -2, 5, 5), (0, 0, 0, 5), (3, 0, 0, 0)])
def test_numbers_that_are_no_region_are_refused(numbers):
    with pytest.raises(UserError, match=rf"\[{numbers[0]}, {numbers[1]}"):
        Region.of(numbers)


def test_four_numbers_are_needed():
    with pytest.raises(UserError, match=r"write \[x, y, width, height\]"):
        Region.of([1, 2, 3])


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
def test_a_region_outside_of_the_frame_is_refused(x, y, width, height):
    region, frame = Region(x, y, width, height), picture(14, 12)
    if x + width <= 14 and y + height <= 12:
        assert policy_image(frame, region, (4, 4)).shape == (4, 4, 3)
        return
    with pytest.raises(UserError, match=rf"{x}, {y}, {width}, {height}.* frame of 14 x 12"):
        policy_image(frame, region, (4, 4))
