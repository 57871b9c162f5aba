import pytest

from hilserl_core.errors import UserError
from hilserl_core.run import RunDirectory, write_aside
from hilserl_core.step import Phase

CONFIG = {"task": "lift_cube", "nodes": {"mux_node": {"devices": ("leader",)}}, "seed": 1}


def test_the_same_configuration_resumes(tmp_path):
    RunDirectory.create_or_resume(tmp_path / "run", CONFIG)
    run = RunDirectory.create_or_resume(tmp_path / "run", CONFIG)
    assert run.config()["nodes"]["mux_node"]["devices"] == ["leader"]


def test_another_configuration_is_refused_and_nothing_overwritten(tmp_path):
    run = RunDirectory.create_or_resume(tmp_path, CONFIG)
    before = run.config_path.read_bytes()
    with pytest.raises(UserError, match="seed was 1, now 2"):
        RunDirectory.create_or_resume(tmp_path, {**CONFIG, "seed": 2})
    assert run.config_path.read_bytes() == before


@pytest.mark.parametrize("content", [None, "- 1", "a: [", ""])
def test_a_folder_that_is_no_run(tmp_path, content):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config\.yaml"):
        RunDirectory(tmp_path).config()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunDirectory.create_or_resume(tmp_path / "file" / "run", CONFIG)


def test_episodes_are_numbered_after_the_last_also_unfinished(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.next_episode() == 0
    for name in ("000000", "000007.partial", "notes"):
        (run.episodes() / name).mkdir(parents=True)
    assert run.next_episode() == 8
    assert run.next_episode(Phase.EVALUATE) == 0


def test_lines_are_read_back_without_one_that_a_crash_cut_off(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.read("history") == []
    run.append("history", {"episode": 1})
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"episode": 2, "outc')
    assert [line["episode"] for line in run.read("history")] == [1]


def test_a_line_after_one_cut_off_is_not_lost(tmp_path):
    run = RunDirectory(tmp_path)
    (tmp_path / "history.jsonl").write_text('{"episode": 2, "outc')
    run.append("history", {"episode": 3})
    assert [line["episode"] for line in run.read("history")] == [3]


def test_write_aside_replaces_whole(tmp_path):
    path = tmp_path / "a" / "file"
    write_aside(path, b"one")
    write_aside(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
