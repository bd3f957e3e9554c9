"""Streams of training windows: persistent episodes for truncated BPTT, or shuffled windows without memory.

Both are iterables of :class:`WindowBatch` that a Lightning trainer takes as a loader. Each batch carries the position
after it; a stream built from a position goes on with exactly the batch that would have come next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.source import EpisodeSource, TokenizedEpisode
from f1rl.rollout.windows import write_padding, write_steps

# Lightning fetches one batch ahead of the one in training, so two are alive while a third is being filled.
_RING = 3


@dataclass(frozen=True)
class WindowShape:
    """Sizes of the windows."""

    batch: int
    """``B`` streams."""
    window: int
    """``T`` steps."""
    stride: int
    """Distance in steps between entries of a history."""


class BatchRing:
    """Preallocated batches, handed out in turn."""

    def __init__(self, batches: list[WindowBatch]) -> None:
        """Take ownership of ``batches``; at least three."""
        if len(batches) < _RING:
            raise ValueError(f"a ring needs {_RING} batches or more, got {len(batches)}")
        self._batches = batches
        self._next = 0

    @classmethod
    def allocate(cls, **sizes: object) -> BatchRing:
        """Allocate the ring; the arguments are those of :meth:`WindowBatch.allocate`."""
        return cls([WindowBatch.allocate(**sizes) for _ in range(_RING)])

    def take(self) -> WindowBatch:
        """Return the batch that was handed out longest ago."""
        batch = self._batches[self._next]
        self._next = (self._next + 1) % len(self._batches)
        batch.finished = []
        return batch


@dataclass
class _Row:
    """One stream: the episode it plays and how far it is."""

    turn: int
    """How many episodes this stream has begun before the current one."""
    offset: int
    """Steps of the current episode already served."""
    episode: TokenizedEpisode | None = field(default=None, repr=False)


class SequentialStream:
    """``B`` persistent streams of whole episodes; window ``k + 1`` of a stream continues window ``k``.

    Stream ``b`` plays episodes ``b, b + B, b + 2B, ...``. A window may run over the end of an episode into the next:
    ``is_first`` marks the step at which memory starts anew.
    """

    def __init__(
        self, source: EpisodeSource, ring: BatchRing, shape: WindowShape, indices: range, position: dict | None = None
    ) -> None:
        """Start at ``position`` (of a checkpoint), or at the beginning.

        Args:
            source: gives episodes by number, announced in the order of :meth:`needed`.
            ring: batches to fill.
            shape: sizes.
            indices: the episode numbers of this process, in order.
            position: ``batch.position`` of the last batch trained on.
        """
        self._source, self._ring, self._shape, self._indices = source, ring, shape, indices
        rows = position["rows"] if position else [[0, 0]] * shape.batch
        self._rows = [_Row(turn, offset) for turn, offset in rows]

    @staticmethod
    def needed(position: dict | None, indices: range, batch: int) -> list[int]:
        """Return the episode numbers still to be served from ``position``, ascending."""
        if position is None:
            return list(indices)
        rows = position["rows"]
        return [i for n, i in enumerate(indices) if n // batch >= rows[n % batch][0]]

    def __iter__(self) -> Iterator[WindowBatch]:
        """Yield batches until every episode has been served."""
        while True:
            batch = self._ring.take()
            for number, row in enumerate(self._rows):
                self._fill(batch, number, row)
            if not batch.valid.any():
                return
            batch.position = {"rows": [[row.turn, row.offset] for row in self._rows]}
            yield batch

    def _fill(self, batch: WindowBatch, number: int, row: _Row) -> None:
        column = 0
        while column < self._shape.window and self._load(number, row):
            count = min(self._shape.window - column, len(row.episode) - row.offset)
            write_steps(batch, number, column, row.episode, row.offset, count, self._shape.stride)
            column += count
            row.offset += count
            if row.offset == len(row.episode):
                batch.finished.append(row.episode)
                row.turn, row.offset, row.episode = row.turn + 1, 0, None
        write_padding(batch, number, column)

    def _load(self, number: int, row: _Row) -> bool:
        if row.episode is None:
            place = row.turn * self._shape.batch + number
            if place >= len(self._indices):
                return False
            row.episode = self._source.get(self._indices[place])
        return True


class ShuffledStream:
    """Windows in random order, each starting from an empty memory (``sequential_training=false``).

    Episodes are taken in groups of ``B``; the windows of a group are shuffled by a generator seeded with the place of
    its first episode, so the order is the same after a resume.
    """

    def __init__(
        self,
        source: EpisodeSource,
        ring: BatchRing,
        shape: WindowShape,
        indices: range,
        seed: int,
        position: dict | None = None,
    ) -> None:
        """Start at ``position`` (of a checkpoint), or at the beginning; see :class:`SequentialStream`."""
        self._source, self._ring, self._shape, self._indices, self._seed = source, ring, shape, indices, seed
        self._begun, self._served = (position["begun"], position["served"]) if position else (0, 0)

    @staticmethod
    def needed(position: dict | None, indices: range, batch: int) -> list[int]:
        """Return the episode numbers still to be served from ``position``, ascending."""
        return list(indices[position["begun"] if position else 0 :])

    def __iter__(self) -> Iterator[WindowBatch]:
        """Yield batches until every window of every episode has been served."""
        size = self._shape.batch
        while members := self._indices[self._begun : self._begun + size]:
            episodes = [self._source.get(i) for i in members]
            windows = self._shuffled(episodes)
            while self._served < len(windows):
                batch = self._fill(windows[self._served : self._served + size])
                self._served += size
                if self._served >= len(windows):
                    self._begun, self._served = self._begun + len(members), 0
                    batch.finished.extend(episodes)
                batch.position = {"begun": self._begun, "served": self._served}
                yield batch
                if self._served == 0:
                    break

    def _shuffled(self, episodes: list[TokenizedEpisode]) -> list[tuple[TokenizedEpisode, int]]:
        windows = [(e, start) for e in episodes for start in range(0, len(e), self._shape.window)]
        order = np.random.default_rng([self._seed, self._begun]).permutation(len(windows))
        return [windows[i] for i in order]

    def _fill(self, windows: list[tuple[TokenizedEpisode, int]]) -> WindowBatch:
        batch = self._ring.take()
        for row in range(self._shape.batch):
            count = 0
            if row < len(windows):
                episode, start = windows[row]
                count = min(self._shape.window, len(episode) - start)
                write_steps(batch, row, 0, episode, start, count, self._shape.stride)
                batch.is_first[row, 0] = True
            write_padding(batch, row, count)
        return batch
