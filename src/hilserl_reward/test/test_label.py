"""The program that labels, by word and by click."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from shown_runs import shown_run

from hilserl_core.labels import By, Label, read_labels
from hilserl_reward.contact_sheet import make_server
from hilserl_reward.label import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shown_run(tmp_path / "run", 2)


def test_labels_by_outcome_stay_where_a_person_sets_another(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(run), "--outcomes", "--last", "4", "--margin", "2"])
    assert "4 success (4 by outcome), 4 failure (4 by outcome)" in capsys.readouterr().out
    main([str(run), "--set", "failure", "--episode", "0", "--frames", "14:"])
    size = (run / "labels.jsonl").stat().st_size
    main([str(run), "--outcomes", "--last", "4", "--margin", "2"])
    assert (
        "2 success (2 by outcome), 6 failure (4 by outcome, 2 by hand)" in capsys.readouterr().out
    )
    assert read_labels(run)["episodes/000000", 15].by == By.HAND
    main([str(run), "--set", "none", "--episode", "0", "--frames", "14:16"])
    assert read_labels(run)["episodes/000000", 15].label == Label.SUCCESS
    assert (run / "labels.jsonl").stat().st_size > size


def test_a_wider_margin_takes_labels_back_and_leaves_those_set_by_hand(run: Path) -> None:
    main([str(run), "--set", "neither", "--episode", "0", "--frames", "9:10"])
    main([str(run), "--outcomes", "--last", "4", "--margin", "0"])
    main([str(run), "--outcomes", "--last", "4", "--margin", "5"])
    left = {index for episode, index in read_labels(run) if episode == "episodes/000000"}
    assert left == {*range(7), 9, *range(12, 16)}


def test_saying_the_same_again_adds_nothing(run: Path) -> None:
    main([str(run), "--outcomes"])
    before = (run / "labels.jsonl").read_text()
    main([str(run), "--outcomes"])
    assert (run / "labels.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "success"], "--episode and --frames"),
        (["--set", "success", "--episode", "7", "--frames", "0:1"], "has no episodes/000007"),
        (["--set", "success", "--episode", "x/1", "--frames", "0:1"], "give a number"),
        (["--set", "success", "--episode", "1", "--frames", "3"], "FIRST:END"),
        (["--set", "success", "--episode", "1", "--frames", "3:99"], "has frames 0 to 15"),
        (["--outcomes", "--last", "0"], "out of range"),
        (["--browser", "--port", "99999"], "--port 99999"),
    ],
)
def test_mistakes_get_one_line(
    run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(run), *words])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (run / "labels.jsonl").exists()


@pytest.fixture
def page(run: Path) -> Iterator[str]:
    server = make_server(run)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def post(url: str, content: dict[str, object], kind: str = "application/json") -> bytes:
    headers = {"Content-Type": kind}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)
    return urllib.request.urlopen(request, timeout=10).read()


def test_a_click_in_the_browser_labels_frames_by_hand(run: Path, page: str) -> None:
    get = lambda path: urllib.request.urlopen(page + path, timeout=10).read()  # noqa: E731
    assert b"<!doctype html>" in get("/")
    names = [episode["name"] for episode in json.loads(get("/episodes"))["episodes"]]
    assert names == ["episodes/000000", "episodes/000001"]
    assert get(f"/picture/{names[0]}/3").startswith(b"\xff\xd8")
    answer = post(page, {"episode": names[0], "frames": [3, 4], "label": "SUCCESS"})
    assert json.loads(answer)["frames"][4] == {"index": 4, "label": "SUCCESS", "by": "hand"}
    assert {label.index for label in read_labels(run).values()} == {3, 4}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"episode": "../..", "frames": [0], "label": "SUCCESS"}, "application/json"),
        ({"episode": "episodes/000000", "frames": [99], "label": "SUCCESS"}, "application/json"),
        ({"episode": "episodes/000000", "frames": [0], "label": "GREAT"}, "application/json"),
        ({"frames": [0]}, "application/json"),
        ({"episode": "episodes/000000", "frames": [0], "label": "SUCCESS"}, "text/plain"),
    ],
)
def test_what_is_no_label_and_what_another_page_sends_is_refused(
    run: Path, page: str, content: dict[str, object], kind: str
) -> None:
    with pytest.raises(urllib.error.HTTPError):
        post(page, content, kind)
    assert not (run / "labels.jsonl").exists()
