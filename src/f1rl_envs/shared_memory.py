"""Memory that the parent and its worker processes share: arrays, and where each worker is.

It is an anonymous file (``memfd``), handed to the worker as an inherited descriptor. It has no name under
``/dev/shm``, so nothing is left there however the processes end, and the small ``/dev/shm`` of a container is no limit.
"""

from __future__ import annotations

import enum
import math
import mmap
import os
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import psutil

from f1rl_envs.errors import EnvError
from f1rl_envs.spec import PADDED_DIM, EnvSpec

_ALIGNMENT = 64
_STATUS_BYTES = 64

Fields = Mapping[str, tuple[tuple[int, ...], type]]
"""Shape and type of each array of a block of memory, by name."""


class Stage(enum.IntEnum):
    """What a worker is doing; up to ``FIRST_RENDER`` it is still starting, and gets more time."""

    START = 0
    IMPORT = 1
    SCENE = 2
    FIRST_RENDER = 3
    IDLE = 4
    RESET = 5
    STEP = 6


class EpisodeArrays(NamedTuple):
    """Room for one episode of up to ``N`` steps, as in :class:`~f1rl_envs.spec.Episode`."""

    image: np.ndarray
    """``uint8 [N + 1, C, 3, H, W]``."""
    state: np.ndarray
    """``float32 [N + 1, S]``."""
    action: np.ndarray
    """``float32 [N, A]``."""
    reward: np.ndarray
    """``float32 [N]``."""


def episode_fields(spec: EnvSpec) -> Fields:
    """Return shape and type of each array of the longest episode that ``spec`` allows."""
    steps = spec.max_steps
    return {
        "image": ((steps + 1, *spec.image_shape), np.uint8),
        "state": ((steps + 1, PADDED_DIM), np.float32),
        "action": ((steps, PADDED_DIM), np.float32),
        "reward": ((steps,), np.float32),
    }


class Progress:
    """Where a worker is and when it last got there; written by the worker, read by the parent, without a lock.

    Each entry is one aligned 8-byte number, so a reader never sees half of one.
    """

    def __init__(self, entries: np.ndarray) -> None:
        """Look at ``entries``, ``float64 [4]``: time of the last mark, stage, episode, step."""
        self._entries = entries

    def mark(self, stage: Stage, episode: int = -1, step: int = 0) -> None:
        """Say what begins now."""
        self._entries[1:4] = (stage, episode, step)
        self._entries[0] = time.monotonic()

    @property
    def time(self) -> float:
        """``time.monotonic()`` of the last mark, which all processes of a machine share, in seconds."""
        return float(self._entries[0])

    @property
    def stage(self) -> Stage:
        """What began at the last mark."""
        return Stage(int(self._entries[1]))

    @property
    def episode(self) -> int:
        """Index of the episode at the last mark; -1 outside of an episode."""
        return int(self._entries[2])

    @property
    def step(self) -> int:
        """Step of the episode at the last mark."""
        return int(self._entries[3])


class SharedBlocks:
    """One anonymous file with a :class:`Progress` for each worker, followed by blocks of arrays, all zero at first."""

    def __init__(self, blocks: Sequence[Fields], num_workers: int, fd: int | None = None) -> None:
        """Make the memory, or look at the memory that another process made with the same arguments.

        Args:
            blocks: what each block holds.
            num_workers: how many workers tell where they are.
            fd: descriptor of existing memory; None makes new memory.
        """
        total = num_workers * _STATUS_BYTES + sum(map(block_bytes, blocks))
        self.fd = os.memfd_create("f1rl") if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, total)
        memory = mmap.mmap(self.fd, total)
        offsets = range(0, num_workers * _STATUS_BYTES, _STATUS_BYTES)
        self.progresses = [Progress(np.frombuffer(memory, np.float64, 4, offset)) for offset in offsets]
        self.blocks: list[dict[str, np.ndarray]] = []
        offset = num_workers * _STATUS_BYTES
        for fields in blocks:
            arrays = {}
            for name, (shape, kind) in fields.items():
                arrays[name] = np.frombuffer(memory, kind, math.prod(shape), offset).reshape(shape)
                offset += _aligned_bytes(shape, kind)
            self.blocks.append(arrays)

    def close(self) -> None:
        """Give the memory back; it is gone once no array of it is left in any process."""
        self.blocks.clear()
        os.close(self.fd)


class SharedEpisodes(SharedBlocks):
    """A worker's :class:`Progress` and its slots for finished and unfinished episodes."""

    def __init__(self, spec: EnvSpec, num_slots: int, fd: int | None = None) -> None:
        """Make the memory, or look at the memory that another process made.

        Args:
            spec: decides the size of a slot.
            num_slots: how many episodes there is room for.
            fd: descriptor of existing memory; None makes new memory.
        """
        super().__init__([episode_fields(spec)] * num_slots, num_workers=1, fd=fd)
        self.progress = self.progresses[0]
        self.slots = [EpisodeArrays(**arrays) for arrays in self.blocks]

    def close(self) -> None:
        """Give the memory back, as :meth:`SharedBlocks.close`."""
        self.slots.clear()
        super().close()


def _aligned_bytes(shape: tuple[int, ...], kind: type) -> int:
    return -(-math.prod(shape) * np.dtype(kind).itemsize // _ALIGNMENT) * _ALIGNMENT


def block_bytes(fields: Fields) -> int:
    """Return the size of a block in bytes."""
    return sum(_aligned_bytes(shape, kind) for shape, kind in fields.values())


def require_memory(num_bytes: int, what: str, remedy: str) -> None:
    """Refuse what would end in a kill by the kernel once the memory is written to.

    Args:
        num_bytes: size of the memory.
        what: what it is for, as the beginning of a sentence.
        remedy: which settings to lower.

    Raises:
        EnvError: if the machine has not enough memory.
    """
    available = psutil.virtual_memory().available
    if num_bytes > available:
        raise EnvError(
            f"{what} need {num_bytes / 2**20:.0f} MiB of memory but only {available / 2**20:.0f} MiB are free; "
            f"lower {remedy}"
        )
