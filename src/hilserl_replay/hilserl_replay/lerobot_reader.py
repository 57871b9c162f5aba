"""Reads a LeRobotDataset of version 3, whoever wrote it, as episodes of steps."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from hilserl_core.errors import UserError
from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step
from hilserl_replay import lerobot_format as form
from hilserl_replay.relabel import Labels, relabelled
from hilserl_replay.video import read_video

_SECOND = 1_000_000_000
Image_ = NDArray[np.uint8]
Record = dict[str, Any]


@dataclass(frozen=True)
class Assumed:
    """What is to be said of a data set's episodes where it does not say it.

    Attributes:
        run, phase, spec: of every step.
        source: who acted.
        outcome: how every episode ended; None: after ``next.success``.
    """

    run: str
    phase: Phase = Phase.RECORD
    spec: str = ""
    source: Source = Source.OFFLINE
    outcome: Outcome | None = None


class Dataset:
    """A data set on disk.

    Attributes:
        root: its folder.
        info: its ``info.json``.
        cameras: keys of its pictures, in order.
        ours: whether it was exported from a run, with all that makes its episodes again.
    """

    def __init__(self, root: Path) -> None:
        """Reads what the data set says of itself.

        Raises:
            UserError: it is none, of another version, damaged, or without states or actions.
        """
        self.root, self.info = root, form.read_info(root)
        features = self.info["features"]
        for key in (form.STATE, form.ACTION):
            if key not in features:
                raise UserError(f"{root}: has no '{key}', its columns are {', '.join(features)}")
        self.cameras = [
            key
            for key, feature in features.items()
            if feature.get("dtype") in ("image", "video") and key.startswith("observation.image")
        ]
        self._videos = {key: _Frames() for key in self.cameras if features[key]["dtype"] == "video"}
        self.episodes = self._read_episodes()
        self._open: tuple[Path, pa.Table] | None = None
        self._beside = self._open_beside()

    @property
    def ours(self) -> bool:
        return self._beside is not None

    @property
    def fps(self) -> float:
        return float(self.info["fps"])

    def has(self, column: str) -> bool:
        """Whether rows have that column."""
        return column in self.info["features"]

    def spec(self) -> str:
        """A hash of what states and actions are, where no run says it."""
        described = [self.info["features"][key] for key in (form.STATE, form.ACTION)]
        text = repr([(f.get("shape"), f.get("names")) for f in described])
        return "lerobot-" + hashlib.sha256(text.encode()).hexdigest()[:12]

    def task(self) -> str:
        """The first task, in words."""
        table = _read_table(self.root / form.TASKS)
        words = [name for name in table.column_names if name != "task_index"]
        return str(table.column(words[0])[0]) if words and table.num_rows else ""

    def read(self, assumed: Assumed, wanted: Collection[int] | None = None) -> Iterator[Episode]:
        """Reads episodes, in order.

        Args:
            assumed: of the episodes of a data set that was not exported from a run.
            wanted: numbers of those to read; None: all.

        Raises:
            UserError: a file is missing or damaged, or does not hold what the metadata says.
        """
        for number in range(len(self.episodes)):
            if wanted is None or number in wanted:
                try:
                    yield self._episode(number, assumed)
                except KeyError as error:
                    raise UserError(
                        f"{self.root}: episode {number} has no column {error}"
                    ) from None

    def _episode(self, number: int, assumed: Assumed) -> Episode:
        episode = self.episodes[number]
        rows = self._rows(episode)
        images = [self._images(key, episode, rows) for key in self.cameras]
        seen = list(zip(*images, strict=True)) if images else [()] * rows.num_rows
        if self._beside is None:
            return self._foreign(number, rows, seen, assumed)
        (beside,) = self._beside.read_row_group(number).to_pylist()
        return self._own(beside, rows, seen)

    def _read_episodes(self) -> list[Record]:
        paths = sorted((self.root / "meta/episodes").glob("*/*.parquet"))
        if not paths:
            raise UserError(f"{self.root}: holds no meta/episodes/*/*.parquet")
        records: list[Record] = []
        for path in paths:
            names = _open_parquet(path).schema_arrow.names
            columns = [name for name in names if not name.startswith("stats/")]
            records += _read_table(path, columns).to_pylist()
        return sorted(records, key=lambda record: int(record["episode_index"]))

    def _open_beside(self) -> pq.ParquetFile | None:
        """What was exported beside the rows, one row group an episode."""
        path = self.root / form.BESIDE
        if not path.exists():
            return None
        file = _open_parquet(path)
        numbers = _read_table(path, ["episode_index"]).column("episode_index").to_pylist()
        expected = [episode["episode_index"] for episode in self.episodes]
        if numbers != expected or file.num_row_groups != len(expected):
            raise UserError(
                f"{path}: does not fit the data set's {len(expected)} episodes, which were "
                "changed since the export: remove this file to import without it"
            )
        return file

    def _rows(self, episode: Record) -> pa.Table:
        pattern = str(self.info.get("data_path") or form.DATA)
        place = {key: episode[f"data/{key}"] for key in ("chunk_index", "file_index")}
        path = self.root / pattern.format(**place)
        if self._open is None or self._open[0] != path:
            self._open = (path, _read_table(path))
        table, number = self._open[1], episode["episode_index"]
        rows = table.filter(pc.equal(table.column("episode_index"), number))
        if rows.num_rows != episode["length"] or not rows.num_rows:
            raise UserError(
                f"{path}: holds {rows.num_rows} rows of episode {number}, the metadata says "
                f"{episode['length']}: copy the data set again"
            )
        return rows

    def _images(self, key: str, episode: Record, rows: pa.Table) -> list[Image_]:
        """A camera's pictures of an episode's rows."""
        if key not in self._videos:
            return [_decode(row["bytes"]) for row in rows.column(key).to_pylist()]
        pattern = str(self.info.get("video_path") or form.VIDEO)
        place = {k: episode[f"videos/{key}/{k}"] for k in ("chunk_index", "file_index")}
        start = float(episode[f"videos/{key}/from_timestamp"])
        times = [start + float(t) for t in rows.column("timestamp").to_pylist()]
        path = self.root / pattern.format(video_key=key, **place)
        return self._videos[key].at(path, times, 0.5 / self.fps)

    def _own(self, beside: Record, rows: pa.Table, images: Sequence[tuple[Image_, ...]]) -> Episode:
        """An episode that was exported from a run."""
        columns = {name: rows.column(name).to_pylist() for name in _OWN_ROWS}
        states, actions, proposed = (_vectors(rows, name) for name in _VECTORS)
        last = self._own_last(beside)
        steps = [
            replace(
                last,
                observation=Observation(columns["stamp"][i], states[i], seen),
                action=actions[i],
                policy_action=proposed[i] if columns["policy_action_known"][i] else _EMPTY,
                source=Source(columns[form.SOURCE][i]),
                reward=columns[form.REWARD][i],
                is_first=columns["step_index"][i] == 0,
                is_last=False,
                is_terminal=False,
                outcome=Outcome.NONE,
                index=columns["step_index"][i],
                policy_version=columns["policy_version"][i],
            )
            for i, seen in enumerate(images)
        ]
        return Episode((*steps, last))

    def _own_last(self, beside: Record) -> Step:
        names = [key.removeprefix(form.IMAGES) for key in self.cameras]
        pictures = tuple(_decode(beside[f"last_image.{name}"]) for name in names)
        state = np.array(beside["last_state"], np.float32)
        return Step(
            observation=Observation(beside["last_stamp"], state, pictures),
            action=np.array(beside["last_action"], np.float32),
            policy_action=np.array(beside["last_policy_action"], np.float32),
            source=Source(beside["last_source"]),
            reward=beside["last_reward"],
            is_first=beside["last_index"] == 0,
            is_last=beside["is_last"],
            is_terminal=beside["is_terminal"],
            outcome=Outcome[beside["outcome"]] if beside["is_last"] else Outcome.NONE,
            run=beside["run"],
            phase=Phase[beside["phase"]],
            episode=beside["episode"],
            index=beside["last_index"],
            policy_version=beside["last_policy_version"],
            spec=beside["spec"],
        )

    def _foreign(
        self, number: int, rows: pa.Table, images: Sequence[tuple[Image_, ...]], assumed: Assumed
    ) -> Episode:
        """An episode of another program's data set.

        It holds no observation after its last action; the last one is repeated there, so that
        no action and no reward is lost.
        """
        states, actions = (_vectors(rows, key) for key in (form.STATE, form.ACTION))
        count = rows.num_rows
        rewards = _column(rows, form.REWARD, [0.0] * count)
        sources = _column(rows, form.SOURCE, [int(assumed.source)] * count)
        succeeded = any(_column(rows, form.SUCCESS, [False] * count))
        first = int(_column(rows, "index", [0])[0])
        outcome = assumed.outcome or (Outcome.SUCCESS if succeeded else Outcome.TIMEOUT)

        def step(i: int, seen: int) -> Step:
            last = i == count
            stamp = _SECOND + round((first + number + i) * _SECOND / self.fps)
            return Step(
                observation=Observation(stamp, states[seen], images[seen]),
                action=_EMPTY if last else actions[i],
                source=Source.POLICY if last else _source(sources[i], self.root),
                reward=0.0 if last else float(rewards[i] or 0.0),
                is_first=i == 0,
                is_last=last,
                run=assumed.run,
                phase=assumed.phase,
                episode=number,
                index=i,
                spec=assumed.spec,
            )

        steps = [step(i, min(i, count - 1)) for i in range(count + 1)]
        return relabelled(Episode(tuple(steps)), Labels(outcome=outcome))


_EMPTY = np.zeros(0, np.float32)
_VECTORS = (form.STATE, form.ACTION, "policy_action")
_OWN_ROWS = (
    *("policy_action_known", "step_index", "stamp", "policy_version"),
    *(form.SOURCE, form.REWARD),
)


class _Frames:
    """Frames of one camera's files, read in order."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames: Iterator[tuple[float, Image_]] = iter(())
        self._newest: tuple[float, Image_] | None = None

    def at(self, path: Path, times: Sequence[float], tolerance: float) -> list[Image_]:
        """The frames at ``times`` (s, ascending), each less than ``tolerance`` (s) away."""
        if path != self._path or (self._newest and self._newest[0] > times[0] + tolerance):
            self._path, self._frames, self._newest = path, read_video(path), None
        result = []
        for time in times:
            while self._newest is None or self._newest[0] < time - tolerance:
                self._newest = next(self._frames, None)
                if self._newest is None:
                    raise UserError(f"{path}: ends before {time:.3f} s: copy the data set again")
            if self._newest[0] > time + tolerance:
                raise UserError(f"{path}: holds no frame at {time:.3f} s: copy the data set again")
            result.append(self._newest[1])
        return result


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: missing, or damaged: {error}") from None


def _read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        return _open_parquet(path).read(columns)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: damaged: {error}") from None


def _vectors(rows: pa.Table, name: str) -> NDArray[np.float32]:
    """A column of vectors, or of single numbers, as (rows, size)."""
    try:
        values = np.array(rows.column(name).to_pylist(), np.float32)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"column '{name}': is missing, or its rows differ in size") from None
    return values.reshape(rows.num_rows, -1)


def _column(rows: pa.Table, name: str, default: list[Any]) -> list[Any]:
    return rows.column(name).to_pylist() if name in rows.column_names else default


def _source(value: int, root: Path) -> Source:
    try:
        return Source(value)
    except ValueError:
        known = ", ".join(f"{s.value} ({s.name.lower()})" for s in Source)
        raise UserError(f"{root}: source {value!r}: known are {known}") from None


def _decode(data: bytes | None) -> Image_:
    try:
        return np.array(Image.open(io.BytesIO(data or b"")).convert("RGB"))
    except (OSError, ValueError) as error:
        raise UserError(f"a picture in the rows is missing or damaged: {error}") from None
