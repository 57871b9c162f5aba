"""The region drawn in a real browser: by mouse and by touch, saved into a parameter file."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from hilserl_camera.synthetic import draw
from hilserl_core.region import Region, policy_image

SIZE = (640, 480)


class Program:
    """``select_roi`` as a process, and what it says."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.file = folder / "cameras.yaml"
        command = [sys.executable, "-m", "hilserl_camera.select_roi", "--no-open"]
        command += ["--file", str(self.file), *words]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
        )
        self.address = self._address()

    def _address(self) -> str:
        assert self._process.stdout is not None
        said = ""
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                line = self._process.stdout.readline()
                said += line
                if found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line):
                    return found[0]
                if not line:
                    break
        pytest.fail(f"no address was said: {said}")

    def ended(self) -> tuple[int, str]:
        said, _ = self._process.communicate(timeout=30.0)
        return self._process.returncode, said

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def region(self) -> list[int]:
        content = yaml.safe_load(self.file.read_text())
        result = content["camera_node"]["ros__parameters"]["region"]
        assert isinstance(result, list)
        return result


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), draw(*SIZE, 21)[:, :, ::-1])
    result = Program(tmp_path, "--image", str(picture))
    yield result
    result.close()


def opened_page(browser: Any, address: str, **context: Any) -> Any:
    page = browser.new_context(viewport={"width": 1100, "height": 720}, **context).new_page()
    page.set_default_timeout(30_000)
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]")
    return page


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a frame's pixel is shown."""
    box = page.locator("canvas").bounding_box()
    return box["x"] + x * box["width"] / SIZE[0], box["y"] + y * box["height"] / SIZE[1]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*on_screen(page, *start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, *((np.array(start) + end) / 2)), steps=3)
    page.mouse.move(*on_screen(page, *end), steps=3)
    page.mouse.up()


def numbers(page: Any) -> list[int]:
    return [int(page.input_value(f"#{name}")) for name in ("x", "y", "width", "height")]


def shown_policy_image(page: Any) -> np.ndarray:
    """What the preview shows, once it is that of the numbers."""
    region = numbers(page)
    page.wait_for_function(
        "wanted => !asking && asked === wanted",
        arg="x={}&y={}&width={}&height={}".format(*region),
    )
    data = page.evaluate(
        "async () => [...new Uint8Array(await (await fetch(at('policy').src)).arrayBuffer())]"
    )
    return cv2.imdecode(np.array(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def test_a_region_is_drawn_with_the_mouse_and_saved(browser: Any, program: Program) -> None:
    program.file.write_text(
        "camera_node:\n  ros__parameters:\n    fps: 15.0  # slow\n"
        "mux_node:\n  ros__parameters:\n    rate: 10.0\n"
    )
    page = opened_page(browser, program.address)
    drag(page, (200, 100), (420, 320))
    x, y, width, height = numbers(page)
    assert np.abs(np.array([x, y, width, height]) - [200, 100, 220, 220]).max() <= 3
    assert width == height, "the policy's image is square, and so is the region"
    expected = policy_image(draw(*SIZE, 21), Region(x, y, width, height), (128, 128))
    np.testing.assert_array_equal(shown_policy_image(page), expected)
    page.screenshot(path=str(program.file.with_name("drawn.png")))
    page.click("#save")
    page.wait_for_function("document.getElementById('message').textContent.includes('region of')")
    code, said = program.ended()
    assert code == 0
    assert f"region of camera_node is [{x}, {y}, {width}, {height}]" in said
    assert program.region() == [x, y, width, height]
    text = program.file.read_text()
    assert "fps: 15.0  # slow" in text
    assert yaml.safe_load(text)["mux_node"] == {"ros__parameters": {"rate": 10.0}}


def test_a_region_is_changed_and_moved(browser: Any, program: Program) -> None:
    page = opened_page(browser, program.address)
    page.uncheck("#square")
    drag(page, (100, 100), (300, 200))
    drag(page, (300, 150), (400, 150))  # its right edge
    _, y, width, height = numbers(page)
    assert abs(width - 300) <= 4
    assert abs(height - 100) <= 4
    drag(page, (250, 150), (900, 150))  # by its middle, out of the picture
    assert numbers(page) == [SIZE[0] - width, y, width, height]
    page.locator("canvas").hover()
    page.keyboard.press("ArrowLeft")
    assert numbers(page)[0] == SIZE[0] - width - 1
    page.fill("#width", "50")
    page.press("#width", "Enter")
    assert numbers(page)[2] == 50
    page.click("#whole")
    assert numbers(page) == [0, 0, *SIZE]
    page.check("#square")
    assert numbers(page)[2:] == [480, 480]


def test_a_region_is_drawn_by_touch(browser: Any, program: Program) -> None:
    page = opened_page(browser, program.address, has_touch=True)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        shown = [dict(zip("xy", on_screen(page, *point), strict=True)) for point in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": shown})

    touch("touchStart", (150, 120))
    touch("touchMove", (200, 200))
    touch("touchMove", (350, 320))
    touch("touchEnd")
    assert np.abs(np.array(numbers(page)) - [150, 120, 200, 200]).max() <= 4


def test_a_live_picture_moves(browser: Any, tmp_path: Path) -> None:
    program = Program(tmp_path, "--device", "synthetic", "--fps", "10")
    try:
        page = opened_page(browser, program.address)
        pixels = "() => context.getImageData(0, 0, canvas.width, 20).data.join()"
        first = page.evaluate(pixels)
        page.wait_for_function(f"first => ({pixels})() !== first", arg=first)
        drag(page, (100, 100), (300, 300))
        page.click("#save")
        assert program.ended()[0] == 0
        assert len(program.region()) == 4
    finally:
        program.close()


def test_another_page_cannot_save(browser: Any, program: Program) -> None:
    origin = program.address.split("/", 3)[:3]
    page = browser.new_page()
    answer = page.request.post("/".join([*origin, "save"]), data="[0, 0, 5, 5]")
    assert answer.status == 404
    assert not program.file.exists()


def test_a_region_that_does_not_fit_is_answered_in_words(browser: Any, program: Program) -> None:
    page = browser.new_page()
    answer = page.request.post(program.address + "save", data="[600, 0, 100, 100]")
    assert answer.status == 400
    assert "[600, 0, 100, 100] does not lie in the frame of 640 x 480" in answer.text()
    answer = page.request.post(program.address + "save", data="nonsense")
    assert answer.status == 400
    assert not program.file.exists()
