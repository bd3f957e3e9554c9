"""From overrides such as ``bptt=16 phase.num_episodes=200`` to a checked :class:`Config`, with Hydra's help.

Hydra merges the files under ``conf/``; everything that can be wrong with the result is found here, before anything
heavy is imported: overrides that do not parse, options that no group has, keys that do not exist (also behind ``+``
and ``++``), wrong types, and contradictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from f1rl.config.check import find_contradictions
from f1rl.config.schema import Config
from f1rl.errors import ConfigError, UsageError
from f1rl.typed import from_tree, suggest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

ROOT = "config"
"""Name of the root file in ``conf/``."""
SWEEP_GROUP = "sweep"
"""Folder of the named sweeps: words of the command line, which no single run has."""


@cache
def conf_dir() -> Path:
    """Return the directory of the configuration files: inside the installed package, else of the checkout.

    Raises:
        ConfigError: if neither exists.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [package / "conf", package.parents[1] / "conf"]
    for candidate in candidates:
        if (candidate / f"{ROOT}.yaml").is_file():
            return candidate
    places = " nor ".join(str(candidate) for candidate in candidates)
    raise ConfigError(f"the configuration files are missing: neither {places} holds {ROOT}.yaml; install f1rl again")


def groups() -> dict[str, list[str]]:
    """Return the options of every configuration group, numbers before words."""
    folders = sorted(folder for folder in conf_dir().iterdir() if folder.is_dir())
    return {folder.name: sorted((file.stem for file in folder.glob("*.yaml")), key=_natural) for folder in folders}


def compose(overrides: Sequence[str], *, source: Path | None = None) -> Config:
    """Compose, convert and check the configuration of one run.

    Args:
        overrides: words of the command line: ``group=option``, ``key=value``.
        source: a run's resolved ``config.yaml`` to start from instead of ``conf/``; it has no groups.

    Raises:
        UsageError: if an override does not parse or asks for a sweep.
        ConfigError: listing everything that is wrong.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    words, problems = _normalise(parse(overrides), {} if source else groups())
    merged = _merge(words, source)
    try:
        tree = OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        tree = OmegaConf.to_container(merged)
        problems.append(f"a reference cannot be resolved: {_innermost(error)}")
    config = from_tree(Config, tree, problems)
    if config is not None and not problems:
        problems += find_contradictions(config)
    if problems:
        raise ConfigError(_report(problems))
    return config


def compose_tree(overrides: Sequence[str], *, source: Path | None = None, with_hydra: bool = False) -> DictConfig:
    """Return what :func:`compose` would convert, before its interpolations are resolved, to be shown.

    Raises:
        UsageError: if an override does not parse or asks for a sweep.
        ConfigError: listing everything that is wrong.
    """
    compose(overrides, source=source)
    words, _ = _normalise(parse(overrides), {} if source else groups())
    return _merge(words, source, with_hydra=with_hydra)


def parse(overrides: Iterable[str]) -> list[Override]:
    """Parse words of the command line with Hydra's own grammar.

    Raises:
        UsageError: naming the first word that is no override.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, parsed = OverridesParser.create(), []
    for word in overrides:
        try:
            parsed.append(parser.parse_override(word))
        except HydraException as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{word!r} is not an override like key=value or group=option: {reason}") from error
    return parsed


def _normalise(parsed: Iterable[Override], known: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Spell overrides so that Hydra accepts every key, and leave out options that no group has.

    Hydra would stop at the first unknown key; behind ``++`` all of them reach the strict walk, which names every one.

    Returns:
        The words for Hydra, and one sentence per option that does not exist.

    Raises:
        UsageError: if a value is a sweep.
    """
    words, problems = [], []
    for override in parsed:
        word, key = override.input_line, override.key_or_group
        if override.is_sweep_override() or key == SWEEP_GROUP:
            raise UsageError(f"{word!r} asks for several runs; add -m to start them all")
        if override.is_delete() or key.split("/")[0].split(".")[0] == "hydra":
            words.append(word)
        elif key not in known:
            words.append("++" + word.lstrip("+"))
        else:
            option = override.get_value_element_as_str().strip("'\"")
            if option in known[key]:
                words.append(f"{key}='{option}'")  # quoted, because Hydra takes no number for an option's name
            elif option == "null":
                words.append(f"{key}=null")
            else:
                hint = suggest(option, known[key])
                problems.append(f"{key}={option}: the group {key} has {', '.join(known[key]) or 'no options'}{hint}")
    return words, problems


def _merge(words: Sequence[str], source: Path | None, *, with_hydra: bool = False) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if source is not None and (source.suffix != ".yaml" or not source.is_file()):
        raise ConfigError(f"{source} is not a configuration; name a file like outputs/teacher_rl/config.yaml")
    folder, name = (source.resolve().parent, source.stem) if source else (conf_dir(), ROOT)
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            return hydra_compose(name, overrides=list(words), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"the configuration cannot be composed: {_innermost(error)}") from error


def _natural(option: str) -> tuple[bool, int, str]:
    """Sort key: numbers by their value, then words."""
    return (not option.isdigit(), int(option) if option.isdigit() else 0, option)


def _report(problems: Sequence[str]) -> str:
    """Return one message for all problems, with the command that shows what is allowed."""
    lines = "\n".join(f"  - {problem}" for problem in problems)
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"the configuration has {count}:\n{lines}\nAll keys with their defaults: python -m f1rl --cfg job"


def _innermost(error: BaseException) -> str:
    """Return the message of the first cause of a chain, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
