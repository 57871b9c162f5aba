"""The latest sample not newer than the tick, whatever order the samples came in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_replay.timeline import LOOKAHEAD, PATIENCE, SECOND, ClockError, Stream, Timeline

stamps = st.lists(st.integers(0, SECOND // 2), min_size=1, max_size=30, unique=True)


@given(stamps, st.lists(st.integers(0, SECOND), max_size=10), st.integers(0, SECOND))
def test_a_tick_gets_the_latest_that_is_not_newer(
    arrivals: list[int], ticks: list[int], max_age: int
) -> None:
    stream: Stream[int] = Stream("s", max_age)
    for stamp in arrivals:
        stream.add(stamp, stamp)
    for tick in sorted(ticks):
        expected = max((s for s in arrivals if s <= tick), default=None)
        found = stream.at(tick)
        assert (found.item if found else None) == expected
        old = expected is None or (max_age > 0 and tick - expected > max_age)
        assert (stream.fresh(tick) is None) == old
        assert stream.following == min((s for s in arrivals if s > tick), default=None)
    assert stream.late == 0


@given(stamps, st.lists(st.integers(0, SECOND), max_size=10))
def test_every_sample_is_taken_out_once(arrivals: list[int], ticks: list[int]) -> None:
    stream: Stream[None] = Stream("s")
    for stamp in arrivals:
        stream.add(stamp, None)
    taken = [sample.stamp for tick in [*sorted(ticks), SECOND] for sample in stream.up_to(tick)]
    assert taken == sorted(arrivals)


def test_what_comes_after_its_tick_is_counted_and_changes_nothing() -> None:
    stream: Stream[str] = Stream("s")
    stream.add(100, "a")
    sample = stream.at(200)
    assert sample is not None
    assert sample.item == "a"
    stream.add(150, "too late")
    assert stream.late == 1
    sample = stream.at(200)
    assert sample is not None
    assert sample.item == "a"


def test_a_clock_that_was_set_back_is_refused_by_name() -> None:
    stream: Stream[None] = Stream("/joint_states")
    stream.add(10 * SECOND, None)
    stream.add(10 * SECOND - SECOND // 2, None)
    with pytest.raises(ClockError, match=r"/joint_states: .* back by 3\.000 s.*stamp: receive"):
        stream.add(7 * SECOND, None)


def test_a_tick_waits_for_every_stream_but_not_for_ever() -> None:
    quick, slow = Stream[None]("quick"), Stream[None]("slow")
    timeline = Timeline((quick, slow))
    assert not timeline.ready(0)
    quick.add(LOOKAHEAD, None)
    assert not timeline.ready(0)
    slow.add(0, None)
    assert timeline.ready(0)
    assert not timeline.ready(1)
    quick.add(1 + PATIENCE, None)
    assert timeline.ready(1)
