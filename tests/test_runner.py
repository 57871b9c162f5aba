"""The stand-alone runner with small programs in place of nodes: restarts, endings, logs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hilserl_bringup.exclusive import hold
from hilserl_bringup.supervisor import INTERRUPTED, Ending, Patience, Program, Supervisor
from hilserl_core.errors import UserError

QUICK = Patience(restarts=3, first_delay=0.05, longest_delay=0.1, interrupt=1.0, terminate=0.5)
FOREVER = "trap 'echo bye; exit 0' INT; echo up $$; while :; do sleep 0.05; done"
STUBBORN = "trap '' INT TERM; echo up $$; while :; do sleep 0.05; done"


def shell(name: str, script: str, ends_run: bool = False, respawn: bool = True) -> Program:
    return Program(name, ["sh", "-c", script], dict(os.environ), ends_run, respawn)


class Output:
    """What a run showed; runs a reaction when a line comes that holds its key."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.reactions: dict[str, Callable[[str], None]] = {}

    def log(self, name: str, text: str) -> None:
        self.lines.append((name, text))
        for key in [key for key in self.reactions if key in f"{name} {text}"]:
            self.reactions.pop(key)(text)

    def of(self, name: str) -> list[str]:
        return [text for who, text in self.lines if who == name]

    def run(self, tmp_path: Path, *programs: Program) -> Ending:
        supervisor = Supervisor(programs, tmp_path / "log", self.log, self.said.append, QUICK)

        async def bounded() -> Ending:
            return await asyncio.wait_for(supervisor.run(), 20.0)

        return asyncio.run(bounded())


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_the_end_of_the_ending_node_stops_the_others_in_order(tmp_path: Path) -> None:
    output = Output()
    ending = output.run(
        tmp_path, shell("robot", FOREVER), shell("policy", "sleep 0.3", ends_run=True)
    )
    assert ending.code == 0
    assert output.of("robot")[-1] == "bye"
    assert not alive(int(output.of("robot")[0].split()[1]))


def test_a_killed_node_comes_back_and_the_run_goes_on(tmp_path: Path) -> None:
    output = Output()
    done = tmp_path / "done"

    def kill(text: str) -> None:
        os.kill(int(text.split()[1]), signal.SIGKILL)
        output.reactions["learner up"] = lambda _: done.touch()

    output.reactions["learner up"] = kill
    ending = output.run(
        tmp_path,
        shell("learner", FOREVER),
        shell("policy", f"while [ ! -e {done} ]; do sleep 0.05; done", ends_run=True),
    )
    assert ending.code == 0
    pids = {text for text in output.of("learner") if text.startswith("up")}
    assert len(pids) == 2
    assert any("learner was ended by SIGKILL" in text for text in output.said)


def test_the_ending_node_too_comes_back_after_a_crash(tmp_path: Path) -> None:
    flag = tmp_path / "crashed"
    script = f"if [ -e {flag} ]; then exit 0; fi; touch {flag}; kill -9 $$"
    assert Output().run(tmp_path, shell("policy", script, ends_run=True)).code == 0
    assert flag.exists()


def test_a_node_that_always_crashes_ends_the_run(tmp_path: Path) -> None:
    output = Output()
    ending = output.run(tmp_path, shell("robot", FOREVER), shell("mux", "exit 3"))
    assert ending.code == 1
    assert "mux ended with code 3" in ending.reason
    assert output.of("robot")[-1] == "bye"


def test_a_users_mistake_is_not_tried_again(tmp_path: Path) -> None:
    output = Output()
    ending = output.run(tmp_path, shell("policy", "echo 'error: no such task'; exit 1"))
    assert ending == Ending(1, "policy: no such task")
    assert output.of("policy") == ["error: no such task"]


def test_a_node_that_shall_not_respawn_ends_the_run(tmp_path: Path) -> None:
    ending = Output().run(tmp_path, shell("once", "exit 4", respawn=False))
    assert ending == Ending(1, "once ended with code 4")


def test_a_program_that_is_missing_ends_the_run(tmp_path: Path) -> None:
    ending = Output().run(tmp_path, Program("ghost", [str(tmp_path / "none")], {}))
    assert ending.code == 1
    assert "ghost cannot be started" in ending.reason


def test_a_node_deaf_to_signals_is_killed(tmp_path: Path) -> None:
    output = Output()
    started = time.monotonic()
    output.run(tmp_path, shell("deaf", STUBBORN), shell("policy", "sleep 0.2", ends_run=True))
    assert time.monotonic() - started < 5.0
    assert not alive(int(output.of("deaf")[0].split()[1]))


def test_what_a_node_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    output = Output()
    output.run(tmp_path, shell("policy", "sleep 60 & echo $!; exit 0", ends_run=True))
    pid = int(output.of("policy")[0])
    assert wait_until(lambda: not alive(pid))


def test_an_interrupt_stops_all_and_says_so(tmp_path: Path) -> None:
    output = Output()
    output.reactions["robot up"] = lambda _: os.kill(os.getpid(), signal.SIGINT)
    ending = output.run(tmp_path, shell("robot", FOREVER))
    assert ending.code == INTERRUPTED
    assert output.of("robot")[-1] == "bye"


def test_logs_are_kept_with_times_and_across_restarts(tmp_path: Path) -> None:
    flag = tmp_path / "crashed"
    script = f"echo life; if [ -e {flag} ]; then exit 0; fi; touch {flag}; exit 7"
    Output().run(tmp_path, shell("policy", script, ends_run=True))
    lines = (tmp_path / "log" / "policy.log").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["life", "life"]
    assert all(line[4] == "-" and line[13] == ":" for line in lines)


def test_long_and_broken_output_does_no_harm(tmp_path: Path) -> None:
    output = Output()
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; printf '\\377ok\\n'; printf end"
    assert output.run(tmp_path, shell("policy", script, ends_run=True)).code == 0
    assert output.of("policy")[-2:] == ["�ok", "end"]


def test_no_orphans_when_the_runner_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from hilserl_bringup.supervisor import Program, Supervisor\n"
        f"node = Program('node', ['sh', '-c', {FOREVER!r}], dict(os.environ))\n"
        "show = lambda name, text: print(text, flush=True)\n"
        f"asyncio.run(Supervisor([node], Path({str(tmp_path)!r}), show, print).run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline().split()[1])
        assert alive(pid)
        runner.kill()
    assert wait_until(lambda: not alive(pid))


def test_a_lock_is_held_by_one_process_and_freed_by_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, "taken by {pid}"):
        second = hold(path, "taken by {pid}")
        with pytest.raises(UserError, match=f"taken by {os.getpid()}"), second:
            pass
    with hold(path, "taken by {pid}"):
        pass
