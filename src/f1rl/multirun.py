"""``python -m f1rl -m ...``: one run per combination of the swept values, through Hydra's own sweepers and launchers.

Every job's configuration is checked before the first job starts, so that a typing error costs seconds and not a night.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from f1rl.config.compose import ROOT, SWEEP_GROUP, compose, compose_tree, conf_dir, groups, parse
from f1rl.config.schema import Config
from f1rl.errors import ConfigError, F1RLError, Interrupted, Preempted, UsageError
from f1rl.studies import prepare_storage
from f1rl.typed import from_tree, suggest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


def job_name(number: int | str, overrides: str) -> str:
    """Return a job's directory name from its number and its swept values, e.g. ``2_bptt=16,seed=1``."""
    values = overrides.replace("'", "").replace("/", "-")
    return f"{number}_{values}" if values else str(number)


# Called by hydra.sweep.subdir in conf/config.yaml, in the process of the job, which imports this module for its task.
OmegaConf.register_new_resolver("f1rl_job_name", job_name, replace=True)


def expand_named_sweeps(overrides: Iterable[str]) -> list[str]:
    """Replace each ``sweep=NAME`` by the words in ``conf/sweep/NAME.yaml`` whose keys are not given otherwise.

    Raises:
        ConfigError: there is no sweep of that name.
    """
    parsed = parse(overrides)
    given = {override.key_or_group for override in parsed}
    words: list[str] = []
    for override in parsed:
        if override.key_or_group != SWEEP_GROUP:
            words.append(override.input_line)
            continue
        name, known = override.get_value_element_as_str(), groups()[SWEEP_GROUP]
        if name not in known:
            raise ConfigError(f"sweep={name}: the named sweeps are {', '.join(known)}{suggest(name, known)}")
        named = yaml.safe_load((conf_dir() / SWEEP_GROUP / f"{name}.yaml").read_text())
        words += [word.input_line for word in parse(named) if word.key_or_group not in given]
    return words


def check(overrides: Sequence[str]) -> tuple[list[Override], list[Config]]:
    """Parse the words of a sweep and check every job.

    Args:
        overrides: words of the command line; values with commas, ranges or globs are swept, and so is what
            ``sweep=NAME`` stands for.

    Returns:
        The words, with those of named sweeps, and the configurations of the jobs, but for their directories.

    Raises:
        UsageError: if an override does not parse or would send every job to one directory.
        ConfigError: listing everything that is wrong with the first job that is wrong.
    """
    parsed = parse(expand_named_sweeps(overrides))
    if any(override.key_or_group == "output_dir" for override in parsed):
        raise UsageError(
            "a sweep gives each job its own output_dir; name the directory of all of them with hydra.sweep.dir=..."
        )
    return parsed, [compose(job) for job in combinations(parsed)]


def run_all(overrides: Sequence[str]) -> None:
    """Run every job of a sweep.

    Args:
        overrides: see :func:`check`.

    Raises:
        UsageError: see :func:`check`.
        ConfigError: see :func:`check`; or the storage of a search cannot be used.
        F1RLError: the first job's that failed, after the others have run.
    """
    parsed, _ = check(overrides)
    prepare_storage(parsed)
    fixed = ["output_dir", *(override.key_or_group for override in parsed if not override.is_sweep_override())]
    words = [_spell(override) for override in parsed]
    words += [
        "output_dir=${hydra:runtime.output_dir}",
        f"hydra.job.config.override_dirname.exclude_keys={fixed!r}",
    ]
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="f1rl"):
            GlobalHydra.instance().hydra.multirun(ROOT, run_job, words)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"the sweep cannot be run: {error}") from error


def sweep_directory(parsed: Iterable[Override]) -> Path:
    """Return where a sweep that started now would keep its jobs."""
    tree = compose_tree(next(combinations(parsed)), with_hydra=True)
    return Path(tree.hydra.sweep.dir)


def combinations(parsed: Iterable[Override]) -> Iterator[list[str]]:
    """Yield the overrides of each job; values drawn from an interval, which only some sweepers can do, are left out."""
    choices = [
        [f"{override.get_key_element()}={value}" for value in _values(override)]
        if override.is_sweep_override()
        else [override.input_line]
        for override in parsed
        if not override.is_interval_sweep()
    ]
    return (list(job) for job in itertools.product(*choices))


def run_job(tree: DictConfig) -> dict[str, Any]:
    """Run one job of a sweep, in whichever process Hydra's launcher chose for it.

    Raises:
        SystemExit: if the job was told to stop, which ends the sweep too.
        F1RLError: if the job failed; the message is printed at once, not only at the sweep's end.
    """
    job = HydraConfig.get().job
    label = job_name(job.num, job.override_dirname)
    config = from_tree(Config, OmegaConf.to_container(tree, resolve=True), [])
    print(f"f1rl: job {label} -> {config.output_dir}", file=sys.stderr)
    from f1rl.launch.run import run

    try:
        return run(config)
    except F1RLError as error:
        print(f"f1rl: job {label} failed: {error}", file=sys.stderr)
        if isinstance(error, Interrupted | Preempted):
            raise SystemExit(error.exit_code) from error
        raise


def _values(override: Override) -> list[str]:
    """Return the swept values of an override as words of the command line."""
    from hydra.core.override_parser.types import Glob

    value = override.value()
    if isinstance(value, Glob):
        return value.filter(groups().get(override.key_or_group, []))
    return list(override.sweep_string_iterator())


def _spell(override: Override) -> str:
    """Spell an override for Hydra, which takes no number for an option's name (``bptt=4,8``)."""
    if override.key_or_group not in groups() or override.is_delete() or override.is_interval_sweep():
        return override.input_line
    if not override.is_sweep_override():
        option = override.get_value_element_as_str().strip("'\"")
        return f"{override.key_or_group}={option if option == 'null' else repr(option)}"
    options = ",".join(repr(value.strip("'\"")) for value in _values(override))
    return f"{override.key_or_group}={options}"
