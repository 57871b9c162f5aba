import json

import pytest
from console_fakes import Console
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.step import Event
from hilserl_teleop.console_messages import Drive
from hilserl_teleop.console_sessions import (
    AT_THE_MUX,
    BURST,
    MAX_SESSIONS,
    RATE,
    SILENT,
    Refused,
    Sessions,
)

WISH = json.dumps({"type": "drive", "move": [1, 0, 0], "grip": 0, "speed": 0.5})


def press(event: str) -> str:
    return json.dumps({"type": "event", "event": event})


@pytest.fixture
def console():
    return Console()


def test_a_page_drives_from_its_takeover_to_its_release(console):
    page = console.sessions.join("here")
    assert "take over first" in console.sessions.hear(page, WISH)
    assert console.operator.done == []
    assert console.sessions.hear(page, press("takeover")) == ""
    assert console.sessions.hear(page, WISH) == ""
    assert console.sessions.hear(page, press("release")) == ""
    assert "take over first" in console.sessions.hear(page, WISH)
    assert console.operator.done == [
        Event.TAKEOVER,
        Drive((1.0, 0.0, 0.0), 0, 0.5),
        "rest",
        Event.RELEASE,
    ]


def test_while_one_page_drives_another_may_only_stop(console):
    driver, watcher = console.sessions.join("desk"), console.sessions.join("tablet")
    console.sessions.hear(driver, press("takeover"))
    console.operator.done.clear()
    for text in (*map(press, ("takeover", "release", "success", "reset")), WISH):
        assert "page 1 at desk drives" in console.sessions.hear(watcher, text)
    assert "drives" in console.sessions.hear(watcher, '{"type": "release_stop"}')
    assert console.operator.done == []
    assert console.sessions.hear(watcher, press("stop")) == ""
    assert console.operator.done == [Event.STOP]


def test_a_page_that_goes_away_while_it_drives_leaves_the_arm_to_whoever_comes(console):
    page = console.sessions.join("desk")
    console.sessions.hear(page, press("takeover"))
    console.sessions.leave(page)
    assert console.operator.done == [Event.TAKEOVER, "rest"]
    assert console.sessions.lost_at == console.now
    console.sessions.mux_says(True)
    assert console.sessions.lost_at is not None
    back = console.sessions.join("desk")
    assert console.sessions.hear(back, press("takeover")) == ""
    assert console.sessions.lost_at is None
    assert console.sessions.driver is back


def test_a_silent_driver_can_be_replaced_and_cannot_come_back_unasked(console):
    driver, other = console.sessions.join("desk"), console.sessions.join("tablet")
    console.sessions.hear(driver, press("takeover"))
    console.now += SILENT + 0.1
    assert console.sessions.hear(other, press("takeover")) == ""
    assert "page 2 at tablet drives" in console.sessions.hear(driver, WISH)


def test_what_the_mux_does_not_give_is_not_held(console):
    page = console.sessions.join("desk")
    console.sessions.hear(page, press("takeover"))
    console.sessions.mux_says(False)
    assert console.sessions.driver is page
    console.now += AT_THE_MUX + 0.1
    console.sessions.mux_says(False)
    assert console.sessions.driver is None


def test_a_flood_is_cut_to_the_rate_and_pages_do_not_share_it(console):
    page, other = console.sessions.join("a"), console.sessions.join("b")
    taken = sum(not console.sessions.hear(page, press("stop")) for _ in range(10 * BURST))
    assert taken == BURST
    assert console.sessions.hear(other, press("stop")) == ""
    console.now += 1.0
    taken = sum(not console.sessions.hear(page, press("stop")) for _ in range(10 * BURST))
    assert taken == RATE


def test_there_is_an_end_to_the_pages(console):
    pages = [console.sessions.join("somewhere") for _ in range(MAX_SESSIONS)]
    with pytest.raises(Refused, match="16 pages are open"):
        console.sessions.join("somewhere")
    console.sessions.leave(pages[3])
    console.sessions.join("somewhere")


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(
            [WISH, *map(press, ("takeover", "release", "success", "stop")), "leave", "wait", "bad"]
        ),
    ),
    max_size=60,
)


@given(steps)
def test_only_the_page_that_took_over_last_ever_moves_the_arm(story):
    console = Console()
    sessions: Sessions = console.sessions
    pages = [sessions.join(f"page {i}") for i in range(3)]
    for number, what in story:
        page, before = pages[number], len(console.operator.done)
        driver = sessions.driver
        if what == "wait":
            console.now += SILENT + 0.1
        elif what == "leave":
            sessions.leave(page)
            pages[number] = sessions.join("again")
        else:
            sessions.hear(page, what)
        if any(isinstance(each, Drive) for each in console.operator.done[before:]):
            assert driver is page
        assert sessions.driver is None or sessions.driver in pages
