"""The command line: words in, exit code out. Imports nothing heavy, so that help and typing errors cost no waiting."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from f1rl.errors import EnvironmentFailure, F1RLError, Interrupted, RankLost, UsageError
from f1rl.launch.outcome import note_outcome
from f1rl.typed import suggest

COMMANDS = {
    "train": (
        "f1rl.cli:train",
        "train one phase; what happens when no command is given",
        "phase=teacher env=franka",
    ),
    "pipeline": (
        "f1rl.tools.pipeline:main",
        "teacher, student and adversary in a chain; again with the same words and pipeline.dir: go on",
        "env=franka pipeline.dir=outputs/chain student:phase.num_episodes=480",
    ),
    "evaluate": (
        "f1rl.tools.evaluate:main",
        "what a policy reaches on held-out seeds, beside random actions from the same seeds",
        "outputs/student_rl episodes=64 policy=deterministic videos=2",
    ),
    "submit": (
        "f1rl.jobs.submit:main",
        "hand runs, sweeps or all phases to SLURM and return at once",
        "phase=teacher env=franka launcher.partition=gpu",
    ),
    "doctor": (
        "f1rl.tools.doctor.command:doctor",
        "what works on this machine, and what to do about the rest",
        "",
    ),
    "runs": ("f1rl.tools.runs:main", "list runs with status, progress and best result", "multirun/"),
    "monitor": (
        "f1rl.tools.monitor.command:main",
        "how a run is doing: page, dashboard, charts, browser; its health",
        "outputs/teacher_rl",
    ),
    "report": (
        "f1rl.tools.report.command:main",
        "summary, curves, tables or an HTML page of one run",
        "outputs/teacher_rl --html",
    ),
    "compare": (
        "f1rl.tools.compare.command:main",
        "differences and results of several runs, seeds taken together",
        "multirun/ --output comparison.html",
    ),
    "export": (
        "f1rl.tools.export:main",
        "weights of a checkpoint as safetensors, under our names or F1-VLA's",
        "outputs/teacher_rl weights --layout f1",
    ),
    "sync": ("f1rl.tools.sync:main", "upload to W&B what runs kept for it offline", "outputs/teacher_rl"),
    "dashboard": (
        "f1rl.tools.dashboard.command:main",
        "create a view of the W&B project that shows what runs record",
        "",
    ),
}
"""Each command's function ``(words) -> exit code`` as ``module:name``, imported only when called, its summary, and an
example of its words."""

EXAMPLES = (
    ("python -m f1rl phase=teacher env=franka", "the real run: 10,000 episodes on the simulator"),
    ("python -m f1rl experiment=demo", "the same on a short preset, minutes on two cores"),
    ("python -m f1rl env=toy debug=smoke", "every part once, without a simulator"),
    ("python -m f1rl resume=auto phase.num_episodes=20000", "go on from the newest checkpoint"),
    ("python -m f1rl -m bptt=4,8,16 seed=1,2,3", "nine runs, one after another, below multirun/"),
)

EXIT_CODES = (
    (0, "done"),
    (1, "a fault of the program; the traceback is printed"),
    (2, "the command line cannot be understood"),
    (3, "the configuration is wrong, or contradicts what is on disk"),
    (4, "the environment, the renderer or the machine failed"),
    (5, "a loss or a gradient became infinite or undefined"),
    (6, "a checkpoint is missing, damaged or foreign"),
    (75, "preempted: the state is saved, the run can be queued again"),
    (130, "interrupted: the state is saved"),
)


def entry() -> NoReturn:
    """Run the command line of this process and exit."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line.

    Args:
        argv: the words after the program's name.

    Returns:
        The exit code of the documented table.
    """
    try:
        function, words = _command(argv)
        return function(words)
    except F1RLError as error:
        return _explain(error, error.exit_code, argv)
    except _env_error() as error:
        return _explain(error, EnvironmentFailure.exit_code, argv)
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _explain(error, EnvironmentFailure.exit_code, argv)
    except KeyboardInterrupt as error:
        return _explain(error, Interrupted.exit_code, argv)
    except Exception as error:  # a fault of the program: Python shows the traceback and exits with 1
        note_outcome(1, f"{type(error).__name__}: {error}")
        raise


def _env_error() -> type[Exception]:
    """Return the environments' error; importing their package, which Python does here only to match an error, is slow.

    It registers the environments with Gymnasium, which takes longer than all that ``--help`` needs.
    """
    from f1rl_envs.errors import EnvError

    return EnvError


def train(words: Sequence[str]) -> int:
    """Compose a configuration and train with it, or show what was asked for instead.

    Raises:
        F1RLError: of any kind, with its message for the user.
    """
    options = _parse(words)
    if options.help:
        print(help_text())
        return 0
    if options.version:
        print(f"f1rl {_version()}")
        return 0
    if options.cfg:
        print(_show(options), end="")
        return 0
    if options.multirun:
        from f1rl.multirun import run_all

        run_all(options.overrides)
        return 0
    from f1rl.config.compose import compose

    config = compose(options.overrides, source=options.config)
    from f1rl.launch.run import run

    run(config)
    return 0


def help_text() -> str:
    """Return what ``--help`` prints."""
    from f1rl.config.compose import groups

    def table(rows: Sequence[tuple[object, str]]) -> str:
        width = max(len(str(left)) for left, _ in rows)
        return "\n".join(f"  {left!s:<{width}}  {right}" for left, right in rows)

    options = [
        ("-m, --multirun", "run every combination of comma-separated values"),
        ("--cfg job|hydra|all", "print the composed configuration and stop; --resolve fills in references"),
        ("--config FILE", "start from a run's config.yaml instead of the groups"),
        ("--version, --help", "what they say"),
    ]
    parts = [
        "Train a vision-language-action robot policy by curiosity, on a real simulator.",
        "Usage: python -m f1rl [command] [group=option ...] [section.key=value ...] [options]",
        "Groups (group=option):\n" + table([(name, ", ".join(names)) for name, names in groups().items() if names]),
        "Keys: every key can be overridden, e.g. phase.num_episodes=200; all of them: python -m f1rl --cfg job",
        "Commands:\n" + table(_command_rows()),
        "Options:\n" + table(options),
        "Examples:\n" + table(EXAMPLES),
        "Exit codes:\n" + table(EXIT_CODES),
    ]
    return "\n\n".join(parts)


def _command_rows() -> list[tuple[str, str]]:
    """Return two rows for each command: its summary, and an example."""
    rows = []
    for name, (_, summary, example) in COMMANDS.items():
        rows += [(name, summary), ("", f"  python -m f1rl {name} {example}".rstrip())]
    return rows


def _command(argv: Sequence[str]) -> tuple[object, Sequence[str]]:
    """Return the function of the command that ``argv`` starts with (``train`` if none), and the words after it.

    Raises:
        UsageError: if the first word is no command.
    """
    word, rest = (argv[0], argv[1:]) if argv and _is_word(argv[0]) else ("train", argv)
    if word not in COMMANDS:
        raise UsageError(f"{word!r} is not a command{_meant(word)}; python -m f1rl --help lists them")
    module, name = COMMANDS[word][0].split(":")
    return getattr(importlib.import_module(module), name), rest


def _is_word(text: str) -> bool:
    return "=" not in text and text[:1] not in ("-", "+", "~")


def _meant(word: str) -> str:
    """Return a guess at what a word that is no command was meant to be: a command, or an option of a group."""
    from f1rl.config.compose import groups

    owners = [f"{group}={word}" for group, options in groups().items() if word in options]
    return f"; did you mean {' or '.join(owners)}?" if owners else suggest(word, COMMANDS)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Split the words into options and overrides, in whatever order they come.

    Raises:
        UsageError: if an option is unknown or used wrongly.
    """
    parser = argparse.ArgumentParser(prog="python -m f1rl", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--version", action="store_true")
    try:
        options, unknown = parser.parse_known_intermixed_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error}; see python -m f1rl --help") from error
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        hint = suggest(unknown[0], flags) or "; keys are written without dashes, e.g. phase.num_episodes=200"
        raise UsageError(f"{unknown[0]!r} is not an option{hint}")
    if options.config and (options.multirun or options.cfg == "hydra"):
        raise UsageError("--config names one run's file; it goes with neither --multirun nor --cfg hydra")
    return options


def _show(options: argparse.Namespace) -> str:
    """Return the configuration as YAML: the job's, Hydra's own, or both."""
    from omegaconf import OmegaConf

    from f1rl.config.compose import compose_tree

    tree = compose_tree(options.overrides, source=options.config, with_hydra=options.cfg != "job")
    if options.resolve and options.cfg == "job":
        OmegaConf.resolve(tree)
    return OmegaConf.to_yaml(tree.hydra if options.cfg == "hydra" else tree)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("f1rl")
    except metadata.PackageNotFoundError:
        return "(not installed; run make setup)"


def _explain(error: BaseException, code: int, argv: Sequence[str]) -> int:
    """Print why a run ended, with the traceback for those who asked for debugging, and return its exit code."""
    if {"logging=debug", "logging.console_level=DEBUG"} & set(argv):
        traceback.print_exception(error)
    why = str(error) or "interrupted"
    print(f"f1rl: {why}", file=sys.stderr)
    if not isinstance(error, RankLost):  # it does not know why; the rank that was lost does
        note_outcome(code, why)
    return code
