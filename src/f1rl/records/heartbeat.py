"""``live.json``: what a run is doing right now, written every few seconds even while training waits for something."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from f1rl.errors import EnvironmentFailure
from f1rl.records.files import write_json

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two beats."""


class Heartbeat:
    """A thread that writes what ``collect`` returns; an orderly end deletes the file, a kill leaves the last words."""

    def __init__(self, path: Path, collect: Callable[[], dict[str, Any]], every: float = EVERY) -> None:
        """Start writing ``path`` every ``every`` seconds; ``collect`` is called in a thread of its own."""
        self._path, self._collect, self._every = path, collect, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop and delete the file."""
        self._stop.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                said = self._collect()
            except (OSError, ValueError) as error:  # what is looked at may be going away at this very moment
                log.debug("a beat of %s is left out: %s", self._path.name, error)
            else:
                if not self._write({"updated": time.time(), **said}):
                    return
            self._stop.wait(self._every)

    def _write(self, said: dict[str, Any]) -> bool:
        try:
            write_json(self._path, said)
        except EnvironmentFailure as error:  # training notices a full disk itself, where it can be acted upon
            log.warning("%s is not written any more: %s", self._path.name, error)
            return False
        return True
