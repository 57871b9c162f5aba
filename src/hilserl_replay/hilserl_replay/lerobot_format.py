"""The layout of a LeRobotDataset of version 3.0, and what is kept beside it.

Frames of a data set are transitions: row ``i`` of an episode holds an observation, the action
that was executed on it, who acted, and what that earned. The last observation of an episode has
no action, so it is no row: it lies, with the rest of what LeRobot has no column for, in
``meta/hilserl/episodes.parquet``, one row an episode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_core.step import Source
from hilserl_replay.shapes import Shapes

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
BESIDE = "meta/hilserl/episodes.parquet"
FILES_A_CHUNK = 1000

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
REWARD, DONE, TRUNCATED, SUCCESS = "next.reward", "next.done", "next.truncated", "next.success"
SOURCE = "source"

Feature = dict[str, Any]


def features(shapes: Shapes, fps: int, codec: str, pixels: str | None) -> dict[str, Feature]:
    """The ``features`` of ``info.json``.

    Args:
        shapes: of the steps.
        fps: rows a second.
        codec: as FFmpeg names it, of the videos.
        pixels: their pixel format; None: images are PNG in the rows, there are no videos.
    """
    size = len(shapes.action)
    result: dict[str, Feature] = {
        STATE: _feature("float32", (len(shapes.state),), list(shapes.state)),
        ACTION: _feature("float32", (size,), list(shapes.action)),
        SOURCE: _feature("int64", (1,), [", ".join(f"{s.value} {s.name.lower()}" for s in Source)]),
        REWARD: _feature("float32", (1,)),
        DONE: _feature("bool", (1,)),
        TRUNCATED: _feature("bool", (1,)),
        SUCCESS: _feature("bool", (1,)),
        "policy_action": _feature("float32", (size,), list(shapes.action)),
        "policy_action_known": _feature("bool", (1,)),
        "policy_version": _feature("int64", (1,)),
        "stamp": _feature("int64", (1,), ["ns"]),
        "step_index": _feature("int64", (1,)),
        "timestamp": _feature("float32", (1,)),
        "frame_index": _feature("int64", (1,)),
        "episode_index": _feature("int64", (1,)),
        "index": _feature("int64", (1,)),
        "task_index": _feature("int64", (1,)),
    }
    for name, (height, width) in shapes.images.items():
        kind = "image" if pixels is None else "video"
        feature = _feature(kind, (height, width, 3), ["height", "width", "channels"])
        if pixels is not None:
            feature["info"] = {
                "video.height": height,
                "video.width": width,
                "video.channels": 3,
                "video.codec": codec,
                "video.pix_fmt": pixels,
                "video.fps": fps,
                "video.is_depth_map": False,
                "has_audio": False,
            }
        result[IMAGES + name] = feature
    return result


def _feature(dtype: str, shape: tuple[int, ...], names: list[str] | None = None) -> Feature:
    return {"dtype": dtype, "shape": list(shape), "names": names}


_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def row_schema(described: Mapping[str, Feature]) -> pa.Schema:
    """The columns of ``data/``; videos have none."""
    fields = []
    for name, feature in described.items():
        if feature["dtype"] == "image":
            fields.append(pa.field(name, _IMAGE))
        elif feature["dtype"] != "video":
            kind, (size,) = _TYPES[feature["dtype"]], feature["shape"]
            vector = feature["names"] is not None and name in (STATE, ACTION, "policy_action")
            fields.append(pa.field(name, pa.list_(kind, size) if vector and size > 1 else kind))
    return pa.schema(fields)


def beside_schema(cameras: Sequence[str]) -> pa.Schema:
    """The columns of ``meta/hilserl/episodes.parquet``; ``last_`` is of the last step."""
    vector, whole = pa.list_(pa.float32()), pa.int64()
    return pa.schema(
        [
            ("episode_index", whole),
            ("run", pa.string()),
            ("phase", pa.string()),
            ("episode", whole),
            ("spec", pa.string()),
            ("outcome", pa.string()),
            ("is_last", pa.bool_()),
            ("is_terminal", pa.bool_()),
            ("last_stamp", whole),
            ("last_index", whole),
            ("last_state", vector),
            ("last_action", vector),
            ("last_policy_action", vector),
            ("last_source", whole),
            ("last_reward", pa.float32()),
            ("last_policy_version", whole),
            *((f"last_image.{camera}", pa.binary()) for camera in cameras),
        ]
    )


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """``meta/tasks.parquet``: a pandas frame whose index is the tasks' words."""
    columns = [
        {"name": "task_index", "numpy_type": "int64", "pandas_type": "int64"},
        {"name": "task", "numpy_type": "object", "pandas_type": "unicode"},
    ]
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [{**c, "field_name": c["name"], "metadata": None} for c in columns],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": list(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file whole."""
    write_aside(path, (json.dumps(content, indent=4) + "\n").encode())


def read_info(root: Path) -> dict[str, Any]:
    """A data set's ``info.json``.

    Raises:
        UserError: there is none, or it is of another version.
    """
    path = root / INFO
    try:
        info = json.loads(path.read_text())
        version, described, fps = info["codebase_version"], info["features"], info["fps"]
    except OSError as error:
        raise UserError(
            f"{root}: not a LeRobotDataset: {error.strerror or error}: {INFO}"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged, or not of a LeRobotDataset ({error})") from None
    if not str(version).startswith("v3."):
        raise UserError(
            f"{root}: a LeRobotDataset of version {version}, version 3 is read: convert it with "
            "lerobot.datasets.v30.convert_dataset_v21_to_v30"
        )
    if not isinstance(described, dict) or not isinstance(fps, int | float) or fps <= 0:
        raise UserError(f"{path}: damaged: 'features' or 'fps' is not what it should be")
    return dict(info)
