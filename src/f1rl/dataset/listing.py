"""``meta/episodes``: the list of a dataset's episodes and their statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from f1rl.dataset.statistics import Statistics
from f1rl.errors import DatasetError


def episode_files(root: Path) -> list[Path]:
    """Return the files of the list, in order; empty for a dataset without episodes."""
    return sorted((root / "meta" / "episodes").glob("*/*.parquet"))


def read_episode_rows(root: Path) -> list[dict[str, Any]]:
    """Return the rows of ``meta/episodes``, without statistics, in the order of their numbers.

    Raises:
        DatasetError: there are none, or a file is damaged.
    """
    rows: list[dict[str, Any]] = []
    for path in episode_files(root):
        with reading(path):
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            rows += pq.read_table(path, columns=names).to_pylist()
    if not rows:
        raise DatasetError(f"{root} holds no episodes; record some with rollout=record, or correct rollout.datasets")
    with reading(root / "meta" / "episodes"):
        if [row["episode_index"] for row in rows] != list(range(len(rows))):
            raise ValueError("episodes are missing or not in order")
    return rows


def read_statistics(root: Path) -> Iterator[dict[str, Statistics]]:
    """Yield the statistics of each episode, feature by feature.

    Raises:
        DatasetError: a file is damaged.
    """
    for path in episode_files(root):
        with reading(path):
            rows = pq.read_table(path).to_pylist()
        for row in rows:
            found: dict[str, Statistics] = {}
            for key, value in row.items():
                if key.startswith("stats/"):
                    _, name, statistic = key.split("/")
                    found.setdefault(name, {})[statistic] = value
            yield found


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what parsers raise for damaged files into the one error that names the file."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, TypeError, pa.ArrowException) as error:  # Pillow, PyAV: OSError
        first = (str(error).splitlines() or [""])[0]
        raise DatasetError(
            f"{path} cannot be read: {type(error).__name__}: {first}. Restore it from a copy, or take its dataset "
            "out of rollout.datasets"
        ) from error
