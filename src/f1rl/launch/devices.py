"""What must be settled before torch or SAPIEN are imported: this rank's physical GPU, and how threads wait.

Imports nothing but the standard library, so that any process can call it first. ``launchers/task_prolog.sh`` is the
same rule for SLURM, which applies it before Python starts; a test keeps the two equal.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Protocol

from f1rl.errors import EnvironmentFailure

VARIABLES = ("VK_DEVICE_INDEX", "SAPIEN_DEVICE_INDEX", "EGL_DEVICE_ID")
_SPIN_COUNT = "1000"
# The innermost launcher comes first: torchrun may run inside a SLURM job and start ranks there itself.
_LOCAL_RANK = ("LOCAL_RANK", "SLURM_LOCALID", "SUBMITIT_LOCAL_LOCALID")


class Accelerator(Protocol):
    """What libraries that start ranks call their handle: all that is asked of it is a number."""

    @property
    def local_process_index(self) -> int:
        """Rank of this process on its machine."""


def visible_devices(environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """Return the entries of ``CUDA_VISIBLE_DEVICES`` that CUDA sees; None if it is unset, and all devices are seen.

    As CUDA does, the list ends before the first entry ``-1``.
    """
    if "CUDA_VISIBLE_DEVICES" not in environment:
        return None
    entries = (entry.strip() for entry in environment["CUDA_VISIBLE_DEVICES"].split(","))
    return list(itertools.takewhile(lambda entry: entry != "-1", filter(None, entries)))


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the rank of this process on its machine, 0 when it is alone."""
    return next((int(environment[name]) for name in _LOCAL_RANK if environment.get(name, "").isdigit()), 0)


def get_physical_gpu_id(
    accelerator: Accelerator | None = None, environment: Mapping[str, str] = os.environ
) -> int | None:
    """Return the physical index of this rank's GPU, or None where none can be named.

    The rule: entry ``local rank`` of ``CUDA_VISIBLE_DEVICES``, modulo its length, so that more ranks than devices share
    them in turn. Where the variable is unset or empty, or names devices by UUID (as it does for MIG), there is no
    physical index to give.

    Args:
        accelerator: knows the local rank; without it, the environment does.
        environment: variables of the process.
    """
    visible = visible_devices(environment)
    if not visible or not all(entry.isdigit() for entry in visible):
        return None
    rank = local_rank(environment) if accelerator is None else accelerator.local_process_index
    return int(visible[rank % len(visible)])


def setup_sapien_gpu(gpu_id: int | None = None, environment: MutableMapping[str, str] = os.environ) -> int | None:
    """Set ``VK_DEVICE_INDEX``, ``SAPIEN_DEVICE_INDEX`` and ``EGL_DEVICE_ID`` to this rank's GPU; return it.

    A variable that is already set is left alone: the launcher knew better.

    Raises:
        EnvironmentFailure: SAPIEN is imported already, and may have opened another device.
    """
    gpu_id = get_physical_gpu_id(environment=environment) if gpu_id is None else gpu_id
    missing = [name for name in VARIABLES if name not in environment]
    if gpu_id is None or not missing:
        return gpu_id
    if "sapien" in sys.modules:
        raise EnvironmentFailure(
            f"SAPIEN was imported before this rank was bound to GPU {gpu_id} ({', '.join(missing)} not set), so it may "
            "draw on another rank's GPU. Call f1rl.launch.devices.setup_sapien_gpu() before anything that imports "
            "sapien or mani_skill"
        )
    for name in missing:
        environment[name] = str(gpu_id)
    return gpu_id


def render_device(requested: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return ``env.render_device`` for this rank's renderer, which reads none of the variables.

    SAPIEN counts the visible devices, so this is the rank's place in the list and not the physical index.

    Args:
        requested: ``auto`` becomes ``auto:N`` for the rank's device; ``cpu`` and ``cuda:N`` stay.
        environment: variables of the process.
    """
    visible = visible_devices(environment)
    if requested != "auto" or not visible:
        return requested
    return f"auto:{local_rank(environment) % len(visible)}"


def wait_without_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have torch's CPU threads sleep soon when they wait for each other.

    By default they spin for milliseconds, on cores that the environment workers need: with as many threads as cores,
    training beside one worker on two cores then is slower than with one thread; like this it is faster.
    """
    environment.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
