"""``python -m f1rl submit``: hand runs to SLURM and return at once, with the jobs' numbers and where to look."""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from f1rl.config.compose import compose
from f1rl.config.schema import Config
from f1rl.errors import ConfigError, ProcessFailed, UsageError
from f1rl.jobs.job import Job
from f1rl.jobs.slurm import Submission, Submitted, show
from f1rl.jobs.summary import line
from f1rl.jobs.waiting import wait_for
from f1rl.pipeline import (
    check,
    command_line,
    expand,
    find_pipeline,
    is_finished,
    open_pipeline,
    split_directory,
)
from f1rl.typed import suggest, to_tree

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
        _submit_sweep(options.overrides, dry_run=options.dry_run, wait=options.wait)
        return 0
    submit = _submit_pipeline if options.pipeline else _submit_run
    submitted = submit(options.overrides, dry_run=options.dry_run)
    if options.wait:
        _wait(submitted)
    return 0


def _submit_sweep(words: Sequence[str], *, dry_run: bool, wait: bool) -> None:
    """Submit a sweep through Hydra, or show what sbatch would be given.

    Raises:
        UsageError: a search would not be waited for.
    """
    from f1rl.multirun import check as check_sweep
    from f1rl.multirun import run_all, sweep_directory
    from f1rl.studies import is_search

    words = ["hydra/launcher=f1rl_slurm", *words, f"hydra.launcher.wait={wait}"]
    parsed, configs = check_sweep(words)
    if dry_run:
        jobs = [Job(str(number), to_tree(config)) for number, config in enumerate(configs)]
        print(Submission(jobs, configs[0], sweep_directory(parsed) / "jobs").text())
        return
    if is_search(parsed) and not wait:
        raise UsageError("a search chooses each run by the results of those before it: give --wait, too")
    run_all(words)


def _submit_run(words: Sequence[str], *, dry_run: bool) -> list[Submitted]:
    config = compose(words)
    _check(config)
    return _submit_in_a_row([config], dry_run=dry_run)


def _submit_pipeline(words: Sequence[str], *, dry_run: bool) -> list[Submitted]:
    """Submit the phases of a pipeline that are not finished yet, as ``python -m f1rl pipeline`` would run them.

    Raises:
        UsageError: the words make no sense.
        ConfigError: a phase's configuration is wrong, or the directory holds something else; nothing was written.
    """
    directory, overrides = split_directory(words)
    configs = check(expand(overrides, directory))
    find_pipeline(directory, overrides)
    for phase in [phase for phase in configs if is_finished(directory, phase)]:
        print(f"{phase}: finished before")
        del configs[phase]
    for config in configs.values():
        _check(config)
    if configs and not dry_run:
        identity = open_pipeline(directory, overrides)["id"]
        print(f"pipeline {identity}; go on with python -m f1rl submit pipeline {command_line(directory, overrides)}")
    return _submit_in_a_row([*configs.values()], dry_run=dry_run)


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


def _job(cfg: Config) -> Job:
    return Job(cfg.phase.name, {**to_tree(cfg), "output_dir": str(Path(cfg.output_dir).absolute())})


def _folder(cfg: Config) -> Path:
    """Return a new folder for the files of a submission."""
    return Path("slurm") / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{cfg.name}_{uuid.uuid4().hex[:4]}"


def _check(cfg: Config) -> None:
    """Say now, and not when the job starts or when others are submitted already, what is in the way.

    Raises:
        ConfigError: a run is, or the job's resources cannot be asked for.
    """
    if (Path(cfg.output_dir) / "run.json").exists() and cfg.resume is None and not cfg.overwrite:
        raise ConfigError(
            f"{cfg.output_dir} holds a run already. Continue it with resume=auto, replace it with overwrite=true, or "
            "choose another output_dir=..."
        )
    Submission([_job(cfg)], cfg, _folder(cfg))


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
