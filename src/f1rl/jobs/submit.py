"""``python -m f1rl submit``: hand runs to SLURM and return at once, with the jobs' numbers and where to look."""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from f1rl.config.compose import compose, parse
from f1rl.config.schema import Config
from f1rl.config.typed import suggest, to_tree
from f1rl.errors import ConfigError, ProcessFailed, UsageError
from f1rl.jobs.job import Job
from f1rl.jobs.slurm import Submission, Submitted, show
from f1rl.jobs.summary import line
from f1rl.jobs.waiting import wait_for

PIPELINE = {"teacher": None, "student": "phase.teacher_path", "adversarial": "phase.student_checkpoint"}
"""The phases in their order, each with the key that names the run it starts from."""

USAGE = """\
Usage: python -m f1rl submit [pipeline] [-m] [group=option ...] [section.key=value ...] [options]
  pipeline    the three phases, each starting when the one before it has completed
  -m          a sweep: every combination of comma-separated values, as one array
  --dry-run   print what sbatch would be given, and submit nothing
  --wait      wait for the jobs, tell how each ended, and exit with the code of the first that failed
What a job gets (partition, GPUs, time, ...) is in the group launcher; docs/slurm.md explains it."""


def main(words: Sequence[str]) -> int:
    """Submit what the command line asks for.

    Raises:
        F1RLError: nothing, or not everything, was submitted; or, with ``--wait``, a job did not complete.
    """
    options = _parse(words)
    if options.help:
        print(USAGE)
        return 0
    if options.multirun:
        from f1rl.multirun import run_all

        how = [f"hydra.launcher.dry_run={options.dry_run}", f"hydra.launcher.wait={options.wait}"]
        run_all(["hydra/launcher=f1rl_slurm", *options.overrides, *how])
        return 0
    configs = _pipeline(options.overrides) if options.pipeline else [compose(options.overrides)]
    for cfg in configs:
        _refuse_other_run(cfg)
    submitted = _submit_in_a_row(configs, dry_run=options.dry_run)
    if options.wait:
        _wait(submitted)
    return 0


def _submit_in_a_row(configs: Sequence[Config], *, dry_run: bool) -> list[Submitted]:
    """Submit one job for each configuration, to start when the one before it has completed; or show their texts."""
    submitted: list[Submitted] = []
    before: list[str] = []
    for cfg in configs:
        submission = Submission([_job(cfg)], cfg, _folder(cfg), after_ok=before)
        if dry_run:
            print(submission.text())
            before = [f"<{cfg.phase.name}>"]  # its number is not known yet
        else:
            submitted += submission.submit()
            before = [submitted[-1].id]
            show(submitted[-1])
    return submitted


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m f1rl submit", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--wait", action="store_true")
    try:
        options, unknown = parser.parse_known_intermixed_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error}; see python -m f1rl submit --help") from error
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise UsageError(f"{unknown[0]!r} is not an option of submit{suggest(unknown[0], flags)}")
    options.pipeline = "pipeline" in options.overrides
    options.overrides = [word for word in options.overrides if word != "pipeline"]
    if options.pipeline and options.multirun:
        raise UsageError("a pipeline is three jobs in a row and cannot be swept; submit one for each value")
    return options


def _pipeline(overrides: Sequence[str]) -> list[Config]:
    """Return the configurations of the phases, each of which starts from the run before it.

    Raises:
        UsageError: an override would give all phases one directory, or one phase.
        ConfigError: listing what is wrong with the first phase that is wrong.
    """
    taken = {override.key_or_group for override in parse(overrides)} & {"phase", "output_dir"}
    if taken:
        raise UsageError(f"{', '.join(sorted(taken))} cannot be given for a pipeline: its phases differ in that")
    configs: list[Config] = []
    for phase, key in PIPELINE.items():
        parent = [f"{key}={configs[-1].output_dir}"] if key else []
        configs.append(compose([f"phase={phase}", *overrides, *parent]))
    return configs


def _job(cfg: Config) -> Job:
    return Job(cfg.phase.name, {**to_tree(cfg), "output_dir": str(Path(cfg.output_dir).absolute())})


def _folder(cfg: Config) -> Path:
    """Return a new folder for the files of a submission."""
    return Path("slurm") / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{cfg.name}_{uuid.uuid4().hex[:4]}"


def _refuse_other_run(cfg: Config) -> None:
    """Say now, and not when the job starts, that a run would be in the way."""
    if (Path(cfg.output_dir) / "run.json").exists() and cfg.resume is None and not cfg.overwrite:
        raise ConfigError(
            f"{cfg.output_dir} holds a run already. Continue it with resume=auto, replace it with overwrite=true, or "
            "choose another output_dir=..."
        )


def _wait(submitted: Sequence[Submitted]) -> None:
    """Tell how each job ended.

    Raises:
        ProcessFailed: a job did not complete.
    """
    outcomes = []
    for outcome in wait_for(submitted):
        outcomes.append(outcome)
        print(line(outcome))
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    if bad:
        raise ProcessFailed(f"job {bad[0].id}: {bad[0].state}: {bad[0].reason}; see {bad[0].log}", bad[0].exit_code)
