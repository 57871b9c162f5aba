"""The console in a real browser: what it shows, and that what is pressed reaches the mux."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console_pages import PATIENCE, Ears, Page, needs_browser, started, until
from hilserl_core.step import Event, Outcome, Phase, Source
from hilserl_msgs.msg import Arbitration

pytestmark = pytest.mark.alone

needs_browser()

CONFIG = """
policy_node: {ros__parameters: {demonstration_seconds: 600.0}}
mux_node: {ros__parameters: {countdowns: [0.3]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Ears]]:
    """A simulated arm in real time that nobody but the console drives."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "config.yaml").write_text(CONFIG)
    words = ["observation:=cameras", "operator:=keyboard", "lockstep:=false", "demos:=1000"]
    ears = Ears()
    try:
        with started(folder, "koch_record", *words, f"config:={folder / 'config.yaml'}") as up:
            until(lambda: ears.actions and ears.object.size, 60, "for the first episode")
            yield up[0], folder, ears
    finally:
        ears.close()


@pytest.fixture
def open_page(run: tuple[str, Path, Ears], browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens pages; afterwards the arm is the policy's again, whatever a test left behind."""
    address, _, ears = run
    pages: list[Page] = []

    def opened(**wishes: Any) -> Page:
        pages.append(Page(browser, address, **wishes))
        return pages[-1]

    yield opened
    for page in pages:
        page.context.close()
    last = Page(browser, address)
    if ears.arbitration.state == Arbitration.STOPPED:
        last.press("#release-stop")
        until(lambda: ears.arbitration.state != Arbitration.STOPPED)
    last.page.keyboard.press("r")
    until(lambda: ears.arbitration.state == Arbitration.POLICY)
    last.context.close()


def test_the_page_needs_no_other_host_and_has_nothing_to_complain_of(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page = open_page()
    page.shows("#phase", "recording")
    page.shows("#driver", "policy drives")
    page.page.wait_for_function(
        "() => document.querySelectorAll('#views canvas[data-shown]').length === 2",
        timeout=PATIENCE,
    )
    host = run[0].removeprefix("http://")
    assert len(page.requests) > 8
    assert all(url.split("/")[2] == host for url in page.requests if not url.startswith("blob:"))
    assert page.complaints == []


def test_pictures_and_drawing_move_with_the_arm(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(), run[2]
    seen = "[...document.querySelectorAll('canvas')].slice(0, 3).map((c) => c.toDataURL())"
    page.page.wait_for_function(
        "() => { const views = [...document.querySelectorAll('#views canvas')];"
        " return views.length === 2 && views.every((view) => view.frames > 3); }",
        timeout=PATIENCE,
    )
    page.take_over(ears)
    before = page.page.evaluate(seen)
    page.page.keyboard.down("i")
    time.sleep(1.0)
    page.page.keyboard.up("i")
    time.sleep(0.5)
    after = page.page.evaluate(seen)
    assert len(before) == 3
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_takeover_by_button_and_by_key_reaches_the_mux(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(), run[2]
    page.take_over(ears)
    page.press("#takeover")  # it says Release now
    until(lambda: ears.state == (Arbitration.POLICY, ""))
    page.shows("#takeover", "Take over")
    page.page.evaluate("document.activeElement.blur()")
    page.page.keyboard.press(" ")  # a tap: to and fro
    until(lambda: ears.state == (Arbitration.HUMAN, "console"))
    page.shows("#driver", "you drive")
    page.page.keyboard.press(" ")
    until(lambda: ears.state == (Arbitration.POLICY, ""))
    time.sleep(0.7)
    page.page.keyboard.down(" ")  # held: until it is let go
    until(lambda: ears.state == (Arbitration.HUMAN, "console"))
    time.sleep(0.5)
    page.page.keyboard.up(" ")
    until(lambda: ears.state == (Arbitration.POLICY, ""))


def hold(page: Any, by: str, seconds: float) -> None:
    """Asks for motion along y: forward by a key, back by the pad, forward by pad and keyboard."""
    if by == "key":
        page.keyboard.down("w")
        time.sleep(seconds)
        page.keyboard.up("w")
    elif by == "pad":
        page.hover("[aria-label=back]")
        page.mouse.down()
        time.sleep(seconds)
        page.mouse.up()
    else:
        page.focus("[aria-label=forward]")
        page.keyboard.down("Enter")
        time.sleep(seconds)
        page.keyboard.up("Enter")


@pytest.mark.parametrize("by", ["key", "pad", "pad by keyboard"])
def test_jogging_moves_the_arm_as_far_as_it_is_asked(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears], by: str
) -> None:
    page, ears = open_page(), run[2]
    page.take_over(ears)
    before = ears.tool
    hold(page.page, by, 0.6)
    time.sleep(0.6)
    moved = (ears.tool - before) * (-1 if by == "pad" else 1)
    assert moved[1] > 0.02
    assert abs(moved[0]) < 0.01
    still = ears.tool
    time.sleep(0.5)
    np.testing.assert_allclose(ears.tool, still, atol=0.003)


def test_a_tap_is_one_step_and_the_gripper_closes(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(), run[2]
    page.take_over(ears)
    time.sleep(0.3)
    before = len(ears.actions)
    page.page.keyboard.press("a")
    time.sleep(0.6)
    taken = [action.values[0] for action in ears.actions[before:]]
    assert [value for value in taken if value] == [-0.5]
    opening = ears.joints[5]
    page.press("[data-grip='-1']")
    until(lambda: ears.joints[5] > opening + 0.3, 10, "for the gripper to close")


def test_stop_stops_at_one_press_and_whoever_may_ends_it(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(), run[2]
    page.take_over(ears)
    page.page.keyboard.down("s")
    page.press("#stop")
    until(lambda: ears.arbitration.state == Arbitration.STOPPED)
    page.shows("#driver", "stopped")
    time.sleep(0.5)
    still = ears.joints
    time.sleep(0.5)
    np.testing.assert_allclose(ears.joints, still, atol=0.005)
    page.page.keyboard.up("s")
    page.press("#release-stop")
    until(lambda: ears.arbitration.state != Arbitration.STOPPED)
    page.page.keyboard.press("Escape")
    until(lambda: ears.arbitration.state == Arbitration.STOPPED)


def test_success_ends_the_episode(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, folder, ears = open_page(), run[1], run[2]
    history = folder / "run" / "history.jsonl"

    def ended() -> list[dict[str, Any]]:
        return (
            [json.loads(line) for line in history.read_text().splitlines()]
            if history.exists()
            else []
        )

    before = len(ended())
    ears.actions.clear()
    until(lambda: len(ears.actions) > 3, 30, "for the episode")
    page.press("[data-event=success]")
    until(lambda: len(ended()) > before, 15, "for the episode's end")
    assert ended()[-1]["outcome"] == Outcome.SUCCESS
    assert ended()[-1]["phase"] == Phase.RECORD


def test_a_killed_page_leads_to_a_hold_that_the_next_page_shows(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(), run[2]
    page.take_over(ears)
    page.page.keyboard.down("d")
    until(lambda: ears.actions and ears.actions[-1].source == Source.HUMAN)
    page.context.close()
    until(lambda: ears.arbitration.holding, 3, "for the hold")
    assert ears.state == (Arbitration.HUMAN, "console")
    time.sleep(0.5)
    still = ears.joints
    time.sleep(1.0)
    np.testing.assert_allclose(ears.joints, still, atol=0.005)
    back = open_page()
    back.shows("#lost", "lost its connection")
    back.shows("#takeover", "Drive on")
    back.press("#takeover")
    until(lambda: not ears.arbitration.holding)
    back.shows("#driver", "you drive")
    assert back.page.is_hidden("#lost")


def test_of_two_pages_one_drives_and_the_other_watches_and_is_told(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    driver, watcher, ears = open_page(), open_page(), run[2]
    driver.take_over(ears)
    watcher.shows("#reason", "another page drives: you are watching")
    assert watcher.page.is_disabled("#takeover")
    before = len(ears.events)
    watcher.page.keyboard.press("y")
    watcher.page.keyboard.press("t")
    watcher.page.keyboard.down("w")
    time.sleep(0.5)
    watcher.page.keyboard.up("w")
    assert ears.events[before:] == []
    assert ears.state == (Arbitration.HUMAN, "console")
    watcher.press("#stop")
    until(lambda: ears.arbitration.state == Arbitration.STOPPED)
    assert ears.events[-1] == Event.STOP


GAMEPAD = """
window.pad = { id: "made up", axes: [0, 0, 0, 0],
  buttons: Array.from({ length: 10 }, () => ({ pressed: false })) };
navigator.getGamepads = () => [window.pad, null];
"""


def test_a_gamepad_at_the_browser_takes_over_and_drives(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(script=GAMEPAD), run[2]
    page.page.evaluate("document.getElementById('help').open = true")
    page.press("#use-gamepad")
    page.shows("#gamepad", "Gamepad made up")
    page.page.evaluate("dispatchEvent(new Event('gamepadconnected'))")
    page.page.evaluate("window.pad.buttons[0].pressed = true")
    until(lambda: ears.state == (Arbitration.HUMAN, "console"))
    page.page.evaluate("window.pad.buttons[0].pressed = false")
    page.shows("#driver", "you drive")
    ears.actions.clear()
    page.page.evaluate("window.pad.axes[0] = 0.8")
    until(lambda: any(abs(action.values[0] - 0.4) < 1e-6 for action in ears.actions))
    page.page.evaluate("window.pad.axes[0] = 0.05")  # at rest, as far as a stick is
    until(lambda: ears.actions[-1].values[0] == 0)
    page.page.evaluate("window.pad.buttons[1].pressed = true")
    until(lambda: ears.arbitration.state == Arbitration.STOPPED)


def test_a_browser_without_gamepads_says_so_and_goes_on(open_page: Callable[..., Page]) -> None:
    page = open_page(script="delete Navigator.prototype.getGamepads")
    page.page.evaluate("document.getElementById('help').open = true")
    page.shows("#gamepad", "this browser does not let pages read one")
    assert page.page.locator("#use-gamepad").is_hidden()
    page.shows("#driver", "policy drives")
    assert page.complaints == []


DEAF = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) { if (!text.includes('"seen"')) send.call(this, text); };
"""


def test_a_viewer_that_stalls_is_told_so_and_stalls_no_other(
    open_page: Callable[..., Page],
) -> None:
    stalled, other = open_page(script=DEAF), open_page()
    stalled.shows("#camera-note", "takes pictures too slowly: some are left out")
    stalled.shows("#views figcaption", "no new picture for")
    stalled.shows("#driver", "policy drives")
    count = "document.querySelector('#views canvas').frames"
    before = other.page.evaluate(count)
    other.page.wait_for_function(f"before => {count} > before + 5", arg=before, timeout=PATIENCE)
    assert other.page.inner_text("#camera-note") == ""
    assert "no new picture" not in other.page.inner_text("#views")


def test_the_page_can_be_used_by_keyboard_alone(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, ears = open_page(), run[2]

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.page.keyboard.press("Tab")
            if page.page.evaluate("document.activeElement.id") == name:
                return
        pytest.fail(f"Tab does not lead to {name}")

    tab_to("takeover")
    page.page.keyboard.press("Enter")
    until(lambda: ears.state == (Arbitration.HUMAN, "console"))
    page.shows("#driver", "you drive")
    page.page.keyboard.press(" ")  # it has the focus: the same as its key
    until(lambda: ears.state == (Arbitration.POLICY, ""))
    tab_to("stop")
    page.page.keyboard.press("Enter")
    until(lambda: ears.arbitration.state == Arbitration.STOPPED)


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_nothing_is_cut_off_and_stop_is_in_sight_at_every_width(
    open_page: Callable[..., Page], width: int
) -> None:
    page = open_page(size=(width, 800))
    page.shows("#driver", "policy drives")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    for place in ("#drive", "#review"):
        page.page.locator(place).scroll_into_view_if_needed()
        box = page.page.locator("#stop").bounding_box()
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= width
        assert min(box["width"], box["height"]) >= 44  # a finger's width


def test_episodes_are_shown_and_frames_labelled_while_the_run_is_being_recorded(
    open_page: Callable[..., Page], run: tuple[str, Path, Ears]
) -> None:
    page, folder = open_page(), run[1]
    if not (folder / "run" / "history.jsonl").exists():
        page.press("[data-event=success]")
        until((folder / "run" / "history.jsonl").exists, 15)
    page.press("#load")
    page.page.locator("#episodes li", has_text="success").last.locator("summary").click()
    strip = page.page.locator("#episodes .strip")
    strip.wait_for(timeout=60_000)
    until(lambda: strip.evaluate("(image) => image.naturalWidth") > 500)
    page.page.locator("#episodes [aria-label='Label this frame'] button").first.click()
    page.shows("#episodes", "step 0 of episodes/")
    (line,) = (folder / "run" / "labels.jsonl").read_text().splitlines()
    assert json.loads(line)["label"] == "SUCCESS"
    # An episode's bag is another matter: it is the recorder's as long as that is there.
    page.page.locator("#episodes [aria-label='The episode ended in'] button").last.click()
    page.shows("#episodes", "writes to it")
    opened = page.page.locator("#episodes li", has=page.page.locator(".strip"))
    assert "success" in opened.locator("summary").inner_text()
    assert not (folder / "run" / "relabel.jsonl").exists()
    page.page.locator("#episodes li", has_text="under way").first.wait_for(timeout=PATIENCE)
