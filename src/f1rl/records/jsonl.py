"""Append-only JSON lines: one record a line, whole or not there at all."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from f1rl.records.files import disk_error, finite


class JsonlWriter:
    """Append records to a file; every record is flushed, so a killed run loses none that it announced."""

    def __init__(self, path: Path, keep_bytes: int | None = None, superseded: Path | None = None) -> None:
        """Open ``path`` for appending.

        Args:
            path: the file.
            keep_bytes: length up to which a resumed run has written; what lies beyond was written after the
                checkpoint, will be written again, and is moved to ``superseded``.
            superseded: where those lines go.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if keep_bytes is not None and path.exists():
                _cut(path, keep_bytes, superseded)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise disk_error(path, error) from error

    @property
    def size(self) -> int:
        """Length of the file in bytes; the position that a checkpoint stores."""
        return self._file.tell()

    def write(self, record: dict[str, Any]) -> None:
        """Append one record.

        Raises:
            EnvironmentFailure: the disk is full; the torn line is cut off, earlier lines are intact.
        """
        line = (json.dumps(finite(record), allow_nan=False) + "\n").encode()
        start = self._file.tell()
        try:
            while line:  # an unbuffered write to a disk that is filling up may be short
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(start)
            raise disk_error(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> JsonlWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _cut(path: Path, keep: int, superseded: Path | None) -> None:
    with path.open("rb+") as file:
        file.seek(0, 2)
        if file.tell() <= keep:
            return
        file.seek(keep)
        rest = file.read()
        if superseded is not None:
            superseded.parent.mkdir(parents=True, exist_ok=True)
            with superseded.open("ab") as aside:
                aside.write(rest)
        file.truncate(keep)
