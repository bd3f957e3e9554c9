"""What this machine is doing: processors, memory, GPUs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class Gpu:
    """One GPU, as its driver tells it."""

    name: str
    utilisation: float
    """Percent."""
    used: float
    """GiB of memory in use."""
    total: float
    """GiB of memory."""
    temperature: float
    """Degrees Celsius."""


@dataclass(frozen=True)
class Machine:
    """A moment of this machine."""

    cpu: float
    """Percent of all processors, since the last look."""
    cores: int
    used: float
    """GiB of memory in use."""
    total: float
    """GiB of memory."""
    gpus: tuple[Gpu, ...]
    """Empty without an NVIDIA driver."""


def look() -> Machine:
    """Return what the machine does now; the first call has no processor load to tell and says 0."""
    memory = psutil.virtual_memory()
    used = (memory.total - memory.available) / 2**30
    return Machine(psutil.cpu_percent(), psutil.cpu_count() or 1, used, memory.total / 2**30, gpus())


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs; none without a driver, and none that do not tell what they do (e.g. parts of a divided one)."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver: a machine without a GPU is nothing to complain of
        return ()
    found = []
    try:
        for number in range(pynvml.nvmlDeviceGetCount()):
            with suppress(pynvml.NVMLError):
                found.append(_gpu(pynvml, number))
    finally:
        pynvml.nvmlShutdown()
    return tuple(found)


def _gpu(nvml: Any, number: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(number)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        name=nvml.nvmlDeviceGetName(handle),
        utilisation=float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        used=memory.used / 2**30,
        total=memory.total / 2**30,
        temperature=float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    )
