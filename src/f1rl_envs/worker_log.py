"""The log of one worker: what its processes write, and the part of it that an error should quote."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_TRACEBACK, _CRASH, _HANG = "Traceback (most recent call last)", "Fatal Python error", "Stacks of a worker that hangs"
_MAX_QUOTED_LINES = 40
_MAX_QUOTED_COLUMNS = 240


class WorkerLog:
    """A file that takes the output of one process after another."""

    def __init__(self, file: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.file = file
        self._start = 0

    def open_for_process(self) -> BinaryIO:
        """Open the file for the output of a new process, whose last words begin here."""
        log = self.file.open("ab")
        self._start = log.tell()
        return log

    def announce_stacks(self) -> None:
        """Head the stacks that a process that hangs is about to write."""
        with self.file.open("a") as log:
            log.write(f"{_HANG}:\n")

    def last_words(self) -> str:
        """Quote the last traceback that the newest process wrote, or else the log's end."""
        with self.file.open("rb") as log:
            log.seek(self._start)
            lines = log.read().decode(errors="replace").splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith((_TRACEBACK, _CRASH, _HANG))]
        quoted = lines[starts[-1] :] if starts else lines[-10:]
        if starts and not quoted[0].startswith(_TRACEBACK):
            quoted = quoted[:_MAX_QUOTED_LINES]  # most recent call first
        quoted = [line[:_MAX_QUOTED_COLUMNS] for line in quoted[-_MAX_QUOTED_LINES:]] or ["(it wrote nothing)"]
        return "\n".join(f"  | {line}" for line in quoted)
