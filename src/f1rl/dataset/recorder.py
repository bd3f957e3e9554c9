"""Records episodes while a run goes on: encoding and writing happen in a thread of their own."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from f1rl.dataset.writer import DatasetWriter
from f1rl_envs.spec import Episode

_PENDING = 32
"""Episodes that may wait to be written; beyond that the run waits, so that none is lost and memory stays bounded."""


class EpisodeRecorder:
    """Takes episodes and writes them in the background, in the order in which they came."""

    def __init__(self, writer: DatasetWriter) -> None:
        """Take ownership of ``writer``; it is closed by :meth:`close`."""
        self._writer = writer
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._pending: deque[Future[bool]] = deque()

    def add(self, episode: Episode) -> None:
        """Take ``episode``; it must not be changed afterwards.

        Raises:
            F1RLError: an earlier episode could not be written.
        """
        while self._pending and (self._pending[0].done() or len(self._pending) >= _PENDING):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._writer.add, episode))

    def close(self) -> None:
        """Write what is waiting and stop; may be called twice.

        Raises:
            F1RLError: an episode could not be written.
        """
        try:
            while self._pending:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown(wait=True)
            self._writer.close()
