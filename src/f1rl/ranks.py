"""The training processes of one run, seen from one of them: who is first, and what the others have to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed

from f1rl.errors import RankLost

_CONNECTION = ("gloo", "nccl", "connection closed", "connection reset", "connection was likely closed", "tcpstore")
"""What torch's errors say when another process is gone; most of them have no type of their own."""


class Ranks:
    """Values exchanged between all ranks. Every rank must make the same calls in the same order."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        """Describe rank ``rank`` of ``size``; a process alone exchanges values with itself only."""
        self.rank, self.size = rank, size

    @property
    def is_first(self) -> bool:
        """Whether this rank keeps the records."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's ``value`` (plain structures and tensors), in the order of ranks, on every rank."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def from_first(self, value: Any = None) -> Any:
        """Return rank 0's ``value`` on every rank."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


@contextmanager
def meet(rank: int, size: int) -> Iterator[Ranks]:
    """Wait until all ranks are there, for as long as the context lasts; torch's variables say where they meet.

    Raises:
        RankLost: another rank is gone. The first to end says why in its own messages.
    """
    if size == 1:
        yield Ranks()
        return
    try:
        # Objects travel over gloo, so that exchanging a few numbers never waits for the GPU's queue.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, rank=rank, world_size=size)
        yield Ranks(rank, size)
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        first = str(error).partition("\n")[0]
        raise RankLost(
            f"rank {rank} cannot go on, because another of the {size} training processes has ended ({first}). Its own "
            "messages say why; they are in the log of its rank"
        ) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _is_of_connection(error: RuntimeError) -> bool:
    said = str(error).lower()
    return isinstance(error, distributed.DistError) or any(word in said for word in _CONNECTION)
