"""The replay buffer against a plain list of episodes."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hilserl_core.errors import UserError
from hilserl_core.step import Source
from hilserl_replay.buffer import ReplayBuffer
from hilserl_replay.sampling import quotas

DISCOUNT = 0.9
BATCH = 16
SOURCES = st.sampled_from(list(Source))
REWARDS = st.sampled_from([0.0, 1.0, -1.0])
WEIGHTS = st.sampled_from([(1.0, 2.0, 1.0), (0.0, 1.0, 3.0), (1.0, 1.0, 0.0)])


@dataclass
class _Model:
    """An episode as a list: states and features carry their own number, so a wrong one shows."""

    states: list[int] = field(default_factory=list)
    serials: list[int] = field(default_factory=list)
    steps: list[tuple[float, Source]] = field(default_factory=list)
    terminal: bool = False
    done: bool = False


def _state(number: int) -> np.ndarray:
    return np.array([number, number % 7], np.float32)


def _features(number: int, version: int) -> np.ndarray:
    return np.array([number, version], np.float16)


def _frame(number: int) -> np.ndarray:
    return np.array([[number % 256, number // 256], [7, 7]], np.uint8)


class BufferMachine(RuleBasedStateMachine):
    """Appends, ends, cuts short and discards episodes, and samples in between."""

    @initialize(
        capacity=st.integers(4, 25), n_step=st.integers(1, 4), stop=st.booleans(), weights=WEIGHTS
    )
    def start(self, capacity, n_step, stop, weights):
        self.capacity, self.n_step, self.stop, self.weights = capacity, n_step, stop, weights
        self.buffer = self._new_buffer(seed=0)
        self.episodes: list[_Model] = []
        self.number = 0
        self.serial = 0  # of the next observation
        self.oldest = 0  # that no later one has overwritten
        self.version = 0
        self.features: dict[int, np.ndarray] = {}  # by the number of the observation

    def _new_buffer(self, seed: int) -> ReplayBuffer:
        return ReplayBuffer(
            self.capacity,
            2,
            1,
            feature_dim=2,
            frame_shape=(2, 2),
            batch_size=BATCH,
            weights=self.weights,
            n_step=self.n_step,
            discount=DISCOUNT,
            stop_at_source_change=self.stop,
            seed=seed,
        )

    def _open(self) -> _Model:
        if not self.episodes or self.episodes[-1].done:
            self.episodes.append(_Model())
        return self.episodes[-1]

    def _observe(self, episode: _Model, features: np.ndarray | None = None) -> int:
        """A new observation's number."""
        self.number += 1
        episode.states.append(self.number)
        episode.serials.append(self.serial)
        self.features[self.number] = np.zeros(2, np.float16) if features is None else features
        self.serial += 1
        self.oldest = max(self.oldest, self.serial - self.capacity)
        return self.number

    @rule(reward=REWARDS, source=SOURCES, seen=st.booleans())
    def append(self, reward, source, seen):
        episode = self._open()
        features = _features(self.number + 1, self.version) if seen else None
        number = self._observe(episode, features)
        action = np.array([number / 1000], np.float32)
        step = _state(number), action, number % 3, reward, source, features, _frame(number)
        assert self.buffer.append(*step) == episode.serials[-1]
        episode.steps.append((reward, source))

    @rule(terminal=st.booleans())
    def end(self, terminal):
        episode = self._open()
        if not episode.states:
            assert self.buffer.end(_state(0), terminal) == -1  # nothing is open
            self.episodes.pop()
            return
        features = _features(self.number + 1, self.version)
        number = self._observe(episode, features)
        serial = self.buffer.end(_state(number), terminal, features, _frame(number))
        assert serial == episode.serials[-1]
        episode.terminal, episode.done = terminal, True

    @rule()
    def close(self):
        self.buffer.close()
        if self.episodes and not self.episodes[-1].done:
            self.episodes[-1].done = True

    @rule()
    def discard(self):
        self.buffer.discard()
        if self.episodes and not self.episodes[-1].done:
            # What it has overwritten does not come back.
            self.serial = max(self.episodes.pop().serials[0], self.oldest)

    @rule(length=st.integers(1, 9), terminal=st.booleans(), source=SOURCES)
    def add_episode(self, length, terminal, source):
        if self.episodes:
            self.episodes[-1].done = True
        episode = _Model(steps=[(1.0, source)] * length, terminal=terminal, done=True)
        numbers = [self._observe(episode) for _ in range(length + 1)]
        self.buffer.add_episode(
            np.stack([_state(n) for n in numbers]),
            np.array([[n / 1000] for n in numbers[:-1]], np.float32),
            np.array([n % 3 for n in numbers[:-1]]),
            np.ones(length, np.float32),
            [source] * length,
            terminal,
            np.stack([_frame(n) for n in numbers]),
        )
        self.episodes.append(episode)

    def _held(self) -> dict[int, int]:
        """Serial numbers of the observations that are held, with what states call them."""
        return {
            serial: number
            for episode in self.episodes
            for serial, number in zip(episode.serials, episode.states, strict=True)
            if serial >= self.oldest
        }

    @rule(data=st.data())
    def replace_features(self, data):
        serials = data.draw(
            st.lists(st.integers(self.oldest - 3, self.serial + 2), unique=True, max_size=12)
        )
        held = self._held()
        self.version += 1
        given = np.full((len(serials), 2), -1, np.float16)
        for row, serial in enumerate(serials):
            if serial in held:
                given[row] = self.features[held[serial]] = _features(held[serial], self.version)
        self.buffer.replace_features(np.array(serials, np.int64), given)

    @rule()
    def save_and_restore(self):
        with tempfile.TemporaryDirectory() as folder:
            self.buffer.save(Path(folder, "replay.safetensors"), "spec")
            restored = self._new_buffer(seed=1)
            # What it held before must not show.
            restored.add_episode(
                np.full((8, 2), -1),
                np.zeros((7, 1)),
                np.ones(7),
                np.ones(7),
                [Source.HUMAN] * 7,
                True,
                np.full((8, 2, 2), 255),
            )
            restored.restore(Path(folder, "replay.safetensors"), "spec")
        if len(self.buffer):
            for _ in range(2):
                drawn = zip(self.buffer.sample(), restored.sample(), strict=True)
                assert all(ours.equal(theirs) for ours, theirs in drawn)
        self.buffer = restored

    def _transitions(self) -> dict[int, tuple[float, float, int, Source]]:
        """What can be sampled: state number to (reward, discount, next state, source)."""
        result = {}
        for episode, i in ((e, i) for e in self.episodes for i in range(len(e.states) - 1)):
            if episode.serials[i] < self.oldest:
                continue
            last = len(episode.states) - 1
            total, factor, at = 0.0, 1.0, i
            while True:
                total += factor * episode.steps[at][0]
                factor *= DISCOUNT
                at += 1
                if at == last and episode.terminal:
                    factor = 0.0
                if at == last or at - i == self.n_step:
                    break
                if self.stop and episode.steps[at][1] != episode.steps[i][1]:
                    break
            source = episode.steps[i][1]
            result[episode.states[i]] = (total, factor, episode.states[at], source)
        return result

    def _observed(self, number: int) -> list[float]:
        return [*_state(number).tolist(), *self.features[number].tolist()]

    @invariant()
    def samples_are_the_lists_transitions(self):
        expected = self._transitions()
        assert len(self.buffer) == len(expected)
        for source in Source:
            count = sum(entry[3] == source for entry in expected.values())
            assert self.buffer.count(source) == count
        if not expected:
            with pytest.raises(ValueError, match="empty"):
                self.buffer.sample()
            return
        batch = self.buffer.sample()
        for row in range(BATCH):
            number = int(batch.state[row, 0])
            total, factor, following, source = expected[number]
            assert batch.state[row].tolist() == self._observed(number)
            assert batch.action[row, 0].item() == pytest.approx(number / 1000)
            assert batch.gripper[row].item() == number % 3
            assert batch.reward[row].item() == pytest.approx(total, abs=1e-5)
            assert batch.discount[row].item() == pytest.approx(factor, abs=1e-5)
            assert batch.next_state[row].tolist() == self._observed(following)
            assert batch.source[row].item() == source
            np.testing.assert_array_equal(batch.frames[row], _frame(number))
            np.testing.assert_array_equal(batch.next_frames[row], _frame(following))
        available = [self.buffer.count(source) > 0 for source in Source]
        shares = quotas(BATCH, self.weights, available)
        assert [(batch.source == source).sum().item() for source in Source] == shares

    @invariant()
    def it_knows_what_it_holds(self):
        held = self._held()
        serials = np.arange(self.oldest - 3, self.serial + 3)
        assert self.buffer.holds(serials).tolist() == [serial in held for serial in serials]
        features = self.buffer.features_of(np.array(sorted(held), np.int64))
        expected = [self.features[held[serial]] for serial in sorted(held)]
        assert features.tolist() == [each.tolist() for each in expected]


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("size", "available", "expected"),
    [
        (256, (True, True, True), [64, 128, 64]),
        (256, (True, False, True), [128, 0, 128]),
        (256, (False, False, True), [0, 0, 256]),
        (10, (True, True, True), [3, 5, 2]),
        (256, (True, True, False), [85, 171, 0]),
    ],
)
def test_quotas(size, available, expected):
    result = quotas(size, (1.0, 2.0, 1.0), available)
    assert sum(result) == size
    assert result == expected


def test_a_source_of_weight_zero_is_used_only_where_it_is_all_there_is():
    assert quotas(8, (0.0, 1.0, 1.0), (True, True, False)) == [0, 8, 0]
    assert quotas(8, (0.0, 1.0, 1.0), (True, False, False)) == [8, 0, 0]


def test_the_same_seed_draws_the_same():
    def numbers() -> list[float]:
        buffer = ReplayBuffer(50, 2, 1, seed=4)
        states = np.stack([_state(n) for n in range(21)])
        zeros = np.zeros(20, np.float32)
        buffer.add_episode(states, zeros[:, None], zeros, zeros, [Source.POLICY] * 20, True)
        return buffer.sample().state[:, 0].tolist()

    assert numbers() == numbers()


def test_the_memory_is_stated_before_it_is_taken():
    assert ReplayBuffer.bytes_needed(50_000, 36, 3) < 50_000 * 230
    buffer = ReplayBuffer(1000, 25, 3, feature_dim=64)
    assert buffer.bytes == ReplayBuffer.bytes_needed(1000, 25, 3, 64)
    frames = ReplayBuffer(100, 36, 3, frame_shape=(2, 3, 64, 64))
    held = sum(a.nbytes for a in vars(frames).values() if isinstance(a, np.ndarray))
    queues = 3 * 4 * 100
    assert frames.bytes == held + queues
    assert frames.bytes == ReplayBuffer.bytes_needed(100, 36, 3, 0, (2, 3, 64, 64))


@pytest.mark.parametrize("features", [64, 2 * 512])
def test_a_million_steps_of_two_cameras_features_are_held_in_4_gb(features):
    """Of the compact encoder, and as many as HIL-SERL's embeddings make of each camera, twice."""
    assert ReplayBuffer.bytes_needed(1_000_000, 25, 3, features) < 4e9
    assert ReplayBuffer(1_000_000, 25, 3, feature_dim=features).bytes < 4e9


def test_more_than_the_machine_has_is_refused():
    available = psutil.virtual_memory().available
    capacity = available // ReplayBuffer.bytes_needed(1, 25, 3, 64) + 1_000_000
    with pytest.raises(UserError, match=rf"capacity: {capacity} steps need .* ask for at most"):
        ReplayBuffer(capacity, 25, 3, feature_dim=64)


def test_frames_beyond_the_machines_memory_are_refused_before_they_are_taken():
    with pytest.raises(UserError, match=r"capacity: 1000000000 steps need 24\d\d\d\.\d GB"):
        ReplayBuffer(10**9, 36, 3, frame_shape=(2, 3, 64, 64))
