"""Which process writes a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import psutil

_CLOCK_TOLERANCE = 2.0  # seconds; the system computes a start time from a clock that may be corrected meanwhile


def this_process(directory: Path) -> dict[str, Any]:
    """Return what tells this process, writing to ``directory``, from any other: for ``run.json``."""
    started = psutil.Process().create_time()
    process = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
    return {**process, "directory": str(directory.resolve()), "slurm_job": os.environ.get("SLURM_JOB_ID")}


def is_here(process: dict[str, Any]) -> bool:
    """Return whether the process runs, or ran, on this machine."""
    return process.get("host") == socket.gethostname()


def is_alive(process: dict[str, Any], directory: Path) -> bool | None:
    """Return whether the writer of ``directory`` still runs; None if that cannot be known from here.

    It cannot for another host's process, and not for a copy, whose original may be going on elsewhere.
    """
    if not is_here(process) or process.get("directory") != str(directory.resolve()):
        return None
    try:
        found = psutil.Process(process["pid"])
        same = abs(found.create_time() - process["started"]) < _CLOCK_TOLERANCE  # numbers are used again
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
