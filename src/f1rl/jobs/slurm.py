"""Submit jobs to SLURM with submitit: one is a plain job, several are an array with a bound on how many run at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f1rl.config.schema import Config
from f1rl.errors import ConfigError, EnvironmentFailure
from f1rl.jobs.batch_script import after, before, outcome_file
from f1rl.jobs.job import Job
from f1rl.jobs.snapshot import TASK_PROLOG, take_snapshot
from f1rl.jobs.task import RunTask

try:
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError
except ImportError as missing:
    raise EnvironmentFailure(f"submitting to SLURM needs submitit ({missing}): pip install -e '.[slurm]'") from missing

_OUTER = ("SLURM_", "SBATCH_", "SRUN_", "SUBMITIT_")
"""Variables of a job that submits another: sbatch would take them for its own options."""


@dataclass(frozen=True)
class Submitted:
    """A job in SLURM's queue."""

    job: Job
    id: str
    """As SLURM writes it: ``12``, or ``12_0`` in an array."""
    folder: Path
    """Of the submission."""

    def log(self, rank: int) -> Path:
        """Return the file with the messages of a rank; those of the batch script are in rank 0's."""
        return self.folder / f"{self.id}_{rank}_log.out"

    @property
    def outcome(self) -> Path:
        """The file in which the first process that fails notes why."""
        return Path(outcome_file(self.folder, self.id))


def show(submitted: Submitted) -> None:
    """Print a job's number, its run directory and the log of its first rank."""
    print(f"SLURM job {submitted.id}: {submitted.job.name}\n  run  {submitted.job.run_dir}\n  log  {submitted.log(0)}")


class Submission:
    """Jobs of one kind: equal resources, one folder with their configurations, logs and code."""

    def __init__(self, jobs: Sequence[Job], cfg: Config, folder: Path, *, after_ok: Sequence[str] = ()) -> None:
        """Prepare to submit; nothing is written yet.

        Args:
            jobs: at least one.
            cfg: of the first; its ``launcher`` and ``trainer`` decide the resources of all.
            folder: shared by all machines; receives everything but the runs.
            after_ok: SLURM jobs that must have completed before these may start.

        Raises:
            ConfigError: ``trainer.devices`` is not a number, an option of ``launcher`` is not understood, or the jobs
                ask for different resources.
        """
        _require_equal_resources(jobs)
        self._jobs, self._cfg, self.folder = jobs, cfg, folder.absolute()
        self._executor = _Executor(self.folder, max_num_timeout=0, python=cfg.launcher.python)
        self._executor.update_parameters(**self._parameters(after_ok))

    def text(self) -> str:
        """Return what sbatch is given."""
        executor = self._executor
        if len(self._jobs) > 1:
            executor.parameters["map_count"] = len(self._jobs)
        try:
            return executor._make_submission_file_text(executor._submitit_command_str, "")
        finally:
            executor.parameters.pop("map_count", None)

    def submit(self) -> list[Submitted]:
        """Submit the jobs and return at once.

        Raises:
            EnvironmentFailure: there is no SLURM here, or it refuses.
        """
        if self._cfg.launcher.snapshot:
            take_snapshot(self.folder / "code")
        tasks = [RunTask(str(job.write_config(self.folder / "configs"))) for job in self._jobs]
        try:
            with _no_outer_job(), self._executor.batch():
                submitted = [self._executor.submit(task) for task in tasks]
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise EnvironmentFailure(f"SLURM does not take the job: {error}") from error
        return [Submitted(job, each.job_id, self.folder) for job, each in zip(self._jobs, submitted, strict=True)]

    def _parameters(self, after_ok: Sequence[str]) -> dict[str, Any]:
        facts, trainer = self._cfg.launcher, self._cfg.trainer
        if trainer.devices == "auto":
            raise ConfigError(
                "trainer.devices=auto cannot be counted before the job runs; give the processes of each machine, e.g. "
                "trainer.devices=4 launcher.gpus_per_node=4"
            )
        code = self.folder / "code" / "src" if facts.snapshot else None
        name = self._jobs[0].config["name"] if len(self._jobs) == 1 else self.folder.parent.name
        parameters = {
            "job_name": name,
            "time": facts.timeout_min,
            "nodes": trainer.num_nodes,
            "ntasks_per_node": trainer.devices,
            "gpus_per_node": facts.gpus_per_node,
            "cpus_per_task": facts.cpus_per_task,
            "mem": None if facts.mem_gb is None else f"{facts.mem_gb}GB",
            "partition": facts.partition,
            "account": facts.account,
            "qos": facts.qos,
            "constraint": facts.constraint,
            "array_parallelism": facts.array_parallelism,
            "signal_delay_s": facts.signal_delay_s,
            "stderr_to_stdout": True,
            "dependency": f"afterok:{':'.join(after_ok)}" if after_ok else None,
            "setup": before(self.folder, code, facts.setup),
            "teardown": after(facts.max_num_timeout),
            # Appending keeps what was said before the job was queued again.
            "srun_args": [
                "--open-mode=append",
                "--kill-on-bad-exit=1",
                *_cores(facts.cpus_per_task),
                *_task_prolog(code),
            ],
            # A job whose predecessor fails can never start: it is cancelled, and does not wait for ever.
            "additional_parameters": {"requeue": True, "kill-on-invalid-dep": "yes", **_options(facts.options)},
        }
        return {key: value for key, value in parameters.items() if value is not None}


class _Executor(SlurmExecutor):
    """Also where there is no SLURM, to show what would be submitted."""

    @classmethod
    def affinity(cls) -> int:
        """Return that this executor can be made."""
        return 1


def _require_equal_resources(jobs: Sequence[Job]) -> None:
    """Refuse jobs that one array cannot hold: SLURM gives all of its tasks the same."""
    asked = [
        (job.config["launcher"], *(job.config["trainer"][key] for key in ("devices", "num_nodes"))) for job in jobs
    ]
    if any(each != asked[0] for each in asked):
        raise ConfigError(
            "a sweep is one array, whose jobs get equal resources: launcher.*, trainer.devices and trainer.num_nodes "
            "cannot be swept; submit one sweep for each value"
        )


def _options(options: Sequence[str]) -> dict[str, Any]:
    """Return ``launcher.options`` by name: ``exclusive`` and ``exclude=node3`` as they would follow ``--``."""
    pairs = [option.removeprefix("--").partition("=") for option in options]
    if any(not name for name, _, _ in pairs):
        raise ConfigError(f"launcher.options must be options of sbatch like exclude=node3; got {list(options)}")
    return {name: value if is_given else True for name, is_given, value in pairs}


def _cores(count: int | None) -> list[str]:
    """Return srun's option for the cores of each process, which it does not take over from sbatch."""
    return [] if count is None else [f"--cpus-per-task={count}"]


def _task_prolog(code: Path | None) -> list[str]:
    """Return the option that has SLURM bind each rank's devices before Python starts; an installed package has none."""
    if not TASK_PROLOG.exists():
        return []
    return [f"--task-prolog={code.parent / TASK_PROLOG.name if code else TASK_PROLOG}"]


@contextmanager
def _no_outer_job() -> Iterator[None]:
    """Hide the variables of the job, if any, that this process runs in; those that say where SLURM is stay."""
    hidden = {key: value for key, value in os.environ.items() if key.startswith(_OUTER) and key != "SLURM_CONF"}
    for key in hidden:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(hidden)
