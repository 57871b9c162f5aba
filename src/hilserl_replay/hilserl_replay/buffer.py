"""The replay buffer: whole episodes in a ring, sampled by who acted."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from hilserl_core.errors import UserError
from hilserl_core.step import Source
from hilserl_replay.sampling import NO_FRAMES, Array, Batch, Queue, quotas
from hilserl_replay.store_file import StoreFile, write_store

SOURCES = len(Source)


class ReplayBuffer:
    """Episodes of steps in one ring of states; a transition is two neighbours in it.

    One episode is open at a time. ``append`` adds its steps as they happen, and a step
    becomes samplable when the next one has arrived; ``end`` adds the final observation.
    Each observation is held once, and has a serial number by which its features can be
    replaced while it is held. All methods may be called from any thread.

    Args:
        capacity: steps held, the final observation of each episode included; the oldest
            are overwritten.
        state_dim, arm_dim: sizes of a normalised state and of an arm action.
        feature_dim: numbers in the features of an observation's images; held as float16.
        frame_shape: of what an observation's images themselves are held as, uint8.
        batch_size: transitions in a batch.
        weights: shares of a batch, one a Source, in the order of that enumeration.
        n_step: rewards summed before bootstrapping. The sum is cut where the episode
            ends, and bootstraps there unless the end was terminal.
        discount: a step.
        stop_at_source_change: cut the sum also where somebody else acts.
        seed: of the sampling.

    Raises:
        UserError: the machine has not the memory.
    """

    def __init__(
        self,
        capacity: int,
        state_dim: int,
        arm_dim: int,
        *,
        feature_dim: int = 0,
        frame_shape: tuple[int, ...] = NO_FRAMES,
        batch_size: int = 256,
        weights: Sequence[float] = (1.0, 2.0, 1.0),
        n_step: int = 1,
        discount: float = 0.97,
        stop_at_source_change: bool = False,
        seed: int = 0,
    ):
        if capacity < 2 or n_step < 1 or len(weights) != SOURCES:
            raise ValueError("capacity >= 2, n_step >= 1 and one weight a source are needed")
        needed = self.bytes_needed(capacity, state_dim, arm_dim, feature_dim, frame_shape)
        _check_memory(capacity, needed)
        self._capacity, self._n_step, self._discount = capacity, n_step, discount
        self._weights, self._stop_at_source_change = tuple(weights), stop_at_source_change
        self._state_dim = state_dim
        self._states = np.zeros((capacity, state_dim), np.float32)
        self._features = np.zeros((capacity, feature_dim), np.float16)
        self._frames = np.zeros((capacity, *frame_shape), np.uint8)
        self._actions = np.zeros((capacity, arm_dim), np.float32)
        self._grippers = np.zeros(capacity, np.int8)
        self._rewards = np.zeros(capacity, np.float32)
        self._sources = np.zeros(capacity, np.int8)
        self._terminal = np.zeros(capacity, bool)
        self._linked = np.zeros(capacity, bool)  # the next position holds this step's successor
        self._queues = [Queue(capacity) for _ in Source]
        self._serial = 0  # of the next observation; its place is the rest by the capacity
        self._oldest = 0  # serial number below which everything has been overwritten
        self._open = 0  # steps of the open episode, 0: none is open
        self._lock = threading.Lock()
        self.rng = np.random.default_rng(seed)
        self.batch_size = batch_size
        self._batch = Batch(
            state=torch.zeros(batch_size, state_dim + feature_dim),
            action=torch.zeros(batch_size, arm_dim),
            gripper=torch.zeros(batch_size, dtype=torch.int64),
            reward=torch.zeros(batch_size),
            discount=torch.zeros(batch_size),
            next_state=torch.zeros(batch_size, state_dim + feature_dim),
            source=torch.zeros(batch_size, dtype=torch.int64),
            frames=torch.zeros(batch_size, *frame_shape, dtype=torch.uint8),
            next_frames=torch.zeros(batch_size, *frame_shape, dtype=torch.uint8),
        )
        self._views = Batch(*(tensor.numpy() for tensor in self._batch))  # type: ignore[arg-type]

    @staticmethod
    def bytes_needed(
        capacity: int,
        state_dim: int,
        arm_dim: int,
        feature_dim: int = 0,
        frame_shape: tuple[int, ...] = NO_FRAMES,
    ) -> int:
        """Memory of a store that is full, before it is taken."""
        numbers = 4 * state_dim + 2 * feature_dim + 4 * arm_dim + 4  # with the reward
        marks = 1 + 1 + 1 + 1  # gripper, source, terminal, linked
        return capacity * (numbers + marks + math.prod(frame_shape) + SOURCES * Queue.BYTES)

    @property
    def bytes(self) -> int:
        """Memory of the store when full (it is allocated at once)."""
        columns = sum(column.nbytes for column in self._columns().values())
        return columns + sum(queue.nbytes for queue in self._queues)

    def _columns(self) -> dict[str, Array]:
        """What is held of each observation and of the step from it, (capacity, ...) each."""
        return {
            "states": self._states,
            "features": self._features,
            "frames": self._frames,
            "actions": self._actions,
            "grippers": self._grippers,
            "rewards": self._rewards,
            "sources": self._sources,
            "terminal": self._terminal,
            "linked": self._linked,
        }

    def __len__(self) -> int:
        """Transitions that can be sampled."""
        return sum(queue.size for queue in self._queues)

    def count(self, source: Source) -> int:
        """Transitions on which ``source`` acted."""
        return self._queues[source].size

    def _write(self, state: Array, features: Array | None, frame: Array | None) -> int:
        """Puts an observation at the next place, over the oldest, and links its predecessor."""
        slot = self._serial % self._capacity
        if self._linked[slot]:
            self._linked[slot] = False
            self._queues[self._sources[slot]].pop_oldest()
        if self._open:
            previous = (slot - 1) % self._capacity
            self._linked[previous] = True
            self._queues[self._sources[previous]].push(previous)
        self._states[slot] = state
        self._features[slot] = 0 if features is None else features
        self._frames[slot] = 0 if frame is None else frame
        self._serial += 1
        # Not from the newest alone: what a discarded episode has overwritten stays lost.
        self._oldest = max(self._oldest, self._serial - self._capacity)
        self._open += 1
        return slot

    def append(
        self,
        state: Array,
        action: Array,
        gripper: int,
        reward: float,
        source: Source,
        features: Array | None = None,
        frame: Array | None = None,
    ) -> int:
        """Adds a step to the open episode, or opens one with it; returns its serial number.

        Args:
            state: (state_dim,) normalised, before the action.
            action: (arm_dim,) in [-1, 1].
            gripper: 0 close, 1 stay, 2 open.
            reward: earned by the action.
            source: who acted.
            features: (feature_dim,) of the images; None: not known yet, zeros.
            frame: (*frame_shape) uint8, the images; needed where the buffer holds them.
        """
        with self._lock:
            slot = self._write(state, features, frame)
            self._actions[slot] = action
            self._grippers[slot] = gripper
            self._rewards[slot] = reward
            self._sources[slot] = source
            self._terminal[slot] = False
            return self._serial - 1

    def end(
        self,
        state: Array,
        terminal: bool,
        features: Array | None = None,
        frame: Array | None = None,
    ) -> int:
        """Closes the open episode with its final observation; returns its serial number.

        Where no episode is open there is nothing to close: it returns -1.

        Args:
            state: (state_dim,) normalised.
            terminal: whether the last transition ended the task (false on a time-out).
            features, frame: as in ``append``.
        """
        with self._lock:
            if not self._open:
                return -1
            slot = self._write(state, features, frame)
            self._terminal[(slot - 1) % self._capacity] = terminal
            self._open = 0
            return self._serial - 1

    def holds(self, serials: Array) -> Array:
        """Which of the observations (n,) are still there: (n,) bool."""
        return (serials >= self._oldest) & (serials < self._serial)

    def features_of(self, serials: Array) -> Array:
        """Features (n, feature_dim) float32 of observations that are held."""
        with self._lock:
            return self._features[serials % self._capacity].astype(np.float32)

    def replace_features(self, serials: Array, features: Array) -> None:
        """Gives observations (n,) new features (n, feature_dim), those that are held."""
        with self._lock:
            held = self.holds(serials)
            self._features[serials[held] % self._capacity] = features[held]

    def close(self) -> None:
        """Closes an episode that was cut short: its newest state serves as the final one."""
        with self._lock:
            self._open = 0

    def discard(self) -> None:
        """Takes the open episode out again."""
        with self._lock:
            for _ in range(min(self._open, self._capacity)):
                self._serial -= 1
                slot = self._serial % self._capacity
                if self._linked[slot]:
                    self._linked[slot] = False
                    self._queues[self._sources[slot]].pop_newest()
            self._open = 0

    def add_episode(
        self,
        states: Array,
        actions: Array,
        grippers: Array,
        rewards: Array,
        sources: Sequence[Source] | Array,
        terminal: bool,
        frames: Array | None = None,
    ) -> None:
        """Adds a whole episode of T transitions; an open one is closed before.

        Args:
            states: (T + 1, state_dim), normalised.
            actions: (T, arm_dim).
            grippers, rewards, sources: (T,) each.
            terminal: whether the last transition ended the task (false on a time-out).
            frames: (T + 1, *frame_shape) uint8, where the buffer holds them.
        """
        self.close()
        last = len(actions)
        seen = frames if frames is not None else [None] * (last + 1)
        for i in range(last):
            gripper, reward = int(grippers[i]), float(rewards[i])
            self.append(states[i], actions[i], gripper, reward, sources[i], None, seen[i])
        self.end(states[last], terminal, None, seen[last])

    def sample(self, weights: Sequence[float] | None = None) -> Batch:
        """A batch with the exact share of each source, in tensors that the next call reuses.

        Args:
            weights: shares for this batch; None: the buffer's.

        Raises:
            ValueError: no transition can be sampled yet.
        """
        with self._lock:
            sizes = [queue.size for queue in self._queues]
            if not any(sizes):
                raise ValueError("the buffer is empty")
            counts = quotas(self.batch_size, weights or self._weights, [size > 0 for size in sizes])
            slots = np.concatenate(
                [
                    queue.draw(self.rng, count)
                    for queue, count in zip(self._queues, counts, strict=True)
                    if count
                ]
            )
            self._gather(slots)
        return self._batch

    def _gather(self, slots: Array) -> None:
        """Fills the batch with the n-step transitions that start at ``slots`` (batch,)."""
        views: Any = self._views
        self._take(slots, views.state, views.frames)
        np.take(self._actions, slots, axis=0, out=views.action, mode="clip")
        views.gripper[:] = self._grippers[slots]
        views.source[:] = self._sources[slots]
        reward, factor = views.reward, views.discount
        reward[:], factor[:] = 0.0, 1.0
        at, active = slots, np.ones(len(slots), bool)
        for _ in range(self._n_step):
            reward += np.where(active, factor * self._rewards[at], 0.0)
            factor *= np.where(active, np.float32(self._discount), 1.0)
            factor *= ~(active & self._terminal[at])
            following = np.where(active, (at + 1) % self._capacity, at)
            active = active & ~self._terminal[at] & self._linked[following]
            if self._stop_at_source_change:
                active &= self._sources[following] == views.source
            at = following
        self._take(at, views.next_state, views.next_frames)

    def _take(self, slots: Array, state: Array, frames: Array) -> None:
        """Normalised states and features of ``slots`` (batch,) side by side, and frames."""
        state[:, : self._state_dim] = self._states[slots]
        state[:, self._state_dim :] = self._features[slots]
        np.take(self._frames, slots, axis=0, out=frames, mode="clip")

    # -- on disk

    def _kind(self, contents: str) -> dict[str, Any]:
        """What a file has to share."""
        return {
            "contents": contents,
            "capacity": self._capacity,
            "state_dim": self._state_dim,
            "feature_dim": self._features.shape[1],
            "frame_shape": list(self._frames.shape[1:]),
            "arm_dim": self._actions.shape[1],
        }

    def save(self, path: Path, contents: str = "") -> None:
        """Writes everything held, and the state of the sampling, to a file.

        Other threads wait until it is written. A crash leaves the old file or the new one.

        Args:
            path: of the file.
            contents: what the numbers mean, such as hashes of the run's spec and its encoder.

        Raises:
            UserError: the file cannot be written.
        """
        with self._lock:
            used = self._capacity if self._oldest else self._serial  # rows ever written
            arrays = {name: column[:used] for name, column in self._columns().items()}
            for source in Source:
                arrays[_queue_name(source)] = self._queues[source].positions
            facts = {
                "kind": self._kind(contents),
                "serial": self._serial,
                "oldest": self._oldest,
                "open": self._open,
                "rng": self.rng.bit_generator.state,
            }
            write_store(path, arrays, facts)

    def restore(self, path: Path, contents: str = "") -> None:
        """Holds what ``save`` wrote, in place of what it held; sampling goes on bit by bit.

        Args:
            path: of the file.
            contents: as it was given to ``save``.

        Raises:
            UserError: the file is damaged, of other sizes, or of other contents. Nothing has
                changed then.
        """
        file = StoreFile(path)
        file.expect(self._kind(contents))
        facts = file.facts
        with self._lock:
            for name, column in self._columns().items():
                held = file.array(name)
                column[: len(held)] = held
            self._linked[len(file.array("linked")) :] = False
            for source in Source:
                self._queues[source].replace(file.array(_queue_name(source)))
            self._serial, self._oldest = int(facts["serial"]), int(facts["oldest"])
            self._open = int(facts["open"])
            self.rng.bit_generator.state = facts["rng"]


def _queue_name(source: Source) -> str:
    return f"queue_{source.name.lower()}"


def _check_memory(capacity: int, needed: int) -> None:
    """Raises UserError where a store of ``needed`` bytes would not fit beside what runs."""
    available = psutil.virtual_memory().available
    if needed > 0.9 * available:
        raise UserError(
            f"capacity: {capacity} steps need {needed / 1e9:.1f} GB, and {available / 1e9:.1f} GB "
            f"of memory are free: ask for at most {int(0.9 * available * capacity / needed)}"
        )
