"""Review: programs of other packages, called by name; here one that notes how it was called."""

import json
import sys

import pytest
from console_fakes import Console, Visitor, visit

NOTE = """
import json, pathlib, sys
notes = pathlib.Path(sys.argv[1])
words = sys.argv[2:]
notes.open("a").write(json.dumps(words) + "\\n")
if "relabel" in words and "9" in words:
    sys.exit("error: the run is being recorded: stop it first")
if "--strip" in words:
    pathlib.Path(words[words.index("--strip") + 1]).write_bytes(b"\\x89PNG")
    print(json.dumps({"episode": "episodes/000003"}))
elif "review" in words:
    print(json.dumps({"episode": "episodes/000003"}))
else:
    print("well done")
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "episodes" / "000003").mkdir(parents=True)
    (tmp_path / "note.py").write_text(NOTE)
    return tmp_path


@pytest.fixture
def console(run):
    return Console(run, (sys.executable, str(run / "note.py"), str(run / "notes")))


def calls(run):
    notes = run / "notes"
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def test_episodes_are_listed_and_shown(console, run):
    async def story(visitor: Visitor) -> None:
        answer = await (await visitor.client.get("/api/episodes")).json()
        assert answer == {"episodes": [{"episode": "episodes/000003"}]}
        missing = await visitor.client.get("/api/episodes/episodes/000003/strip.png")
        assert "no pictures" in (await missing.json())["error"]
        await visitor.client.get("/api/episodes/episodes/000003")
        strip = await visitor.client.get("/api/episodes/episodes/000003/strip.png")
        assert await strip.read() == b"\x89PNG"

    visit(console, story)
    assert calls(run)[0] == ["hilserl_replay", "review", str(run)]


def test_an_episode_is_relabelled_or_marked_as_deleted(console, run):
    async def story(visitor: Visitor) -> None:
        for path, said in (
            ("episodes/000003", {"outcome": "failure"}),
            ("evaluation/000012", {"outcome": "deleted"}),
            ("episodes/000003", {"source": "offline"}),
        ):
            answer = await visitor.client.post(
                f"/api/episodes/{path}", headers={"Origin": visitor.origin}, json=said
            )
            assert await answer.json() == {"message": "well done"}

    visit(console, story)
    assert [words[2:] for words in calls(run)] == [
        [str(run), "--episodes", "3", "--outcome", "failure"],
        [str(run), "--episodes", "12", "--evaluation", "--discard"],
        [str(run), "--episodes", "3", "--source", "offline"],
    ]


def test_what_a_program_complains_of_is_what_the_page_says(console):
    async def story(visitor: Visitor) -> None:
        answer = await visitor.client.post(
            "/api/episodes/episodes/000009",
            headers={"Origin": visitor.origin},
            json={"outcome": "success"},
        )
        assert answer.status == 400
        said = (await answer.json())["error"]
        assert said == "the run is being recorded: stop it first"

    visit(console, story)


def test_a_frame_is_labelled_beside_the_bags(console, run):
    async def story(visitor: Visitor) -> None:
        answer = await visitor.client.post(
            "/api/labels",
            headers={"Origin": visitor.origin},
            json={"episode": "episodes/000003", "index": 7, "label": "success"},
        )
        assert answer.status == 200

    visit(console, story)
    (line,) = (run / "labels.jsonl").read_text().splitlines()
    label = json.loads(line)
    assert (label["episode"], label["index"], label["label"], label["by"]) == (
        "episodes/000003",
        7,
        "SUCCESS",
        "HAND",
    )
    assert calls(run) == []


def test_a_region_is_saved_by_the_cameras_program(console, run):
    async def story(visitor: Visitor) -> None:
        answer = await visitor.client.post(
            "/api/region",
            headers={"Origin": visitor.origin},
            json={"camera": "front", "region": [10, 20, 300, 200]},
        )
        assert await answer.json() == {"message": "well done"}

    visit(console, story)
    (words,) = calls(run)
    assert words[:2] == ["hilserl_camera", "select_roi"]
    assert words[-7:] == ["--node", "front_camera", "--region", "10", "20", "300", "200"]


def test_the_region_that_the_camera_will_take_is_told(console, run):
    async def region(visitor: Visitor, camera: str) -> dict:
        return await (await visitor.client.get(f"/api/region/{camera}")).json()

    async def story(visitor: Visitor) -> None:
        assert await region(visitor, "front") == {"region": [0, 0, 0, 0]}
        file = run / "cameras.yaml"
        file.write_text(
            "camera_node:\n  ros__parameters: {region: [1, 2, 3, 4]}\n"
            "front_camera:\n  ros__parameters: {region: [5, 6, 7, 8]}\n"
        )
        assert await region(visitor, "front") == {"region": [5, 6, 7, 8]}
        assert await region(visitor, "wrist") == {"region": [1, 2, 3, 4]}
        file.write_text("front_camera: [")
        assert "cameras.yaml is not YAML" in (await region(visitor, "front"))["error"]
        assert "camera's name" in (await region(visitor, "a.b"))["error"]

    visit(console, story)


WRONG = [
    ("/api/episodes/episodes/..%2f..", {"outcome": "success"}),
    ("/api/episodes/secrets/000003", {"outcome": "success"}),
    ("/api/episodes/episodes/000003", {"outcome": "--dry-run"}),
    ("/api/episodes/episodes/000003", {"outcome": ["success"]}),
    ("/api/episodes/episodes/000003", {"source": "success"}),
    ("/api/episodes/episodes/000003", {"source": "human", "outcome": "success"}),
    ("/api/episodes/episodes/000003", {}),
    ("/api/labels", {"episode": "../../etc", "index": 0, "label": "success"}),
    ("/api/labels", {"episode": "episodes/000004", "index": 0, "label": "success"}),
    ("/api/labels", {"episode": "episodes/000003", "index": True, "label": "success"}),
    ("/api/labels", {"episode": "episodes/000003", "index": -1, "label": "success"}),
    ("/api/labels", {"episode": "episodes/000003", "index": 0, "label": "splendid"}),
    ("/api/labels", {"episode": "episodes/000003", "index": 0, "label": ["success"]}),
    ("/api/region", {"camera": "../x", "region": [0, 0, 0, 0]}),
    ("/api/region", {"camera": "front", "region": [0, 0, 10, 0]}),
    ("/api/region", {"camera": "front", "region": [0.5, 0, 10, 10]}),
    ("/api/region", {"camera": "front", "region": [0, 0, 10]}),
    ("/api/region", {"camera": "front"}),
    ("/api/region", []),
]


@pytest.mark.parametrize(("path", "content"), WRONG)
def test_a_wrong_request_starts_nothing_and_writes_nothing(console, run, path, content):
    async def story(visitor: Visitor) -> None:
        answer = await visitor.client.post(path, headers={"Origin": visitor.origin}, json=content)
        assert answer.status in (400, 404)
        assert "error" in await answer.json()

    visit(console, story)
    assert calls(run) == []
    assert not (run / "labels.jsonl").exists()
