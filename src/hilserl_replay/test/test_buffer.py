"""The replay buffer against a plain list of episodes."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hilserl_core.errors import UserError
from hilserl_core.step import Source
from hilserl_replay.buffer import ReplayBuffer, quotas

DISCOUNT = 0.9
SOURCES = st.sampled_from(list(Source))
REWARDS = st.sampled_from([0.0, 1.0, -1.0])


@dataclass
class _Model:
    """An episode as a list: states carry their own number, so a wrong neighbour shows."""

    states: list[int] = field(default_factory=list)
    steps: list[tuple[float, Source]] = field(default_factory=list)
    terminal: bool = False
    done: bool = False


def _state(number: int) -> np.ndarray:
    return np.array([number, number % 7], np.float32)


def _frame(number: int) -> np.ndarray:
    return np.array([[number % 256, number // 256], [7, 7]], np.uint8)


class BufferMachine(RuleBasedStateMachine):
    """Appends, ends, cuts short and discards episodes, and samples in between."""

    @initialize(capacity=st.integers(4, 25), n_step=st.integers(1, 4), stop=st.booleans())
    def start(self, capacity, n_step, stop):
        self.capacity, self.n_step, self.stop = capacity, n_step, stop
        self.buffer = ReplayBuffer(
            capacity,
            2,
            1,
            frame_shape=(2, 2),
            batch_size=16,
            n_step=n_step,
            discount=DISCOUNT,
            stop_at_source_change=stop,
        )
        self.episodes: list[_Model] = []
        self.number = 0

    def _open(self) -> _Model:
        if not self.episodes or self.episodes[-1].done:
            self.episodes.append(_Model())
        return self.episodes[-1]

    def _next(self) -> int:
        self.number += 1
        return self.number

    @rule(reward=REWARDS, source=SOURCES)
    def append(self, reward, source):
        episode, number = self._open(), self._next()
        action = np.array([number / 1000], np.float32)
        frame = _frame(number)
        self.buffer.append(_state(number), action, number % 3, reward, source, None, frame)
        episode.states.append(number)
        episode.steps.append((reward, source))

    @rule(terminal=st.booleans())
    def end(self, terminal):
        episode = self._open()
        if not episode.states:
            self.buffer.end(_state(0), terminal)  # nothing is open: nothing happens
            self.episodes.pop()
            return
        number = self._next()
        self.buffer.end(_state(number), terminal, None, _frame(number))
        episode.states.append(number)
        episode.terminal, episode.done = terminal, True

    @rule()
    def close(self):
        self.buffer.close()
        if self.episodes and not self.episodes[-1].done:
            self.episodes[-1].done = True

    @rule(length=st.integers(1, 9), terminal=st.booleans(), source=SOURCES)
    def add_episode(self, length, terminal, source):
        if self.episodes:
            self.episodes[-1].done = True
        numbers = [self._next() for _ in range(length + 1)]
        self.buffer.add_episode(
            np.stack([_state(n) for n in numbers]),
            np.array([[n / 1000] for n in numbers[:-1]], np.float32),
            np.array([n % 3 for n in numbers[:-1]]),
            np.ones(length, np.float32),
            [source] * length,
            terminal,
            np.stack([_frame(n) for n in numbers]),
        )
        self.episodes.append(_Model(numbers, [(1.0, source)] * length, terminal, True))

    def _transitions(self) -> dict[int, tuple[float, float, int, Source]]:
        """What can be sampled: state number to (reward, discount, next state, source)."""
        slots = [(e, i) for e in self.episodes for i in range(len(e.states))]
        result = {}
        for episode, i in slots[-self.capacity :]:
            last = len(episode.states) - 1
            if i >= last:
                continue
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
        for row in range(16):
            number = int(batch.state[row, 0])
            total, factor, following, source = expected[number]
            assert batch.action[row, 0].item() == pytest.approx(number / 1000)
            assert batch.gripper[row].item() == number % 3
            assert batch.reward[row].item() == pytest.approx(total, abs=1e-5)
            assert batch.discount[row].item() == pytest.approx(factor, abs=1e-5)
            assert batch.next_state[row].tolist() == _state(following).tolist()
            assert batch.source[row].item() == source
            np.testing.assert_array_equal(batch.frames[row], _frame(number))
            np.testing.assert_array_equal(batch.next_frames[row], _frame(following))
        available = [self.buffer.count(source) > 0 for source in Source]
        shares = quotas(16, (1.0, 2.0, 1.0), available)
        assert [(batch.source == source).sum().item() for source in Source] == shares


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_discarded_episode_leaves_no_trace():
    buffer = ReplayBuffer(50, 2, 1, batch_size=64)
    for start in (0, 100, 200):
        for number in range(start, start + 6):
            buffer.append(_state(number), np.zeros(1), 1, 0.0, Source.POLICY)
        if start == 100:
            buffer.discard()
        else:
            buffer.end(_state(start + 6), False)
    assert len(buffer) == 12
    numbers = set(buffer.sample().state[:, 0].int().tolist())
    assert not any(100 <= number < 200 for number in numbers)


def test_discarding_an_episode_longer_than_the_ring_empties_it():
    buffer = ReplayBuffer(8, 2, 1)
    for number in range(20):
        buffer.append(_state(number), np.zeros(1), 1, 0.0, Source.HUMAN)
    assert len(buffer) == 7
    buffer.discard()
    assert len(buffer) == 0


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


def test_the_memory_is_stated():
    assert ReplayBuffer(50_000, 36, 3).bytes < 50_000 * 230
    frames = ReplayBuffer(100, 36, 3, frame_shape=(2, 3, 64, 64))
    held = sum(a.nbytes for a in vars(frames).values() if isinstance(a, np.ndarray))
    queues = 3 * 4 * 100
    assert frames.bytes == held + queues


def test_frames_beyond_the_machines_memory_are_refused_before_they_are_taken():
    with pytest.raises(UserError, match=r"capacity: 1000000000 steps need 24\d\d\d\.\d GB"):
        ReplayBuffer(10**9, 36, 3, frame_shape=(2, 3, 64, 64))
