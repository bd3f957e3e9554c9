"""Hydra's launchers of f1rl: ``f1rl_local`` (this machine) and ``f1rl_slurm`` (a cluster).

Hydra imports every plugin at each start, so that what a launcher needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore

from f1rl.jobs.sweep import SweepLauncher

if TYPE_CHECKING:
    from f1rl.config.schema import Config
    from f1rl.jobs.job import Job, Outcome


class LocalLauncher(SweepLauncher):
    """``hydra/launcher=f1rl_local``: ``launcher.local_jobs`` processes at once."""

    def run(self, jobs: Sequence[Job], cfg: Config, folder: Path) -> Iterator[Outcome]:
        """Run ``jobs`` on this machine."""
        from f1rl.jobs.local import run_locally

        return run_locally(jobs, cfg.launcher.local_jobs, folder)


class SlurmLauncher(SweepLauncher):
    """``hydra/launcher=f1rl_slurm``: one array."""

    def __init__(self, *, wait: bool) -> None:
        """Submit, and ``wait`` for the jobs' ends."""
        super().__init__()
        self._wait = wait

    def run(self, jobs: Sequence[Job], cfg: Config, folder: Path) -> Iterator[Outcome]:
        """Submit ``jobs``."""
        from f1rl.jobs.waiting import submit_sweep

        return submit_sweep(jobs, cfg, folder, wait=self._wait)


_LAUNCHERS = {
    "f1rl_local": {"_target_": "hydra_plugins.f1rl_launchers.LocalLauncher"},
    "f1rl_slurm": {"_target_": "hydra_plugins.f1rl_launchers.SlurmLauncher", "wait": True},
}
for _name, _node in _LAUNCHERS.items():
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_node, provider="f1rl")
