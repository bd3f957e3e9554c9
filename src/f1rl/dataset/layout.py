"""The LeRobot dataset format v3.0: where files lie, which columns they have, what ``meta/info.json`` says.

Source: the format's description and the reader of ``lerobot`` 0.4 (``LeRobotDataset``). One row is one observation with
the action taken there. An episode of ``N`` steps has ``N + 1`` rows: the last one is the observation after the last
action, marked ``is_last`` as in RLDS, with an action of zeros that nobody took.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from f1rl.dataset.names import action_names, state_names

if TYPE_CHECKING:
    from f1rl.dataset.meaning import Meaning

CODEBASE_VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
MEANING = "meta/f1rl.json"
"""What states and actions mean; ours, beside the files of the format."""
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
FILES_PER_CHUNK = 1000

STATE, ACTION = "observation.state", "action"

Images = Literal["png", "video"]
"""How pictures are stored: exactly, inside the parquet files, or as compact videos beside them."""

_SCALARS = {
    "next.reward": "float32",
    "next.done": "bool",
    "next.terminated": "bool",
    "next.truncated": "bool",
    "next.success": "bool",
    "is_last": "bool",
    "episode_seed": "int64",
    "scene_seed": "int64",
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image_key(camera: str) -> str:
    """Return the feature that holds the pictures of ``camera``."""
    return f"observation.images.{camera}"


def place(number: int) -> dict[str, int]:
    """Return chunk and file index of the ``number``-th file of a kind."""
    return {"chunk_index": number // FILES_PER_CHUNK, "file_index": number % FILES_PER_CHUNK}


def file_number(chunk_index: int, file_index: int) -> int:
    """Return the inverse of :func:`place`."""
    return chunk_index * FILES_PER_CHUNK + file_index


def features(meaning: Meaning, images: Images) -> dict[str, dict[str, Any]]:
    """Return the features of a dataset as ``meta/info.json`` lists them; states and actions without their padding."""
    spec = meaning.spec
    size, fps = spec.resolution, spec.control_freq
    picture: dict[str, Any] = {"dtype": "image", "shape": [size, size, 3], "names": ["height", "width", "channels"]}
    if images == "video":
        about = {"video.height": size, "video.width": size, "video.codec": "h264", "video.pix_fmt": "yuv444p"}
        about |= {"video.is_depth_map": False, "video.fps": fps, "video.channels": 3, "has_audio": False}
        picture |= {"dtype": "video", "info": about}
    return {
        **{image_key(camera): picture for camera in spec.cameras},
        STATE: _vector(state_names(spec)),
        ACTION: _vector(action_names(meaning.env, spec)),
        **{name: {"dtype": kind, "shape": [1], "names": None} for name, kind in _SCALARS.items()},
    }


def _vector(names: list[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": names}


def arrow_schema(features: dict[str, dict[str, Any]]) -> pa.Schema:
    """Return the columns of the data files; pictures that are stored as videos have none."""
    return pa.schema([(name, _column(feature)) for name, feature in features.items() if feature["dtype"] != "video"])


def _column(feature: dict[str, Any]) -> pa.DataType:
    if feature["dtype"] == "image":
        return _PICTURE
    kind = pa.bool_() if feature["dtype"] == "bool" else pa.type_for_alias(feature["dtype"])
    return kind if feature["shape"] == [1] else pa.list_(kind, feature["shape"][0])


def info(meaning: Meaning, images: Images, episodes: int, frames: int) -> dict[str, Any]:
    """Return the contents of ``meta/info.json``."""
    fps = meaning.spec.control_freq
    return {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": meaning.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": int(fps) if fps == int(fps) else fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": VIDEO if images == "video" else None,
        "features": features(meaning, images),
    }


def tasks(task: str) -> pa.Table:
    """Return ``meta/tasks.parquet`` with one task; readers look it up by the index of a pandas frame."""
    index = "__index_level_0__"
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
        {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object"},
    ]
    pandas = {
        "index_columns": [index],
        "column_indexes": [{"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}],
        "columns": [{**column, "metadata": None} for column in columns],
    }
    table = pa.table({"task_index": pa.array([0], pa.int64()), index: pa.array([task])})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})
