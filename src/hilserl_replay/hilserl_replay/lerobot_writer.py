"""Writes a LeRobotDataset episode by episode: rows, videos, metadata and statistics."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from hilserl_core.step import Episode, Outcome
from hilserl_replay import lerobot_format as form
from hilserl_replay.column_statistics import PictureStatistics, Statistics, number_statistics
from hilserl_replay.shapes import Shapes
from hilserl_replay.video import CODECS, VideoWriter

MEGABYTE = 2**20
# LeRobot compares a frame's time with the one asked for in float32, and allows 0.1 ms: beyond
# 1024 s neighbouring numbers are further apart than that.
_LONGEST = 1000.0

Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Limits:
    """Bytes after which a file is followed by another."""

    data: int
    video: int


@dataclass
class _Place:
    """Number of a file of one kind, and which folder that is in."""

    number: int = 0

    def path(self, root: Path, pattern: str, **names: str) -> Path:
        return root / pattern.format(**self.indices(), **names)

    def indices(self) -> dict[str, int]:
        chunk, file = divmod(self.number, form.FILES_A_CHUNK)
        return {"chunk_index": chunk, "file_index": file}


class _Table:
    """Parquet files of one kind; an episode is one row group."""

    def __init__(self, root: Path, pattern: str, schema: pa.Schema | None, limit: int) -> None:
        self.place = _Place()
        self._root, self._pattern, self._schema, self._limit = root, pattern, schema, limit
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> dict[str, int]:
        """Adds rows; returns where they are."""
        path = self.place.path(self._root, self._pattern)
        if self._writer is not None and path.stat().st_size >= self._limit:
            self.close()
            self.place.number += 1
            path = self.place.path(self._root, self._pattern)
        if self._writer is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._schema = self._schema or table.schema
            self._writer = pq.ParquetWriter(path, self._schema)
        self._writer.write_table(table)
        return self.place.indices()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _Video:
    """Video files of one camera."""

    def __init__(self, root: Path, camera: str, codec: str, fps: int, limit: int) -> None:
        self._root, self._key = root, form.IMAGES + camera
        self._codec, self._fps, self._limit = CODECS[codec], fps, limit
        self._place = _Place()
        self._writer: VideoWriter | None = None

    def write(self, images: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
        """Adds an episode's frames; returns where they are, in files and seconds."""
        if self._writer is not None:
            seconds = (self._writer.frames + len(images)) / self._fps
            if self._writer.size >= self._limit or seconds > _LONGEST:
                self.close()
                self._place.number += 1
        if self._writer is None:
            height, width, _ = images[0].shape
            path = self._place.path(self._root, form.VIDEO, video_key=self._key)
            self._writer = VideoWriter(path, self._codec, self._fps, height, width)
        start = self._writer.frames
        for image in images:
            self._writer.write(image)
        return {
            **self._place.indices(),
            "from_timestamp": start / self._fps,
            "to_timestamp": self._writer.frames / self._fps,
        }

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class DatasetWriter:
    """Writes a data set into a folder that does not exist yet.

    Args:
        root: the folder.
        shapes: what every step has; the caller has checked it.
        fps: rows a second.
        codec: one of ``CODECS``, or ``png`` for images in the rows.
        task: what the robot was to do, in words.
        limits: sizes of files.
    """

    def __init__(
        self, root: Path, shapes: Shapes, fps: int, codec: str, task: str, limits: Limits
    ) -> None:
        self._root, self._shapes, self._fps, self._task = root, shapes, fps, task
        self._limits = limits
        used = CODECS.get(codec)
        name, pixels = (used.name, used.pixels) if used else (codec, None)
        self._features = form.features(shapes, fps, name, pixels)
        self._schema = form.row_schema(self._features)
        self._data = _Table(root, form.DATA, self._schema, limits.data)
        self._episodes = _Table(root, form.EPISODES, None, limits.data)
        self._beside = _Table(root, form.BESIDE, form.beside_schema(list(shapes.images)), 2**62)
        self._videos = {
            camera: _Video(root, camera, codec, fps, limits.video)
            for camera in (shapes.images if used else ())
        }
        self._numbers: list[Rows] = []
        self._pictures = {camera: PictureStatistics() for camera in shapes.images}
        self.episodes = self.frames = 0

    def add(self, episode: Episode) -> None:
        """Adds an episode of one transition or more."""
        rows = self._rows(episode)
        acted = episode.steps[:-1]
        images = {
            camera: [step.observation.images[i] for step in acted]
            for i, camera in enumerate(self._shapes.images)
        }
        described: dict[str, Any] = {
            "episode_index": self.episodes,
            "tasks": [self._task],
            "length": len(acted),
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + len(acted),
        }
        where = self._data.write(self._table(rows, images))
        described |= {f"data/{key}": value for key, value in where.items()}
        for camera, video in self._videos.items():
            seen = video.write(images[camera])
            described |= {f"videos/{form.IMAGES}{camera}/{k}": v for k, v in seen.items()}
        described |= {f"meta/episodes/{k}": v for k, v in self._episodes.place.indices().items()}
        figures = self._statistics(rows, images)
        described |= {
            f"stats/{feature}/{figure}": value.tolist()
            for feature, found in figures.items()
            for figure, value in found.items()
        }
        self._episodes.write(pa.Table.from_pylist([described]))
        self._beside.write(self._last(episode))
        self._numbers.append(rows)
        self.episodes += 1
        self.frames += len(acted)

    def close(self) -> None:
        """Ends every file, and writes what is known of all episodes."""
        for table in (self._data, self._episodes, self._beside):
            table.close()
        for video in self._videos.values():
            video.close()
        pq.write_table(form.tasks_table([self._task]), self._root / form.TASKS)
        whole = {
            name: number_statistics(np.concatenate([rows[name] for rows in self._numbers]))
            for name in self._numbers[0]
        }
        whole |= {form.IMAGES + c: seen.figures() for c, seen in self._pictures.items()}
        form.write_json(self._root / form.STATS, _listed(whole))
        form.write_json(self._root / form.INFO, self._info())

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": form.VERSION,
            "robot_type": None,  # steps do not say
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": 1,
            "chunks_size": form.FILES_A_CHUNK,
            "data_files_size_in_mb": max(1, self._limits.data // MEGABYTE),
            "video_files_size_in_mb": max(1, self._limits.video // MEGABYTE),
            "fps": self._fps,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": form.DATA,
            "video_path": form.VIDEO if self._videos else None,
            "features": self._features,
        }

    def _rows(self, episode: Episode) -> Rows:
        """Every column but images, (transitions, size) each."""
        steps = episode.steps[:-1]
        count = len(steps)
        last = np.arange(count) == count - 1
        terminal = episode.steps[-1].is_terminal
        unknown = np.zeros(len(self._shapes.action), np.float32)
        proposed = [s.policy_action if s.policy_action.size else unknown for s in steps]
        columns = {
            form.STATE: np.stack([step.observation.state for step in steps]),
            form.ACTION: np.stack([step.action for step in steps]),
            form.SOURCE: np.array([int(step.source) for step in steps]),
            form.REWARD: np.array([step.reward for step in steps], np.float32),
            form.DONE: last,
            form.TRUNCATED: last & (not terminal),
            form.SUCCESS: last & (episode.outcome == Outcome.SUCCESS),
            "policy_action": np.stack(proposed),
            "policy_action_known": np.array([step.policy_action.size > 0 for step in steps]),
            "policy_version": np.array([step.policy_version for step in steps]),
            "stamp": np.array([step.observation.stamp for step in steps]),
            "step_index": np.array([step.index for step in steps]),
            "timestamp": (np.arange(count) / self._fps).astype(np.float32),
            "frame_index": np.arange(count),
            "episode_index": np.full(count, self.episodes),
            "index": np.arange(count) + self.frames,
            "task_index": np.zeros(count, np.int64),
        }
        return {name: column.reshape(count, -1) for name, column in columns.items()}

    def _table(self, rows: Rows, images: Mapping[str, Sequence[NDArray[np.uint8]]]) -> pa.Table:
        arrays = []
        for column in self._schema:
            if column.name in rows:
                flat = pa.array(rows[column.name].ravel())
                if pa.types.is_fixed_size_list(column.type):
                    flat = pa.FixedSizeListArray.from_arrays(flat, column.type.list_size)
                arrays.append(flat.cast(column.type))
            else:
                seen = images[column.name.removeprefix(form.IMAGES)]
                pictures = [{"bytes": _png(image), "path": None} for image in seen]
                arrays.append(pa.array(pictures, column.type))
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _statistics(
        self, rows: Rows, images: Mapping[str, Sequence[NDArray[np.uint8]]]
    ) -> dict[str, Statistics]:
        figures = {name: number_statistics(column) for name, column in rows.items()}
        for camera, seen in images.items():
            counted = PictureStatistics()
            counted.add(seen)
            self._pictures[camera].merge(counted)
            figures[form.IMAGES + camera] = counted.figures()
        return figures

    def _last(self, episode: Episode) -> pa.Table:
        """What rows have no place for: the last step, and what the episode was."""
        last = episode.steps[-1]
        row = {
            "episode_index": self.episodes,
            "run": last.run,
            "phase": last.phase.name,
            "episode": last.episode,
            "spec": last.spec,
            "outcome": last.outcome.name,
            "is_last": last.is_last,
            "is_terminal": last.is_terminal,
            "last_stamp": last.observation.stamp,
            "last_index": last.index,
            "last_state": last.observation.state,
            "last_action": last.action,
            "last_policy_action": last.policy_action,
            "last_source": int(last.source),
            "last_reward": last.reward,
            "last_policy_version": last.policy_version,
        }
        for camera, image in zip(self._shapes.images, last.observation.images, strict=True):
            row[f"last_image.{camera}"] = _png(image)
        return pa.Table.from_pylist([row], schema=form.beside_schema(list(self._shapes.images)))


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _listed(figures: Mapping[str, Statistics]) -> dict[str, dict[str, Any]]:
    return {
        name: {figure: value.tolist() for figure, value in found.items()}
        for name, found in figures.items()
    }
