"""Programs that note how they were started, in place of nodes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hilserl_bringup.arm_graphs import GRAPHS
from hilserl_bringup.graph import make_plan

NOTE = """#!/bin/sh
name=$(basename "$0")
echo "$@" >> "$NOTES/$name"
"""


class Stage:
    """A prefix with a program for each node, which notes its arguments and then does as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.mkdir(parents=True)

    def add(self, package: str, program: str, then: str) -> None:
        marker = self.folder / "share/ament_index/resource_index/packages" / package
        path = self.folder / "lib" / package / program
        for file, text in ((marker, ""), (path, NOTE + then + "\n")):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def environment(self) -> dict[str, str]:
        prefixes = [str(self.folder), os.environ.get("AMENT_PREFIX_PATH", "")]
        return {
            **os.environ,
            "AMENT_PREFIX_PATH": os.pathsep.join(prefixes),
            "NOTES": str(self.notes),
            "ROS_LOG_DIR": str(self.folder / "log"),
            # No program here speaks ROS: the number only keeps other runs' locks away.
            "ROS_DOMAIN_ID": str(os.getpid()),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts Python with these arguments, in the stage's folder and environment."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            try:
                out, error = process.communicate(timeout=60)
            finally:
                process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, error)

    def starts(self, program: str) -> list[list[str]]:
        note = self.notes / program
        return [line.split() for line in note.read_text().splitlines()] if note.exists() else []


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(tmp_path)
    for part in ("checkpoints", "episodes"):
        Path("runs/good", part).mkdir(parents=True)
    stage = Stage(tmp_path)
    graph = make_plan(GRAPHS["koch_train"], [])
    for node in graph.nodes:
        then = "sleep 2; exit 0" if node.ends_run else "exec sleep 60"
        stage.add(node.package, node.program, then)
    stage.add("hilserl_bringup", "panel_node", "exec sleep 60")
    stage.add("hilserl_teleop", "markers_node", "exec sleep 60")
    stage.add("hilserl_replay", "report", "echo the figure")
    stage.add("hilserl_replay", "inspect", "echo the figure")
    return stage
