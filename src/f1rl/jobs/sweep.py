"""The jobs of a sweep, run for Hydra's sweepers: a line for each as it ends, a summary of all, their objectives."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf, open_dict, read_write

from f1rl.config.schema import Config
from f1rl.errors import Interrupted, Preempted, ProcessFailed
from f1rl.jobs.job import Job, Outcome
from f1rl.jobs.summary import line, write_summary
from f1rl.typed import from_tree

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

OBJECTIVE = "val_loss"
"""What sweepers that search are told of a job: its last held-out cross-entropy."""


class SweepLauncher(Launcher):
    """A Hydra launcher whose jobs are processes with a configuration file, wherever they run."""

    def __init__(self) -> None:
        """Wait for :meth:`setup`."""
        self._outcomes: list[Outcome] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives; the task function is not used, because jobs are command lines."""
        self._context, self._config = hydra_context, config

    @abstractmethod
    def run(self, jobs: Sequence[Job], cfg: Config, folder: Path) -> Iterator[Outcome]:
        """Run ``jobs``, whose first has the configuration ``cfg``; their files go into ``folder``."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run one job for each list of overrides and return how each ended, in the same order.

        Raises:
            Interrupted: a job was told to stop; the others saved their state too, or were not begun.
            Preempted: likewise, by a scheduler's warning.
        """
        folder = Path(self._config.hydra.sweep.dir)
        self._keep_configuration(folder / "multirun.yaml")
        jobs = [self._job(initial_job_idx + n, list(words), folder) for n, words in enumerate(job_overrides)]
        print(f"f1rl: {len(jobs)} jobs -> {folder}", file=sys.stderr)
        ended: dict[str, Outcome] = {}
        for outcome in self.run(jobs, from_tree(Config, jobs[0].config, []), folder / "jobs"):
            ended[outcome.job.name] = outcome
            self._outcomes.append(outcome)
            print(f"f1rl: {line(outcome)}", file=sys.stderr)
            write_summary(folder, self._outcomes)
        _stop_if_told([*ended.values()])
        return [_job_return(ended.get(job.name)) for job in jobs]

    def _keep_configuration(self, file: Path) -> None:
        """Write the sweep's configuration, by which its folder is known, unless the sweeper has; Optuna's has not."""
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(self._config, file)

    def _job(self, number: int, overrides: list[str], folder: Path) -> Job:
        tree = self._context.config_loader.load_sweep_config(self._config, overrides)
        with open_dict(tree), read_write(tree.hydra.runtime):
            tree.hydra.job.num, tree.hydra.job.id = number, str(number)
            HydraConfig.instance().set_config(tree)
            name = str(tree.hydra.sweep.subdir)
            tree.hydra.runtime.output_dir = str((folder / name).absolute())
        HydraConfig.instance().set_config(tree)
        fixed = tree.hydra.job.config.override_dirname.exclude_keys
        pairs = (word.partition("=") for word in overrides)
        swept = {key: value.strip("'\"") for key, _, value in pairs if key.lstrip("+") not in fixed}
        plain: Any = OmegaConf.masked_copy(tree, [key for key in tree if key != "hydra"])
        return Job(name, OmegaConf.to_container(plain, resolve=True), swept)


def _stop_if_told(outcomes: Sequence[Outcome]) -> None:
    for kind in (Interrupted, Preempted):
        stopped = [outcome.job.name for outcome in outcomes if outcome.exit_code == kind.exit_code]
        if stopped:
            raise kind(
                f"the sweep was stopped during {', '.join(stopped)}, whose state is saved; other jobs may be missing"
            )


def _job_return(outcome: Outcome | None) -> JobReturn:
    if outcome is None:  # submitted, and not waited for
        return JobReturn(status=JobStatus.COMPLETED)
    if outcome.is_good:
        return JobReturn(status=JobStatus.COMPLETED, _return_value=outcome.results.get(OBJECTIVE))
    overrides = [f"{key}={value}" for key, value in outcome.job.swept.items()]
    where = f"; see {outcome.log}" if outcome.log else ""
    message = f"job {outcome.job.name}: {outcome.state}: {outcome.reason or 'it did not say why'}{where}"
    return JobReturn(overrides, status=JobStatus.FAILED, _return_value=ProcessFailed(message, outcome.exit_code))
