"""What tests of worker processes ask of the system."""

from __future__ import annotations

import gc
import os
import time

import psutil


def wait_for(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)


def open_descriptors():
    """Count them without those of unreachable tracebacks, which a collection in between would close."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
