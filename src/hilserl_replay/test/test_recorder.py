"""What the recorder keeps when nodes die, steps repeat, or the disk is full."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from made_episodes import make_episode
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from hilserl_core.errors import UserError
from hilserl_core.messages import step_to_msg
from hilserl_core.step import Episode, Outcome, Phase, Step
from hilserl_replay.bags import episode_folder, read_episode, read_episodes
from hilserl_replay.mcap_bag import BagWriter, read_messages
from hilserl_replay.recorder import Beside, Recorder


def feed(recorder: Recorder, steps: tuple[Step, ...]) -> list[bool]:
    messages = [step_to_msg(step) for step in steps]
    return [recorder.step(message, serialize_message(message)) for message in messages]


def beside(topic: str, stamp: int) -> Beside:
    return Beside(topic, "hilserl_msgs/msg/OperatorEvent", b"\0\1\0\0", stamp)


def topics(folder: Path) -> list[str]:
    return [message.topic for message in read_messages(folder)]


@pytest.fixture
def recorder(run_dir: Path) -> Recorder:
    return Recorder(run_dir, log=lambda _: None)


def test_a_new_episode_closes_one_that_never_ended(recorder: Recorder, run_dir: Path) -> None:
    feed(recorder, make_episode(0).steps[:5])
    feed(recorder, make_episode(1).steps)
    recorder.close()
    first, second = read_episodes(run_dir, finished_only=True)
    assert (first.outcome, len(first.steps)) == (Outcome.ABORTED, 5)
    assert second.outcome == Outcome.SUCCESS


def test_training_and_evaluation_number_their_episodes_apart(
    recorder: Recorder, run_dir: Path
) -> None:
    feed(recorder, make_episode(0).steps)
    feed(recorder, make_episode(0, phase=Phase.EVALUATE).steps)
    recorder.close()
    assert len(list(read_episodes(run_dir, Phase.TRAIN))) == 1
    assert len(list(read_episodes(run_dir, Phase.EVALUATE))) == 1


def test_duplicates_are_dropped(recorder: Recorder, run_dir: Path) -> None:
    steps = make_episode(0).steps
    feed(recorder, steps)
    feed(recorder, make_episode(1).steps[:3])
    assert not any(feed(recorder, steps))
    assert recorder.episode == 1
    feed(recorder, make_episode(1).steps)
    recorder.close()
    assert [e.gaps for e in read_episodes(run_dir)] == [0, 0]
    assert recorder.counts.duplicates == len(steps) + 3


def test_a_recorder_that_comes_back_goes_on_with_the_episode(run_dir: Path) -> None:
    episode = make_episode(0)
    dead = Recorder(run_dir, log=lambda _: None)
    feed(dead, episode.steps[:6])
    dead._lock.close()  # As the system does when a process is killed: nothing else is closed.
    said: list[str] = []
    back = Recorder(run_dir, log=said.append)
    assert any("000000" in line for line in said)
    feed(back, episode.steps[6:])
    back.close()
    (read,) = read_episodes(run_dir)
    assert read.complete
    assert read.gaps == 0
    assert len(read.steps) == len(episode.steps)


def test_one_recorder_a_run(recorder: Recorder, run_dir: Path) -> None:
    with pytest.raises(UserError, match="another recorder writes to it"):
        Recorder(run_dir, log=lambda _: None)
    recorder.close()
    Recorder(run_dir, log=lambda _: None).close()


def test_steps_of_another_run_are_not_mixed_in(recorder: Recorder, run_dir: Path) -> None:
    assert not any(feed(recorder, make_episode(0, run="other").steps))
    assert recorder.counts.foreign == 11
    recorder.close()
    assert not list(read_episodes(run_dir))


@pytest.mark.parametrize("wrong", ["source", "outcome", "phase", "stamp", "image"])
def test_a_step_that_nobody_could_read_is_dropped_and_spoils_no_bag(
    run_dir: Path, wrong: str
) -> None:
    told: list[str] = []
    recorder = Recorder(run_dir, log=told.append)
    episode = make_episode(0)
    feed(recorder, episode.steps[:3])
    message = step_to_msg(episode.steps[3])
    if wrong == "stamp":
        message.observation.header.stamp.sec = -1
    elif wrong == "image":
        message.observation.images = [Image(encoding="jpg", data=b"abc", height=1, width=1)]
    else:
        setattr(message, wrong, 9)
    assert not recorder.step(message, serialize_message(message))
    assert len(told) == 1
    assert "a step is dropped: topic steps" in told[0]
    feed(recorder, episode.steps[3:])
    recorder.close()
    (read,) = read_episodes(run_dir, finished_only=True)
    assert len(read.steps) == len(episode.steps)


def test_events_are_recorded_beside_the_steps(recorder: Recorder, run_dir: Path) -> None:
    steps = make_episode(0).steps
    start = steps[0].observation.stamp
    recorder.beside(beside("arbitration", start - 10**9))
    recorder.beside(beside("arbitration", start - 10**8))
    recorder.beside(beside("teleop/leader/event", start))
    feed(recorder, steps[:5])
    recorder.beside(beside("teleop/leader/event", start + 3 * 10**8))
    feed(recorder, steps[5:])
    recorder.close()
    found = topics(episode_folder(run_dir, Phase.TRAIN, 0))
    assert found.count("/arbitration") == 1
    assert found.count("/teleop/leader/event") == 2
    assert found[0] == "/steps"


@pytest.mark.parametrize(
    ("phase", "always", "frames"),
    [(Phase.EVALUATE, False, 3), (Phase.TRAIN, False, 0), (Phase.TRAIN, True, 3)],
)
def test_frames_are_recorded_where_they_are_wanted(
    run_dir: Path, phase: Phase, always: bool, frames: int
) -> None:
    recorder = Recorder(run_dir, images_always=always, log=lambda _: None)
    steps = make_episode(0, phase=phase).steps
    start = steps[0].observation.stamp
    for tick in (-1, 0, 1):  # The first belongs to what was before the episode.
        recorder.image(beside("camera/front/policy", start + tick * 10**8))
    feed(recorder, steps[:3])
    recorder.image(beside("camera/front/policy", start + 2 * 10**8))
    feed(recorder, steps[3:])
    recorder.close()
    assert topics(episode_folder(run_dir, phase, 0)).count("/camera/front/policy") == frames


def test_a_full_disk_is_never_silent(
    recorder: Recorder, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = make_episode(0)
    feed(recorder, episode.steps[:5])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(BagWriter, "write", full)
    with pytest.raises(UserError, match="No space left on device"):
        feed(recorder, episode.steps[5:])
    monkeypatch.setattr(BagWriter, "close", full)
    recorder.close()
    monkeypatch.undo()
    Recorder(run_dir, log=lambda _: None).close()
    back = read_episode(episode_folder(run_dir, Phase.TRAIN, 0))
    assert isinstance(back, Episode)
    assert len(back.steps) == 5
