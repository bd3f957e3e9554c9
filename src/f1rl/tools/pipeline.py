"""``python -m f1rl pipeline``: teacher, student and adversary in a chain, each in a process of its own."""

from __future__ import annotations

import functools
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from f1rl.errors import Interrupted, Preempted
from f1rl.launch.signals import PREEMPTING, STOPPING
from f1rl.launch.spawn import die_with_parent
from f1rl.pipeline import check, command_line, expand, is_finished, open_pipeline, run_directory, split_directory
from f1rl.records.reader import RUN_FILE, RunRecords
from f1rl.tools.arguments import Parser
from f1rl.tools.runs import WIDE, describe, table


def main(words: Sequence[str]) -> int:
    """Run the phases that are not finished yet, one after another.

    Returns:
        The exit code of the phase that failed or was stopped, else 0.

    Raises:
        ConfigError: a phase's configuration is wrong, or the directory holds something else; nothing was started.
        UsageError: the words make no sense.
    """
    directory, overrides = _parse(words)
    chain = expand(overrides, directory)
    check(chain)
    identity = open_pipeline(directory, overrides)["id"]
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"pipeline {identity} in {directory}/", markup=False)
    code = _run_all(chain, directory, console)
    runs = [run for phase in chain if ((run := run_directory(directory, phase)) / RUN_FILE).exists()]
    if runs:
        console.print(table([describe(RunRecords(run)) for run in runs], time.time(), is_wide=console.width >= WIDE))
    if code:
        again = command_line(directory, overrides)
        print(f"f1rl: stopped with exit code {code}. Go on with python -m f1rl pipeline {again}", file=sys.stderr)
    return code


def _parse(words: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the directory of the pipeline, a new one unless it is given, and the overrides."""
    parser = Parser("pipeline", "Run teacher, student and adversarial in a chain; the same words again go on with it.")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[PHASE:]OVERRIDE",
        help="group=option or key=value, for all phases or for one: env=franka student:phase.num_episodes=480; "
        "pipeline.dir=DIR is where the runs go (default: outputs/pipeline_<time>)",
    )
    return split_directory(parser.parse_args(words).words)


def _run_all(chain: dict[str, list[str]], directory: Path, console: Console) -> int:
    """Run what is not finished until something fails or a signal comes; return the exit code."""
    with _Relay() as relay:
        for place, (phase, words) in enumerate(chain.items(), 1):
            if is_finished(directory, phase):
                console.print(f"{place}/{len(chain)} {phase}: finished before")
                continue
            console.print(f"{place}/{len(chain)} {phase}: python -m f1rl {shlex.join(words)}", markup=False)
            code = relay.run([sys.executable, "-m", "f1rl", *words])
            if code:
                return code
    return 0


class _Relay:
    """Runs processes one at a time and passes every signal on to the one that runs; after one, none is started.

    Each process has a group of its own: Ctrl-C then reaches it once, through here, and not a second time from the
    terminal, which would mean to stop at once without saving.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._signal: int | None = None
        self._waiting: list[int] = []  # signals that came while a process was being started
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> _Relay:
        self._before = {number: signal.signal(number, self._handle) for number in (*STOPPING, *PREEMPTING)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: list[str]) -> int:
        """Run a process and return its exit code as a shell shows it; that of a signal if only we noticed one."""
        if self._signal is None:
            save_and_stop = functools.partial(die_with_parent, signal.SIGTERM)
            self._process = subprocess.Popen(command, process_group=0, preexec_fn=save_and_stop)
            while self._waiting:
                self._pass_on(self._waiting.pop(0))
            code = self._process.wait()
            self._process = None
            if code:
                return code if code > 0 else 128 - code
        if self._signal is None:
            return 0
        return (Preempted if self._signal in PREEMPTING else Interrupted).exit_code

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        if self._process is None:
            self._waiting.append(number)
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            if number == signal.SIGINT:
                os.killpg(self._process.pid, number)  # to all of its processes, as a terminal does
            else:
                self._process.send_signal(number)
