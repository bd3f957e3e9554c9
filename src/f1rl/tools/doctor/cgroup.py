"""The limits that a container or a batch system sets on this process, from versions 1 and 2 of Linux's cgroups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 writes a number of this size for no limit."""


@dataclass(frozen=True)
class Limits:
    """What the tightest of the groups that hold this process leaves to it."""

    cores: float | None = None
    """Processor time per time; None without a limit."""
    memory: int | None = None
    """Bytes that the group may use."""
    memory_left: int | None = None
    """Bytes of them that are free, or hold nothing but cached files."""


def limits(root: Path = Path("/")) -> Limits:
    """Read the limits of this process.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    cores = [cores for folder in _groups(root, "cpu") if (cores := _cores(folder)) is not None]
    memory = [pair for folder in _groups(root, "memory") if (pair := _memory(folder)) is not None]
    limit, left = min(memory, key=lambda pair: pair[1], default=(None, None))
    return Limits(min(cores, default=None), limit, left)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of all groups around it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # no Linux, or no /proc
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controllers and controller)
        # Inside a container the path may be that of the host, of which only the mount itself is visible.
        inner = Path(path.lstrip("/"))
        yield from (mount / folder for folder in (inner, *inner.parents))


def _cores(folder: Path) -> float | None:
    words = _words(folder / "cpu.max") or [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    if len(words) != 2 or words[0] in ("max", "-1"):
        return None
    return int(words[0]) / int(words[1])


def _memory(folder: Path) -> tuple[int, int] | None:
    for limit_file, used_file, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _words(folder / limit_file), _words(folder / used_file)
        if limit and used and limit[0] != "max" and int(limit[0]) < _UNLIMITED:
            words = _words(folder / "memory.stat")
            reclaimable = int(words[words.index(cached) + 1]) if cached in words else 0
            return int(limit[0]), int(limit[0]) - int(used[0]) + reclaimable
    return None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []  # this version or this group has no such file
