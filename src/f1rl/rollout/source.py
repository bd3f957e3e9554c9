"""Episodes by number: requested ahead of need, encoded to tokens once, delivered when asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from f1rl_envs.spec import Episode, EpisodeRequest
from f1rl_envs.workers import EpisodeWorkers

Encode = Callable[[np.ndarray], np.ndarray]
"""``uint8 [N, 3, H, W]`` to ``int [N, L]``."""


@dataclass
class TokenizedEpisode:
    """An episode and the tokens of its predicted camera."""

    episode: Episode
    tokens: np.ndarray
    """``int16 [N + 1, L]``."""
    visited: frozenset[int] = frozenset()
    """Voxels that an end effector was in after a step; empty where they were not measured, or not kept."""

    @property
    def index(self) -> int:
        """Number of the episode within its split."""
        return self.episode.request.index

    def __len__(self) -> int:
        """Return the number ``N`` of steps."""
        return len(self.episode)


def collect(workers: EpisodeWorkers, requests: Iterable[EpisodeRequest]) -> Iterator[Episode]:
    """Collect ``requests`` and yield the episodes in the same order, keeping every worker busy meanwhile."""
    pending = 0
    for request in requests:
        while workers.free == 0:
            yield workers.next()
            pending -= 1
        workers.submit(request)
        pending += 1
    for _ in range(pending):
        yield workers.next()


class EpisodeSource(Protocol):
    """Gives episodes by number."""

    waited: float
    """Seconds spent waiting for episodes so far."""

    def get(self, index: int) -> TokenizedEpisode:
        """Return episode ``index``, waiting for it if need be; each number can be had once.

        Raises:
            KeyError: ``index`` is not among those still to come.
        """
        ...


class WorkerSource:
    """Give fresh episodes; collection runs ahead in the workers while the caller trains.

    Each frame is rendered once and encoded once, when its episode arrives.
    """

    def __init__(
        self,
        workers: EpisodeWorkers,
        encode: Encode,
        request: Callable[[int], EpisodeRequest],
        camera: int,
        indices: Iterable[int],
        lookahead: int,
        record: Callable[[Episode], None] | None = None,
    ) -> None:
        """Prepare the source; nothing is requested before the first :meth:`get`.

        Args:
            workers: who collects.
            encode: frames to tokens.
            request: episode number to seeds.
            camera: index of the predicted camera.
            indices: the numbers that will be asked for, ascending.
            lookahead: how many episodes may be collected beyond those asked for.
            record: is given every episode when it arrives.
        """
        self.waited = 0.0
        self._record = record
        self._workers = workers
        self._encode = encode
        self._request = request
        self._camera = camera
        self._indices = iter(indices)
        self._lookahead = lookahead
        self._ready: dict[int, TokenizedEpisode] = {}
        self._requested = self._received = self._delivered = 0

    def get(self, index: int) -> TokenizedEpisode:
        """Return episode ``index``; see :class:`EpisodeSource`."""
        while index not in self._ready:
            self._request_ahead()
            if self._requested == self._received and not self._request_one():
                raise KeyError(f"episode {index} was delivered before or never announced")
            self._receive()
        self._delivered += 1
        self._request_ahead()
        return self._ready.pop(index)

    def _receive(self) -> None:
        started = time.perf_counter()
        episode = self._workers.next()
        self.waited += time.perf_counter() - started
        if self._record is not None:
            self._record(episode)
        tokens = self._encode(episode.image[:, self._camera]).astype(np.int16)
        self._ready[episode.request.index] = TokenizedEpisode(episode, tokens)
        self._received += 1

    def _request_ahead(self) -> None:
        while self._requested < self._delivered + self._lookahead and self._workers.free > 0:
            if not self._request_one():
                return

    def _request_one(self) -> bool:
        index = next(self._indices, None)
        if index is None:
            return False
        self._workers.submit(self._request(index))
        self._requested += 1
        return True
