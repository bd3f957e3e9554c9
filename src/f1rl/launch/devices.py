"""What must be settled before torch or SAPIEN are imported: this rank's physical GPU, and how threads wait."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

_VARIABLES = ("VK_DEVICE_INDEX", "SAPIEN_DEVICE_INDEX", "EGL_DEVICE_ID")
_SPIN_COUNT = "1000"
_LOCAL_RANK = ("SLURM_LOCALID", "LOCAL_RANK")


def get_physical_gpu_id(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the physical index of this rank's GPU, or None where none can be named.

    The rule: entry ``local rank`` (modulo its length) of ``CUDA_VISIBLE_DEVICES``. Where the variable is unset, empty,
    or names devices by UUID, there is no physical index to give.
    """
    visible = [entry.strip() for entry in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if entry.strip()]
    if not visible or not all(entry.isdigit() for entry in visible):
        return None
    return int(visible[local_rank(environment) % len(visible)])


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the rank of this process on its machine, 0 when it is alone."""
    return next((int(environment[name]) for name in _LOCAL_RANK if environment.get(name, "").isdigit()), 0)


def setup_sapien_gpu(gpu_id: int | None = None, environment: MutableMapping[str, str] = os.environ) -> int | None:
    """Set ``VK_DEVICE_INDEX``, ``SAPIEN_DEVICE_INDEX`` and ``EGL_DEVICE_ID`` to this rank's GPU; return it.

    A variable that is already set is left alone: the launcher knew better.
    """
    gpu_id = get_physical_gpu_id(environment) if gpu_id is None else gpu_id
    if gpu_id is not None:
        for name in _VARIABLES:
            environment.setdefault(name, str(gpu_id))
    return gpu_id


def wait_without_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have torch's CPU threads sleep soon when they wait for each other.

    By default they spin for milliseconds, on cores that the environment workers need: with as many threads as cores,
    training beside one worker on two cores then is slower than with one thread; like this it is faster.
    """
    environment.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
