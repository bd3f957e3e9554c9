"""Which of a run's training processes this one is, whoever started it: srun, torchrun, submitit, or nobody.

Imports nothing heavy: it is asked before torch is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace

from f1rl.config.check import find_contradictions
from f1rl.config.schema import Config
from f1rl.errors import ConfigError
from f1rl.launch.devices import visible_devices

_FIRST_PORT, _PORTS = 15000, 20000
"""Ranks meet at a port of this range that follows from the job's number: all of them can compute it."""
_FIRST_HOST = re.compile(r"([^,\[]+)(?:\[(\d+))?")
"""The first of a SLURM list of nodes, e.g. ``gpu[03-05],login``."""


@dataclass(frozen=True)
class Place:
    """One training process among those of its run."""

    rank: int
    size: int
    """Training processes of the run, on all machines."""
    local_rank: int
    local_size: int
    """Those on this machine."""
    address: str
    """Machine of rank 0, where all meet."""
    port: int

    def export(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Set the variables by which torch and Lightning know ranks: those of torchrun."""
        environment.update(
            RANK=str(self.rank),
            WORLD_SIZE=str(self.size),
            LOCAL_RANK=str(self.local_rank),
            LOCAL_WORLD_SIZE=str(self.local_size),
            GROUP_RANK=str(self.rank // self.local_size),
            MASTER_ADDR=self.address,
            MASTER_PORT=str(self.port),
        )


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place that a launcher gave this process, the innermost launcher's first; None where there is none."""
    for launcher in (_torchrun, _srun, _submitit_local):
        place = launcher(environment)
        if place is not None:
            return place
    return None


def _torchrun(env: Mapping[str, str]) -> Place | None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
    if not all(env.get(name, "").isdigit() for name in names) or "MASTER_ADDR" not in env:
        return None
    *numbers, port = (int(env[name]) for name in names)
    return Place(*numbers, env["MASTER_ADDR"], port)


def _srun(env: Mapping[str, str]) -> Place | None:
    if not env.get("SLURM_STEP_ID", "").isdigit() or "SLURM_PROCID" not in env:
        return None  # a batch script's own processes are no step
    if env["SLURM_STEP_NUM_TASKS"] == "1":
        return None  # alone, or in a shell that srun opened: if the run has several ranks, they are started from here
    first = _FIRST_HOST.match(env["SLURM_STEP_NODELIST"])
    number = int(env["SLURM_JOB_ID"]) + 31 * int(env["SLURM_STEP_ID"])
    return Place(
        rank=int(env["SLURM_PROCID"]),
        size=int(env["SLURM_STEP_NUM_TASKS"]),
        local_rank=int(env["SLURM_LOCALID"]),
        local_size=int(env["SLURM_STEP_TASKS_PER_NODE"].partition("(")[0].partition(",")[0]),
        address="".join(part for part in first.groups() if part),
        port=_FIRST_PORT + number % _PORTS,
    )


def _submitit_local(env: Mapping[str, str]) -> Place | None:
    if "SUBMITIT_LOCAL_GLOBALID" not in env:
        return None
    size = int(env["SUBMITIT_LOCAL_NTASKS"])
    port = _FIRST_PORT + int(env["SUBMITIT_LOCAL_JOB_ID"]) % _PORTS
    return Place(int(env["SUBMITIT_LOCAL_GLOBALID"]), size, int(env["SUBMITIT_LOCAL_LOCALID"]), size, "127.0.0.1", port)


def ranks_per_node(cfg: Config) -> int:
    """Return ``trainer.devices`` as a number: ``auto`` is every GPU, or one process on the CPU."""
    if cfg.trainer.devices != "auto":
        return cfg.trainer.devices
    return max(1, _count_gpus()) if cfg.trainer.accelerator != "cpu" else 1


def _count_gpus() -> int:
    """Return the number of GPUs that CUDA sees, without loading torch."""
    visible = visible_devices()
    if visible is not None:
        return len(visible)
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0  # no driver
    return pynvml.nvmlDeviceGetCount()


def check_count(cfg: Config) -> None:
    """Refuse several processes where the configuration cannot have them and ``trainer.devices=auto`` hid that so far.

    Raises:
        ConfigError: with the number of processes and what speaks against it.
    """
    if cfg.trainer.devices == "auto":
        count = ranks_per_node(cfg)
        problems = find_contradictions(replace(cfg, trainer=replace(cfg.trainer, devices=count)))
        if problems:
            raise ConfigError(f"trainer.devices=auto is {count} on this machine, and " + "; ".join(problems))


def check_place(cfg: Config, place: Place | None) -> None:
    """Refuse a launcher that starts another number of processes than the configuration names.

    Raises:
        ConfigError: naming both numbers.
    """
    here, nodes = ranks_per_node(cfg), cfg.trainer.num_nodes
    if place is None and cfg.trainer.num_nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes={cfg.trainer.num_nodes}, but nothing started a process on the other machines; use "
            "python -m f1rl submit, srun or torchrun (docs/slurm.md)"
        )
    if place is not None and (place.size, place.local_size) != (here * nodes, here):
        raise ConfigError(
            f"{place.size} processes were started, {place.local_size} on a machine, but trainer.devices={here} and "
            f"trainer.num_nodes={nodes}; give srun or torchrun as many tasks per machine and as many machines"
        )
