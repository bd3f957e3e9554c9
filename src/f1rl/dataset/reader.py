"""Episodes of a dataset by number, read when they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from f1rl.dataset import layout
from f1rl.dataset.listing import read_episode_rows, reading
from f1rl.dataset.meaning import Meaning, load_meaning
from f1rl.dataset.pictures import decode_png, decode_video
from f1rl.errors import DatasetError
from f1rl.records.differences import table
from f1rl_envs.spec import Episode, EpisodeRequest


@dataclass(frozen=True)
class EpisodePlace:
    """Where an episode lies."""

    number: int
    """Its number in the dataset (``episode_index``)."""
    length: int
    """Steps ``N``; it has ``N + 1`` rows."""
    data: Path
    """Parquet file of its rows."""
    first_row: int
    """Its first row in that file."""
    videos: dict[str, tuple[Path, float]]
    """For each camera the video and its start there in seconds; empty when pictures are in the rows."""
    seed: int
    scene_seed: int
    info: dict[str, float]
    """Scalars of the last step."""


class EpisodeDataset:
    """A recorded dataset; only its index is held in memory."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        """Open the dataset at ``root`` and check that all of it is there.

        Args:
            root: its directory.
            limit: use only so many episodes, the first ones; the dataset may have grown since.

        Raises:
            DatasetError: it is missing, damaged, of another format, or not recorded by this program.
        """
        self.root = root
        self._info = self._load_info()
        with reading(root / layout.MEANING):
            self.meaning: Meaning = load_meaning(root, (root / layout.MEANING).read_text())
        self.images: layout.Images = self._checked_images()
        """How pictures are stored."""
        rows = read_episode_rows(root)
        if limit is not None and len(rows) < limit:
            raise DatasetError(f"{root} holds {len(rows)} episodes, but had {limit} when the run began; restore them")
        self.episodes: list[EpisodePlace] = list(self._places(rows[:limit]))
        """All episodes, in the order of their numbers."""

    def digest(self) -> str:
        """Return a short hash of what the episodes are: their seeds, lengths and meaning."""
        identity = [[e.seed, e.scene_seed, e.length] for e in self.episodes]
        text = json.dumps([identity, dict(self.meaning.env), self.images], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self, number: int, index: int) -> Episode:
        """Return episode ``number`` under the number ``index`` that it has in the run.

        Raises:
            DatasetError: its files are damaged.
        """
        place, spec = self.episodes[number], self.meaning.spec
        with reading(place.data):
            rows = _read_rows(place)
            columns = {name: rows[name].to_numpy() for name in ("next.reward", "next.terminated", "next.truncated")}
            state = _padded(rows[layout.STATE], spec.state_mask)
            action = _padded(rows[layout.ACTION], spec.action_mask)
            image = np.stack([self._pictures(place, camera, rows) for camera in spec.cameras], axis=1)
        return Episode(
            request=EpisodeRequest(index, place.seed, place.scene_seed),
            image=image,
            state=state,
            action=action[:-1],
            reward=columns["next.reward"][:-1],
            terminated=bool(columns["next.terminated"][-2]),
            truncated=bool(columns["next.truncated"][-2]),
            info=place.info,
        )

    def actions(self) -> Iterator[tuple[EpisodePlace, np.ndarray]]:
        """Yield each episode's place and its actions ``float32 [N, real entries]``, without reading its pictures."""
        for path, episodes in groupby(self.episodes, key=lambda place: place.data):
            with reading(path):
                column = pq.read_table(path, columns=[layout.ACTION]).column(0)
            everything = column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)
            for place in episodes:
                yield place, everything[place.first_row : place.first_row + place.length]

    def _pictures(self, place: EpisodePlace, camera: str, rows: pa.Table) -> np.ndarray:
        """Return ``uint8 [N + 1, 3, H, W]``."""
        resolution = self.meaning.spec.resolution
        if camera in place.videos:
            path, start = place.videos[camera]
            with reading(path):
                return decode_video(path, start, place.length + 1, resolution)
        column = rows[layout.image_key(camera)].combine_chunks()
        return decode_png(column.field("bytes").to_pylist(), resolution)

    def _load_info(self) -> dict[str, Any]:
        path = self.root / layout.INFO
        if not path.is_file():
            raise DatasetError(
                f"no dataset at {self.root}: {layout.INFO} is missing. Record one with rollout=record, or correct "
                "rollout.datasets"
            )
        with reading(path):
            info = json.loads(path.read_text())
            version = info["codebase_version"]
        if version.split(".")[0] != layout.CODEBASE_VERSION.split(".")[0]:
            raise DatasetError(
                f"{self.root} is a LeRobot dataset of version {version}; this program reads {layout.CODEBASE_VERSION}. "
                "Convert it with lerobot's own script, or record it again"
            )
        if not (self.root / layout.MEANING).is_file():
            raise DatasetError(
                f"{self.root} is a LeRobot dataset, but {layout.MEANING} is missing: it was not recorded by this "
                "program, and nothing says what its states and actions mean. A dataset that other tools made out of a "
                "recorded one needs a copy of that file"
            )
        return info

    def _checked_images(self) -> layout.Images:
        """Compare the listed features with those that the meaning implies; return how pictures are stored."""
        spec = self.meaning.spec
        with reading(self.root / layout.INFO):
            found = {name: [f["dtype"], list(f["shape"])] for name, f in self._info["features"].items()}
            images = "video" if found.get(layout.image_key(spec.cameras[0]), [None])[0] == "video" else "png"
        wanted = {name: [f["dtype"], f["shape"]] for name, f in layout.features(self.meaning, images).items()}
        wrong = {name: (found.get(name), kind) for name, kind in wanted.items() if found.get(name) != kind}
        if wrong:
            raise DatasetError(
                f"{self.root / layout.INFO} contradicts {layout.MEANING}:\n"
                f"{table(wrong, 'there', 'expected')}\nRestore both from a copy, or record the dataset again"
            )
        return images

    def _places(self, rows: list[dict[str, Any]]) -> Iterator[EpisodePlace]:
        """Yield where each episode lies, after a look into each data file."""
        cameras = self.meaning.spec.cameras if self.images == "video" else ()
        path, first, seeds = None, 0, None
        for row in rows:
            file = self.root / self._info["data_path"].format(
                chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
            )
            if file != path:
                path, first = file, row["dataset_from_index"]
                with reading(file):
                    seeds = pq.read_table(file, columns=["episode_index", "episode_seed", "scene_seed"]).to_pydict()
            start = row["dataset_from_index"] - first
            with reading(file):
                if seeds["episode_index"][start : start + row["length"]] != [row["episode_index"]] * row["length"]:
                    raise ValueError(f"rows {start} to {start + row['length']} are not episode {row['episode_index']}")
            yield EpisodePlace(
                number=row["episode_index"],
                length=row["length"] - 1,
                data=file,
                first_row=start,
                videos={camera: self._video(row, layout.image_key(camera)) for camera in cameras},
                seed=seeds["episode_seed"][start],
                scene_seed=seeds["scene_seed"][start],
                info=json.loads(row.get("f1rl_info") or "{}"),
            )

    def _video(self, row: dict[str, Any], key: str) -> tuple[Path, float]:
        place = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
        path = self.root / self._info["video_path"].format(video_key=key, **place)
        if not path.is_file():
            raise DatasetError(f"{path} is missing, a video of episode {row['episode_index']}; restore it")
        return path, row[f"videos/{key}/from_timestamp"]


def _read_rows(place: EpisodePlace) -> pa.Table:
    """Return the rows of one episode, reading only the row groups that they lie in."""
    file = pq.ParquetFile(place.data)
    end, groups, first, row = place.first_row + place.length + 1, [], 0, 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row + rows > place.first_row and row < end:
            first = first if groups else row
            groups.append(group)
        row += rows
    return file.read_row_groups(groups).slice(place.first_row - first, place.length + 1)


def _padded(column: pa.ChunkedArray, mask: tuple[bool, ...]) -> np.ndarray:
    """Return the real entries of vectors in their places, ``float32 [N, len(mask)]``."""
    values = np.zeros((len(column), len(mask)), np.float32)
    values[:, np.array(mask)] = column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)
    return values
