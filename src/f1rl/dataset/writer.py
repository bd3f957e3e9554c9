"""Appends episodes to a dataset so that a reader, or a crash at any moment, finds every finished one.

Files are replaced in the order videos, rows, list of episodes, summaries. What a crash leaves beyond the list of
episodes is unreachable, lies behind everything else, and is replaced by the next episode.
"""

from __future__ import annotations

import fcntl
import io
import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from f1rl.dataset import layout
from f1rl.dataset.listing import episode_files, read_episode_rows, read_statistics, reading
from f1rl.dataset.meaning import Meaning
from f1rl.dataset.newest_file import NewestFile
from f1rl.dataset.pictures import encode_png, encode_video
from f1rl.dataset.reader import EpisodeDataset
from f1rl.dataset.statistics import Statistics, merged, picture_statistics, vector_statistics
from f1rl.errors import DatasetError
from f1rl.records.files import disk_error, write_atomically, write_json
from f1rl_envs.spec import Episode

DATA_FILE_BYTES: dict[layout.Images, int] = {"png": 8 * 2**20, "video": 2**20}
"""Size at which the next data file is begun; half of it is rewritten, on average, for each episode."""
EPISODES_PER_FILE = 256
"""Length at which the next list of episodes is begun."""


_Identity = tuple[int, int, bytes]


def _identity(seed: int, scene_seed: int, action: np.ndarray) -> _Identity:
    """Return what tells episodes apart: their seeds and what was done, ``float32 [N, real entries]``."""
    return seed, scene_seed, blake2b(np.ascontiguousarray(action).tobytes(), digest_size=16).digest()


class DatasetWriter:
    """One writer of one dataset; a dataset that exists is continued."""

    def __init__(self, root: Path, meaning: Meaning, images: layout.Images) -> None:
        """Create or continue the dataset at ``root``.

        Args:
            root: its directory; nothing but a lock is written to a new one before the first episode.
            meaning: what is recorded.
            images: how pictures are stored.

        Raises:
            DatasetError: ``root`` holds something else, another writer, or episodes of another meaning.
            EnvironmentFailure: it cannot be written.
        """
        self.root, self.num_episodes = root, 0
        self._meaning, self._images = meaning, images
        self._frames = 0
        self._error: BaseException | None = None
        self._statistics: dict[str, Statistics] | None = None
        self._known: set[_Identity] = set()
        self._features = layout.features(meaning, images)
        self._schema = layout.arrow_schema(self._features)
        pictures = [name for name, feature in self._features.items() if feature["dtype"] == "image"]
        self._data = NewestFile(root, layout.DATA, DATA_FILE_BYTES[images], pictures)
        self._list = NewestFile(root, layout.EPISODES, EPISODES_PER_FILE)
        self._lock = _lock(root)
        try:
            if episode_files(root):
                self._resume()
            elif (root / "data").exists() and not (root / layout.MEANING).exists():
                raise DatasetError(f"{root} holds something else than a dataset; choose another rollout.record.path")
        except BaseException:
            self._lock.close()
            raise

    def add(self, episode: Episode) -> bool:
        """Append ``episode`` and return whether it is new; one whose seeds and actions are known is left out.

        Seeds alone do not tell: a policy may act in another way from the same start, as in the groups of GRPO.

        Raises:
            EnvironmentFailure: the disk refuses. All earlier episodes are intact; nothing more can be added by this
                writer, because it no longer knows what is on disk.
        """
        if self._error is not None:
            raise self._error
        action = episode.action[:, np.array(self._meaning.spec.action_mask)]
        identity = _identity(episode.request.seed, episode.request.scene_seed, action)
        if identity in self._known:
            return False
        try:
            self._append(episode)
        except BaseException as error:
            self._error = error
            raise
        self._known.add(identity)
        return True

    def _append(self, episode: Episode) -> None:
        if self.num_episodes == 0:
            self._begin()
        videos = self._write_videos(episode)
        columns, statistics = self._columns(episode)
        table = pa.table(columns, self._schema)
        data = self._data.reserve(table.nbytes)
        self._data.append(table)
        self._write_list(episode, {f"data/{key}": value for key, value in data.items()} | videos, statistics)
        self.num_episodes += 1
        self._frames += table.num_rows
        self._statistics = merged(self._statistics, statistics)
        self._summarise()

    def close(self) -> None:
        """Let go of the dataset; it is complete at any time."""
        self._lock.close()

    def _begin(self) -> None:
        """Write what never changes."""
        self._meaning.save(self.root)
        buffer = io.BytesIO()
        pq.write_table(layout.tasks(self._meaning.task), buffer)
        write_atomically(self.root / layout.TASKS, buffer.getvalue())
        self._summarise()  # a reader that finds the first episode finds what describes it

    def _columns(self, episode: Episode) -> tuple[dict[str, Any], dict[str, Statistics]]:
        """Return the columns of the data file, and the statistics of all features."""
        spec, rows = self._meaning.spec, len(episode) + 1
        numbers = self._numbers(episode)
        state, action = episode.state[:, np.array(spec.state_mask)], episode.action[:, np.array(spec.action_mask)]
        action = np.concatenate([action, np.zeros_like(action[:1])])
        columns: dict[str, Any] = {
            layout.STATE: pa.FixedSizeListArray.from_arrays(np.ascontiguousarray(state).ravel(), state.shape[1]),
            layout.ACTION: pa.FixedSizeListArray.from_arrays(action.ravel(), action.shape[1]),
        } | {name: np.broadcast_to(value, rows) for name, value in numbers.items()}
        statistics = {layout.STATE: vector_statistics(state), layout.ACTION: vector_statistics(action[:-1])}
        statistics |= {name: vector_statistics(np.broadcast_to(value, rows)) for name, value in numbers.items()}
        for number, camera in enumerate(spec.cameras):
            frames = episode.image[:, number]
            statistics[layout.image_key(camera)] = picture_statistics(frames)
            if self._images == "png":
                columns[layout.image_key(camera)] = encode_png(frames)
        return columns, statistics

    def _numbers(self, episode: Episode) -> dict[str, np.ndarray]:
        """Return the columns of one number a row: of ``[N + 1]``, or one value for all rows."""
        length, fps = len(episode), self._meaning.spec.control_freq
        row = np.arange(length + 1)
        ended, last = row >= length - 1, row == length
        return {
            "next.reward": np.append(episode.reward, 0).astype(np.float32),
            "next.done": ended,
            "next.terminated": ended & episode.terminated,
            "next.truncated": ended & episode.truncated,
            "next.success": ended & bool(episode.info.get("success", False)),
            "is_last": last,
            "episode_seed": np.int64(episode.request.seed),
            "scene_seed": np.int64(episode.request.scene_seed),
            "timestamp": (row / fps).astype(np.float32),
            "frame_index": row,
            "episode_index": np.int64(self.num_episodes),
            "index": self._frames + row,
            "task_index": np.int64(0),
        }

    def _write_videos(self, episode: Episode) -> dict[str, Any]:
        """Write a video for each camera, if that is how pictures are stored, and return where they are."""
        places: dict[str, Any] = {}
        fps = self._meaning.spec.control_freq
        for number, camera in enumerate(self._meaning.spec.cameras if self._images == "video" else ()):
            key = layout.image_key(camera)
            place = layout.place(self.num_episodes)
            path = self.root / layout.VIDEO.format(video_key=key, **place)
            write_atomically(path, encode_video(episode.image[:, number], round(fps)))
            span = {"from_timestamp": 0.0, "to_timestamp": (len(episode) + 1) / fps}
            places |= {f"videos/{key}/{name}": value for name, value in (place | span).items()}
        return places

    def _write_list(self, episode: Episode, files: dict[str, Any], statistics: dict[str, Statistics]) -> None:
        """Add the episode to ``meta/episodes``; from here on readers see it."""
        place = self._list.reserve(1)
        row = {
            "episode_index": self.num_episodes,
            "tasks": [self._meaning.task],
            "length": len(episode) + 1,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + len(episode) + 1,
            **files,
            **{f"meta/episodes/{key}": value for key, value in place.items()},
            "f1rl_info": json.dumps(episode.info),
            **{f"stats/{name}/{key}": value for name, one in statistics.items() for key, value in one.items()},
        }
        self._list.append(pa.Table.from_pylist([row]))

    def _summarise(self) -> None:
        write_json(self.root / layout.STATS, self._statistics or {})
        write_json(self.root / layout.INFO, layout.info(self._meaning, self._images, self.num_episodes, self._frames))

    def _resume(self) -> None:
        """Go on where the last writer was stopped; what it had not finished is left behind."""
        dataset = EpisodeDataset(self.root)
        dataset.meaning.require(self._meaning, self.root)
        if dataset.images != self._images:
            raise DatasetError(
                f"{self.root} stores pictures as {dataset.images}; use rollout.record.images={dataset.images}, or "
                "another rollout.record.path"
            )
        rows = read_episode_rows(self.root)
        self.num_episodes, self._frames = len(rows), rows[-1]["dataset_to_index"]
        self._known = {_identity(e.seed, e.scene_seed, action) for e, action in dataset.actions()}
        self._resume_data(rows)
        self._resume_list(rows)
        for one in read_statistics(self.root):
            self._statistics = merged(self._statistics, one)
        self._summarise()

    def _resume_data(self, rows: list[dict[str, Any]]) -> None:
        place = {key: rows[-1][f"data/{key}"] for key in ("chunk_index", "file_index")}
        here = [row for row in rows if all(row[f"data/{key}"] == value for key, value in place.items())]
        path = self.root / layout.DATA.format(**place)
        with reading(path):
            whole = pq.read_table(path)
        first = here[0]["dataset_from_index"]
        tables = [whole.slice(row["dataset_from_index"] - first, row["length"]) for row in here]
        self._data.resume(layout.file_number(**place), tables, sum(table.nbytes for table in tables))

    def _resume_list(self, rows: list[dict[str, Any]]) -> None:
        place = {key: rows[-1][f"meta/episodes/{key}"] for key in ("chunk_index", "file_index")}
        path = self.root / layout.EPISODES.format(**place)
        with reading(path):
            whole = pq.read_table(path)
        self._list.resume(layout.file_number(**place), [whole.slice(row, 1) for row in range(len(whole))], len(whole))


def _lock(root: Path) -> io.BufferedWriter:
    """Hold the dataset for as long as this process lives."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("wb")
    except OSError as error:
        raise disk_error(root, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise DatasetError(
            f"{root} is being recorded by another process; wait for it, or choose another rollout.record.path"
        ) from error
    return lock
