"""Cameras on the console's page: real camera nodes, a real browser, and the file that is kept."""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from console_pages import PATIENCE, Page, console, needs_browser, node, started, until
from hilserl_camera.synthetic import draw, read_number
from hilserl_core.region import Region, policy_image
from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.wires import PtyBus

needs_browser()

SIZE = (640, 480)
SMALL, LARGE = ("{} \N{MULTIPLICATION SIGN} {}".format(*size) for size in ((128, 128), SIZE))
BEFORE = Region(100, 40, 320, 320)
FILE = f"""\
camera_node:  # both
  ros__parameters: {{width: 640, height: 480, fps: 10.0}}
front_camera:
  ros__parameters:
    fps: 8.0  # slow
    region: {BEFORE}
"""
PIXELS = "(selector) => document.querySelector(selector).toDataURL()"
FRONT = "#views canvas[aria-label='camera front']"
DRAWN = "#region-canvas[data-shown]"
FRAME_COLOUR = (0xFF, 0xB0, 0x66)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cameras.yaml"
    path.write_text(FILE)
    return path


def camera(file: Path, name: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """A camera's node as a graph starts it, with what the file says of it."""
    sections = yaml.safe_load(file.read_text())
    words = ["-r", f"__node:={name}_camera", "-p", f"name:={name}", "-p", "device:=synthetic"]
    for section in ("camera_node", f"{name}_camera"):
        for key, value in sections.get(section, {}).get("ros__parameters", {}).items():
            words += ["-p", f"{key}:={value}"]
    return node("hilserl_camera.camera_node", *words)


def shown(page: Page, selector: str = FRONT) -> np.ndarray:
    """What a canvas shows, (height, width, 3)."""
    png = base64.b64decode(page.page.evaluate(PIXELS, selector).partition(",")[2])
    bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(bgr[:, :, ::-1], np.uint8)


def framed(picture: np.ndarray, region: Region) -> bool:
    """Whether the region's edge is drawn on the picture, and nothing beside it."""

    def drawn(x: float, y: float) -> bool:
        return bool(np.abs(picture[round(y), round(x)].astype(int) - FRAME_COLOUR).max() < 40)

    left, right = region.x, region.x + region.width
    top, bottom = region.y, region.y + region.height
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    edge = [(left, middle_y), (right, middle_y), (middle_x, top), (middle_x, bottom)]
    beside = [(x + dx, y) for x, y in edge[:2] for dx in (-8, 8)]
    beside += [(x, y + dy) for x, y in edge[2:] for dy in (-8, 8)]
    return all(drawn(*at) for at in edge) and not any(drawn(*at) for at in beside)


def shows_raw(page: Page, region: Region) -> None:
    """Waits until the raw view shows the camera's own frames, with this region's edge."""
    page.shows("#views", f"front, raw {LARGE}")
    until(lambda: framed(shown(page), region), 15, f"for the edge of {region}")


def drag(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draws on the region's canvas, in the frame's pixels."""
    box = page.page.locator("#region-canvas").bounding_box()
    scale = np.array([box["width"], box["height"]]) / SIZE
    for act, at in (("move", start), ("down", None), ("move", end), ("up", None)):
        if at is None:
            getattr(page.page.mouse, act)()
        else:
            x, y = np.array([box["x"], box["y"]]) + scale * at
            page.page.mouse.move(x, y, steps=4)


def numbers(page: Page) -> list[int]:
    names = ("x", "y", "width", "height")
    return [int(page.page.input_value(f"#region [name={name}]")) for name in names]


def draws_and_saves(page: Page, name: str, start: tuple[int, int], end: tuple[int, int]) -> Region:
    """Opens the dialog, draws a square and keeps it."""
    page.press(f"#camera-tools button:text('Region of {name}')")
    page.page.wait_for_selector(DRAWN, timeout=PATIENCE)
    drag(page, start, end)
    region = Region.of(numbers(page))
    assert region.width == region.height
    assert np.abs(np.array(numbers(page)[:2]) - start).max() <= 2
    page.press("#region-save")
    page.shows("#region-note", f"region of {name}_camera is {region}")
    page.press("#region-close")
    return region


def kept(file: Path, name: str) -> dict[str, Any]:
    result: dict[str, Any] = yaml.safe_load(file.read_text())[f"{name}_camera"]["ros__parameters"]
    return result


def test_a_region_is_drawn_on_the_raw_view_and_the_camera_takes_it(
    browser: Any, tmp_path: Path, file: Path
) -> None:
    with console(tmp_path) as address:
        page = Page(browser, address)
        page.shows("#views", "No camera publishes yet")
        assert page.page.locator("#camera-tools button").count() == 0
        with camera(file, "front"):
            page.shows("#views", f"front {SMALL}")
            page.press("#camera-tools button:text('Raw view')")
            shows_raw(page, BEFORE)
            before = read_number(shown(page))
            until(lambda: read_number(shown(page)) > before, 10, "for another frame")
            page.press("#camera-tools button:text('Region of front')")
            until(lambda: numbers(page) == [100, 40, 320, 320], 5, "for what the file says")
            page.page.wait_for_selector(DRAWN, timeout=PATIENCE)
            page.page.fill("#region [name=width]", "600")
            page.press("#region-save")
            page.shows("#region-note", f"does not lie in the frame of {LARGE}")
            assert file.read_text() == FILE
            page.press("#region-close")
            chosen = draws_and_saves(page, "front", (330, 20), (530, 220))
            assert "fps: 8.0  # slow" in file.read_text()
            assert kept(file, "front") == {"fps": 8.0, "region": numbers(page)}
            # The policy sees what it saw: the camera takes the new one up at its next start.
            page.page.wait_for_timeout(1500)
            assert framed(shown(page), BEFORE)
        page.shows("#views", "No camera publishes yet")
        with camera(file, "front"):
            shows_raw(page, chosen)
            page.press("#camera-tools button:text('Raw view')")
            page.shows("#views", f"front {SMALL}")
            # Above the pattern's moving square, and below the frame's number.
            rows = slice(80, 120)
            expected = policy_image(draw(*SIZE, 0), chosen, (128, 128))[rows]
            until(lambda: np.abs(shown(page)[rows].astype(int) - expected).mean() < 3, 10)
        assert page.complaints == []
        page.context.close()


def test_a_picture_that_stands_still_is_called_old(
    browser: Any, tmp_path: Path, file: Path
) -> None:
    with console(tmp_path) as address, camera(file, "wrist") as process:
        page = Page(browser, address)
        page.shows("#views", f"wrist {SMALL}")
        process.send_signal(signal.SIGSTOP)
        page.shows("#views", f"wrist {SMALL}, no new picture for 3 s")
        process.send_signal(signal.SIGCONT)
        until(lambda: "no new picture" not in page.page.inner_text("#views"))
        page.context.close()


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[list[str]]:
    """A real arm as far as a graph can tell; gives the arguments for it."""
    emulated = EmulatedArm(ARMS["koch_follower"], time.monotonic)
    emulated.calibration.save(tmp_path / "arm.yaml")
    port = PtyBus(emulated.bus, tmp_path / "arm")
    # An emulator that shares its process with a test may answer late.
    config = tmp_path / "config.yaml"
    config.write_text("driver_node: {ros__parameters: {reply_timeout: 0.1}}\n")
    words = {"sim": False, "port": port.path, "calibration": tmp_path / "arm.yaml"}
    yield [f"{name}:={value}" for name, value in {**words, "config": config}.items()]
    port.close()


def test_in_a_graph_the_page_keeps_regions_where_its_cameras_find_them(
    browser: Any, tmp_path: Path, file: Path, arm: list[str]
) -> None:
    words = [*arm, "observation:=cameras", "reward:=operator", f"camera_config:={file}"]
    words += ["front_camera:=synthetic", "wrist_camera:=synthetic"]
    with started(tmp_path, "koch_record", *words) as up:
        page = Page(browser, up[0])
        page.shows("#views", f"wrist {SMALL}")
        page.press("#camera-tools button:text('Raw view')")
        shows_raw(page, BEFORE)
        chosen = draws_and_saves(page, "wrist", (200, 100), (500, 400))
        page.context.close()
    assert kept(file, "wrist") == {"region": [chosen.x, chosen.y, chosen.width, chosen.height]}
    assert kept(file, "front")["region"] == [100, 40, 320, 320]
    again = tmp_path / "again"
    again.mkdir()
    with started(again, "koch_record", *words) as up:
        until(
            lambda: (
                f"camera wrist: synthetic, 640 x 480 at 10 Hz, region {chosen}" in up[1].read_text()
            ),
            30,
        )
