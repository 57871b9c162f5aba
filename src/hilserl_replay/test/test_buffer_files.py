"""The replay buffer's file: whole, small, and refused where it does not fit."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hilserl_core.errors import UserError
from hilserl_core.step import Source
from hilserl_replay.buffer import ReplayBuffer

_STATE = np.zeros(2, np.float32)


def _saved(path: Path) -> ReplayBuffer:
    """A small buffer with one episode, and its file."""
    buffer = ReplayBuffer(50, 2, 1, feature_dim=2, batch_size=8)
    zeros = np.zeros(9, np.float32)
    states = np.stack([_STATE + n for n in range(10)])
    buffer.add_episode(states, zeros[:, None], zeros, zeros, [Source.POLICY] * 9, True)
    buffer.save(path, "spec")
    return buffer


def test_a_saved_buffer_is_as_small_as_what_it_holds(tmp_path):
    path = tmp_path / "replay.safetensors"
    _saved(path)
    size = path.stat().st_size
    assert list(tmp_path.iterdir()) == [path]
    large = ReplayBuffer(1_000_000, 2, 1, feature_dim=2)
    large.append(_STATE, np.zeros(1), 1, 0.0, Source.POLICY)
    large.save(path)
    assert path.stat().st_size < size + 200


def _truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


@pytest.mark.parametrize(
    "damage",
    [_truncate, _flip, lambda data: b"", lambda data: b"\xff" * 100, lambda data: data[8:]],
)
def test_a_damaged_file_is_refused_and_changes_nothing(tmp_path, damage):
    path = tmp_path / "replay.safetensors"
    buffer = _saved(path)
    path.write_bytes(damage(path.read_bytes()))
    expected = np.random.default_rng(0).bit_generator.state
    buffer.rng.bit_generator.state = expected
    with pytest.raises(UserError, match="damaged") as refused:
        buffer.restore(path, "spec")
    assert str(path) in str(refused.value)
    assert buffer.rng.bit_generator.state == expected
    assert len(buffer) == 9


@pytest.mark.parametrize(
    ("sizes", "contents", "named"),
    [
        ((51, 2, 1, 2), "spec", "capacity 50, this run 51"),
        ((50, 3, 1, 2), "spec", "state_dim 2, this run 3"),
        ((50, 2, 2, 2), "spec", "arm_dim 1, this run 2"),
        ((50, 2, 1, 4), "spec", "feature_dim 2, this run 4"),
        ((50, 2, 1, 2), "other", "contents 'spec', this run 'other'"),
    ],
)
def test_a_file_of_other_sizes_or_contents_is_refused(tmp_path, sizes, contents, named):
    path = tmp_path / "replay.safetensors"
    _saved(path)
    capacity, state, arm, features = sizes
    buffer = ReplayBuffer(capacity, state, arm, feature_dim=features)
    with pytest.raises(UserError, match=named):
        buffer.restore(path, contents)
    assert len(buffer) == 0


def test_a_file_of_other_frames_is_refused(tmp_path):
    path = tmp_path / "replay.safetensors"
    _saved(path)
    buffer = ReplayBuffer(50, 2, 1, feature_dim=2, frame_shape=(1, 3, 8, 8))
    with pytest.raises(UserError, match=r"frame_shape \[0\], this run \[1, 3, 8, 8\]"):
        buffer.restore(path, "spec")


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    path = tmp_path / "replay.safetensors"
    buffer = ReplayBuffer(50, 2, 1)
    with pytest.raises(UserError, match="no such file"):
        buffer.restore(path)
    save_file({"0.weight": np.zeros(3, np.float32)}, path)
    with pytest.raises(UserError, match="of format 'none'"):
        buffer.restore(path)


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        ReplayBuffer(50, 2, 1).save(tmp_path / "file" / "replay.safetensors")
