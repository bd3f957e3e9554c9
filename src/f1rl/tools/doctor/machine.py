"""Checks of the machine: cores, memory, shared memory, disks."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from f1rl.tools.doctor.cgroup import Limits
from f1rl.tools.doctor.result import Result, fail, ok, warn

GIB = 2**30
MEMORY_NEEDED, MEMORY_WANTED = 2 * GIB, 4 * GIB
"""One worker (about 0.6 GiB) and a trainer of ``model=tiny``; the same with room for more workers."""
SHARED_MEMORY_WANTED = 64 * 2**20
"""What container engines give by default."""


def cores(limits: Limits) -> Result:
    """Compare the cores that this process may run on with the processor time that its group is given."""
    allowed, present = len(os.sched_getaffinity(0)), os.cpu_count()
    detail = f"{allowed} of {present} may be used"
    if limits.cores is not None and limits.cores < allowed:
        whole = max(1, int(limits.cores))
        return warn(
            "CPU cores",
            f"{detail}, but a cgroup limits this process to the time of {limits.cores:g}",
            f"rollout.num_workers={max(1, whole - 1)} trainer.cpu_threads={whole}: more would only wait for each other",
        )
    if allowed == 1:
        return warn("CPU cores", detail, "a run works, but simulator and trainer take turns; ask for 2 cores or more")
    return ok("CPU cores", detail)


def memory(limits: Limits, needed: int = MEMORY_NEEDED, wanted: int = MEMORY_WANTED) -> Result:
    """Compare the free memory with what a run takes (both in bytes)."""
    import psutil

    machine = psutil.virtual_memory()
    free, total, where = machine.available, machine.total, ""
    if limits.memory is not None and limits.memory < total:
        free, total, where = min(free, limits.memory_left), limits.memory, " (limit of the cgroup)"
    detail = f"{_gib(free)} of {_gib(total)} free{where}"
    advice = "end other programs, ask the batch system for more, or lower rollout.num_workers and model sizes"
    if free < needed:
        return fail("memory", f"{detail}; {_gib(needed)} are needed", advice)
    return warn("memory", detail, advice) if free < wanted else ok("memory", detail)


def shared_memory(folder: Path = Path("/dev/shm"), wanted: int = SHARED_MEMORY_WANTED) -> Result:
    """Look at the shared memory that NCCL uses between the GPUs of a machine; f1rl's workers use none of it."""
    advice = "only training on several GPUs needs it: docker run --shm-size=1g ..., or NCCL_SHM_DISABLE=1"
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return warn("/dev/shm", f"cannot be used: {error.strerror}", advice)
    detail = f"{_gib(usage.free)} of {_gib(usage.total)} free"
    return warn("/dev/shm", detail, advice) if usage.free < wanted else ok("/dev/shm", detail)


def disk(name: str, path: Path, setting: str, needed: int, wanted: int) -> Result:
    """Write to the disk that ``path`` is on, or will be on, and see what room it has.

    Args:
        name: of the result.
        path: a directory, which need not exist yet.
        setting: what to change to use another place.
        needed: bytes without which a run fails.
        wanted: bytes below which it may.
    """
    place = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    elsewhere = f"use another place with {setting}"
    try:
        with tempfile.TemporaryFile(dir=place):
            usage = shutil.disk_usage(place)
    except OSError as error:
        return fail(name, f"{path} cannot be written: {error.strerror}", elsewhere)
    detail = f"{_gib(usage.free)} free at {place}"
    if usage.free < needed:
        return fail(name, f"{detail}; {_gib(needed)} are needed", f"free some space, or {elsewhere}")
    return warn(name, detail, f"free some space, or {elsewhere}") if usage.free < wanted else ok(name, detail)


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / 2**20:.0f} MiB"
