"""A pipeline: teacher, student and adversary in a chain, from the words of one command line to those of three runs.

Imports nothing heavy: whoever starts the runs, on this machine or on a cluster, uses it.
"""

from __future__ import annotations

import itertools
import json
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from f1rl.config.compose import compose, parse
from f1rl.config.schema import Config
from f1rl.errors import ConfigError, UsageError
from f1rl.lineage import PHASES, START_KEYS, disagreement
from f1rl.records.differences import table
from f1rl.records.files import write_json
from f1rl.typed import suggest, to_tree

FILE = "pipeline.json"
"""In the directory of a pipeline, beside its runs: id, words, when it began."""

_DIRECTORY = "pipeline.dir="
_RESERVED = {"phase", "output_dir", "resume", "overwrite", *START_KEYS.values()}


def split_directory(words: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the directory that ``pipeline.dir=DIR`` names, a new one if none does, and the other words.

    Raises:
        UsageError: it is named twice, or by nothing.
    """
    places = [word.removeprefix(_DIRECTORY) for word in words if word.startswith(_DIRECTORY)]
    if len(places) > 1 or "" in places:
        raise UsageError(f"{_DIRECTORY}DIR names one directory; got {' '.join(_DIRECTORY + place for place in places)}")
    default = f"outputs/pipeline_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    return Path(*places or [default]), [word for word in words if not word.startswith(_DIRECTORY)]


def command_line(directory: Path, words: Sequence[str]) -> str:
    """Return the words, as a shell takes them, with which the pipeline in ``directory`` goes on."""
    return shlex.join([*words, f"{_DIRECTORY}{directory}"])


def run_directory(directory: Path, phase: str) -> Path:
    """Return where the run of ``phase`` writes in the pipeline that lives in ``directory``."""
    return directory / f"{phase}_rl"


def expand(words: Sequence[str], directory: Path) -> dict[str, list[str]]:
    """Return the words of each phase's run, in the order of the phases; each goes on where it was stopped.

    Args:
        words: overrides for all phases, and ``PHASE:override`` for one, which wins over those for all.
        directory: of the pipeline; each phase starts from the newest checkpoint of the run before it.

    Raises:
        UsageError: a word does not parse, asks for a sweep, or decides what the pipeline itself decides.
    """
    shared: list[str] = []
    own: dict[str, list[str]] = {phase: [] for phase in PHASES}
    for word in words:
        phase, override = _addressed(word)
        _require_free(override)
        (shared if phase is None else own[phase]).append(override)
    chain = {}
    for before, phase in itertools.pairwise((None, *PHASES)):
        start = [f"{START_KEYS[before]}={_quoted(run_directory(directory, before).absolute())}"] if before else []
        place = f"output_dir={_quoted(run_directory(directory, phase))}"
        chain[phase] = [f"phase={phase}", *shared, *own[phase], *start, place, "resume=auto"]
    return chain


def check(chain: Mapping[str, Sequence[str]]) -> dict[str, Config]:
    """Compose and check the configurations of all phases, and that each fits the one that it starts from.

    Args:
        chain: what :func:`expand` returned.

    Raises:
        ConfigError: listing what is wrong with every phase.
    """
    configs, problems = {}, {}
    for phase, words in chain.items():
        try:
            configs[phase] = compose(words)
        except ConfigError as error:
            problems.setdefault(str(error), []).append(phase)
    for before, phase in itertools.pairwise(PHASES):
        if before in configs and phase in configs:
            differing = disagreement(before, to_tree(configs[before]), to_tree(configs[phase]))
            if differing:
                shown = table(differing, f"for the {before}", f"for phase {phase}")
                problems[f"it would start from a {before} that does not fit:\n{shown}"] = [phase]
    if problems:
        parts = [f"phase {' and '.join(phases)}: {problem}" for problem, phases in problems.items()]
        hint = "An override for one phase only is written PHASE:override, e.g. student:phase.num_episodes=480"
        raise ConfigError("\n".join([*parts, hint]))
    return configs


def find_pipeline(directory: Path, words: Sequence[str]) -> dict[str, Any] | None:
    """Return what the file of the pipeline in ``directory`` says; None if there is nothing there yet.

    Args:
        directory: of the pipeline.
        words: with which it goes on: the old ones, but for those of ``launcher``.

    Raises:
        ConfigError: it holds a pipeline of other words, or runs that are part of none.
    """
    file = directory / FILE
    if file.exists():
        known = _read(file)
        if _binding(known["words"]) != _binding(words):
            raise ConfigError(
                f"{directory} holds a pipeline of other words:\n  there: {' '.join(known['words'])}\n  now:   "
                f"{' '.join(words)}\nGive the same words to go on, or another pipeline.dir=..."
            )
        return known
    strangers = [run for phase in PHASES if ((run := run_directory(directory, phase)) / "run.json").exists()]
    if strangers:
        raise ConfigError(f"{strangers[0]} holds a run that is part of no pipeline; give another pipeline.dir=...")
    return None


def open_pipeline(directory: Path, words: Sequence[str]) -> dict[str, Any]:
    """Make ``directory`` that of a pipeline with these words, or find that it already is; return what its file says.

    Raises:
        ConfigError: see :func:`find_pipeline`.
        EnvironmentFailure: the file cannot be written.
    """
    found = find_pipeline(directory, words)
    if found is not None:
        return found
    made = {"id": uuid.uuid4().hex[:12], "words": list(words), "phases": list(PHASES), "started": time.time()}
    write_json(directory / FILE, made)
    return made


def is_finished(directory: Path, phase: str) -> bool:
    """Return whether the run of ``phase`` has done all that it was to do."""
    file = run_directory(directory, phase) / "run.json"
    return file.exists() and json.loads(file.read_text()).get("status") == "done"


def membership(run: Path) -> dict[str, Any] | None:
    """Return ``id``, ``directory`` and ``place`` (from 1) of the pipeline that the run directory ``run`` is part of.

    Raises:
        ConfigError: the pipeline's file is damaged.
    """
    directory = run.absolute().parent
    places = {run_directory(directory, phase).name: place for place, phase in enumerate(PHASES, 1)}
    if run.name not in places or not (directory / FILE).exists():
        return None
    return {"id": _read(directory / FILE)["id"], "directory": str(directory), "place": places[run.name]}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ConfigError(f"{file} is damaged ({error}); delete it, or give another pipeline.dir=...") from error
    if not isinstance(found, dict) or not {"id", "words"} <= found.keys():
        raise ConfigError(f"{file} is not a pipeline's; give another pipeline.dir=...")
    return found


def _binding(words: Sequence[str]) -> list[str]:
    """Return the words that decide what a pipeline is: all but those about where and how long its jobs may run."""
    keys = [parse([_addressed(word)[1]])[0].key_or_group for word in words]
    return [word for word, key in zip(words, keys, strict=True) if key.partition(".")[0] != "launcher"]


def _addressed(word: str) -> tuple[str | None, str]:
    """Split ``PHASE:override``; the phase is None where a word has none."""
    name, colon, override = word.partition(":")
    if not colon or "=" in name or name.startswith("~"):
        return None, word
    if name not in PHASES:
        raise UsageError(f"{word!r}: {name!r} is not a phase{suggest(name, PHASES)}; they are {', '.join(PHASES)}")
    return name, override


def _require_free(word: str) -> None:
    override = parse([word])[0]
    if override.key_or_group in _RESERVED:
        raise UsageError(
            f"{word!r} cannot be given to a pipeline: it decides {override.key_or_group} itself, so that each phase "
            "starts from the one before it. The directory of all of them is pipeline.dir=..."
        )
    if override.is_sweep_override():
        raise UsageError(f"{word!r} asks for several runs; a pipeline cannot be swept, start one for each value")


def _quoted(path: Path) -> str:
    """Spell a path so that no letter of it means anything to Hydra."""
    text = str(path).replace("'", "\\'")
    return f"'{text}'"
