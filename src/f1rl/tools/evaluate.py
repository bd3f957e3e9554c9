"""``python -m f1rl evaluate``: what a policy reaches on held-out seeds, beside chance on the same seeds."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from f1rl.errors import CheckpointError
from f1rl.launch.devices import setup_sapien_gpu, wait_without_spinning
from f1rl.tools.arguments import Parser
from f1rl.tools.words import number
from f1rl.typed import suggest

_KEYS = ("run", "episodes", "policy", "videos", "output", "seed")
_LABELS = {
    "reward_success": "success term",
    "accuracy": "world model's accuracy on what it saw",
    "wm_entropy": "entropy of its predictions",
    "memory_distance": "distance of the two memories",
    "length": "steps",
}
_PIPE = 120  # columns where nobody's terminal sets a limit
_POLICIES = ("sampled", "deterministic")
_HELP = """\
what to evaluate, a run (its newest checkpoint) or a checkpoint, and how:
episodes=N (default: as many as in training), policy=sampled|deterministic,
videos=K (of each player, default 0), output=DIR (default: the run's
directory), seed=S (default: the run's); run=RUN is the same as RUN
"""


def main(words: Sequence[str]) -> int:
    """Evaluate a checkpoint.

    Raises:
        CheckpointError: there is none, it is damaged or foreign.
        EnvError: its environment cannot be started.
        UsageError: the words make no sense.
    """
    options = _parse(words)
    if not options["run"].exists():
        raise CheckpointError(f"there is no {options['run']}; python -m f1rl runs lists the runs that there are")
    setup_sapien_gpu()  # before torch and SAPIEN are imported
    wait_without_spinning()
    from f1rl.launch.evaluation import evaluate

    result = evaluate(options.pop("run"), **options)
    _show(Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE), result)
    for written in (result["file"], *result["videos"]):
        print(f"wrote {written}")
    return 0


def _parse(words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of :func:`f1rl.launch.evaluation.evaluate`, with the path under ``run``."""
    parser = Parser("evaluate", "Play held-out episodes with a run's policy and with random actions, and compare.")
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("words", nargs="*", metavar="RUN|key=value", help=_HELP)
    given: dict[str, str] = {}
    for word in parser.parse_args(words).words:
        key, equals, value = word.partition("=")
        if not equals or os.sep in key:  # a sweep's directories have = in their names
            key, value = "run", word
        if key not in _KEYS:
            parser.error(f"{word!r}: {key!r} is none of {', '.join(_KEYS)}{suggest(key, _KEYS)}")
        if key in given:
            parser.error(f"{key} is given twice: {given[key]} and {value}")
        given[key] = value
    if not given.get("run"):
        parser.error("name a run or a checkpoint, e.g. outputs/student_rl")
    policy = given.get("policy", "sampled")
    if policy not in _POLICIES:
        parser.error(f"policy={policy}: it is sampled or deterministic{suggest(policy, _POLICIES)}")
    return {
        "run": Path(given["run"]),
        "episodes": _count(parser, given, "episodes", least=1),
        "deterministic": policy == "deterministic",
        "videos": _count(parser, given, "videos", least=0) or 0,
        "output": Path(given["output"]) if given.get("output") else None,
        "seed": _count(parser, given, "seed", least=0),
    }


def _count(parser: Parser, given: dict[str, str], key: str, least: int) -> int | None:
    """Return a whole number; None where it is not given."""
    text = given.get(key)
    if text is not None and (not text.isdecimal() or int(text) < least):
        parser.error(f"{key}={text}: it must be a whole number, {least} or more")
    return None if text is None else int(text)


def _show(console: Console, result: dict[str, Any]) -> None:
    from f1rl.launch.summary import print_world_model

    console.print(_table(result))
    if "world_model" in result:
        print_world_model(console, {f"val_{k}": v for k, v in result["world_model"].items()} | result)


def _table(result: dict[str, Any]) -> Table:
    """Return what each player reached, with standard errors, and the paired differences with their intervals."""
    from f1rl.launch.summary import EXPLORER_ROWS

    beside = "explorer" in next(iter(result["measures"].values()))
    played = f"{result['episodes']} held-out episodes, seed {result['seed']}"
    acts = f", explorer {result['policy']}" if beside else ""
    table = Table(title=f"{played}, after {result['episode']} episodes of training{acts}; +-: standard error")
    table.add_column("")
    for column in ("explorer", "random policy", "difference (95 %)") if beside else ("random policy",):
        table.add_column(column, justify="right")
    labels = {**dict(EXPLORER_ROWS), **_LABELS}
    for name, measure in result["measures"].items():
        cells = [_estimate(measure[player]) for player in ("explorer", "random") if player in measure]
        if beside:
            found = measure["difference"]
            cells.append(f"{found['mean']:+.4g} [{found['low']:.4g}, {found['high']:.4g}]")
        table.add_row(labels.get(name, name.replace("_", " ")), *map(str, cells))
    return table


def _estimate(found: dict[str, float]) -> str:
    return f"{number(found['mean'])} +- {number(found['stderr'])}"
