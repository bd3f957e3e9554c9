"""Files that are never seen half-written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import orjson

from f1rl.errors import EnvironmentFailure


def disk_error(path: Path, error: OSError) -> EnvironmentFailure:
    """Turn a failed write into the error that a user can act on."""
    place = next(folder for folder in path.absolute().parents if os.path.isdir(folder))
    free = f"{shutil.disk_usage(place).free / 2**20:.0f} MiB are free in {place}"
    return EnvironmentFailure(
        f"cannot write {path}: {error.strerror or error}; {free}. What was written before is intact. Mend that or "
        "choose another place with output_dir=..., then continue with resume=auto"
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data`` so that a reader, or a crash, sees the old contents or the new, nothing between.

    Raises:
        EnvironmentFailure: the file system refuses (full, read-only); ``path`` keeps its old contents.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # same directory: a rename across disks is a copy
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically; not-a-number becomes ``null`` because JSON has no word for it."""
    write_atomically(path, orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def finite(value: Any) -> Any:
    """Return ``value`` with every non-finite float replaced by ``None``."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
