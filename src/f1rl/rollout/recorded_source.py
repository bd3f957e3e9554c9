"""Recorded episodes by number, alone or mixed with fresh ones."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from f1rl.rollout.mixture import Mixture
from f1rl.rollout.recorded import Place, RecordedEpisodes
from f1rl.rollout.source import Encode, EpisodeSource, TokenizedEpisode
from f1rl_envs.spec import Episode


class RecordedSource:
    """Give recorded episodes; a thread reads ahead while the caller trains.

    Each frame is encoded once: tokens (9 kB for an episode of 50 steps at 64 px) are kept for when it comes again.
    """

    def __init__(
        self,
        recorded: RecordedEpisodes,
        mixture: Mixture,
        encode: Encode,
        camera: int,
        indices: Iterable[int],
        lookahead: int,
    ) -> None:
        """Prepare the source; nothing is read before the first :meth:`get`.

        Args:
            recorded: what to read.
            mixture: episode number to recorded episode.
            encode: frames to tokens.
            camera: index of the predicted camera.
            indices: the numbers that will be asked for, ascending; the mixture has a recorded episode for each.
            lookahead: how many episodes may be read beyond those asked for.
        """
        self.waited = 0.0
        self._recorded, self._mixture, self._encode, self._camera = recorded, mixture, encode, camera
        self._indices, self._lookahead = iter(indices), lookahead
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._ready: dict[int, Future[Episode]] = {}
        self._tokens: dict[Place, np.ndarray] = {}

    def get(self, index: int) -> TokenizedEpisode:
        """Return episode ``index``; see :class:`EpisodeSource`."""
        self._read_ahead()
        while index not in self._ready:
            if not self._read_one():
                raise KeyError(f"episode {index} was delivered before or never announced")
        started = time.perf_counter()
        episode = self._ready.pop(index).result()
        self.waited += time.perf_counter() - started
        self._read_ahead()
        place = self._mixture.place(index)
        if place not in self._tokens:
            self._tokens[place] = self._encode(episode.image[:, self._camera]).astype(np.int16)
        return TokenizedEpisode(episode, self._tokens[place])

    def close(self) -> None:
        """Stop reading."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read_ahead(self) -> None:
        while len(self._ready) < self._lookahead and self._read_one():
            continue

    def _read_one(self) -> bool:
        index = next(self._indices, None)
        if index is None:
            return False
        self._ready[index] = self._pool.submit(self._recorded.read, self._mixture.place(index), index)
        return True


class MixedSource:
    """Give fresh and recorded episodes, as a mixture says."""

    def __init__(self, mixture: Mixture, fresh: EpisodeSource, recorded: EpisodeSource) -> None:
        """Ask ``fresh`` or ``recorded`` for each episode."""
        self._mixture, self._fresh, self._recorded = mixture, fresh, recorded

    @property
    def waited(self) -> float:
        """Seconds spent waiting for episodes so far."""
        return self._fresh.waited + self._recorded.waited

    def get(self, index: int) -> TokenizedEpisode:
        """Return episode ``index``; see :class:`EpisodeSource`."""
        return (self._recorded if self._mixture.place(index) else self._fresh).get(index)
