"""Commands that may crash or hang, run so that they take nothing with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO, Self

_KILL_SECONDS = 2.0
"""How long a killed process may take to go; one that is stuck inside a driver never does, and is left to the kernel."""


class CommandError(Exception):
    """A command could not be started, failed, was killed, or gave no answer in time."""


class Child:
    """A running command. Leaving the ``with`` block kills it with everything that it started."""

    def __init__(self, command: Sequence[str], deadline: float) -> None:
        """Start ``command``, which has ``deadline`` seconds from now.

        Raises:
            CommandError: if it cannot be started.
        """
        self._deadline = deadline
        self._end = time.monotonic() + deadline
        # Files, not pipes: a pipe stays open for as long as any grandchild lives, and reading it would hang.
        self._files = ExitStack()
        self._output = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._errors = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._errors, start_new_session=True
            )
        except OSError as error:
            self._files.close()
            raise CommandError(f"cannot be started: {error}") from error

    def output(self) -> str:
        """Wait for the end and return what was printed.

        Raises:
            CommandError: if it fails, is killed, or is not done in time.
        """
        try:
            code = self._process.wait(max(0.0, self._end - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"gave no answer within {self._deadline:g} s") from error
        if code:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
            # The last word of a traceback; some programs give their reason as output instead, and begin with it.
            reason = self._text(self._errors).splitlines()[-1:] or self._text(self._output).splitlines()[:1]
            raise CommandError(": ".join([how, *reason]))
        return self._text(self._output)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        self._files.close()

    @staticmethod
    def _text(file: BinaryIO) -> str:
        file.seek(0)
        return file.read().decode(errors="replace").strip()


class Probe(Child):
    """A Python module of the project that is run for the JSON in the last line of its output."""

    def __init__(self, module: str, name: str, deadline: float) -> None:
        """Start the probe called ``name`` of ``module``.

        Raises:
            CommandError: if it cannot be started.
        """
        super().__init__([sys.executable, "-m", module, name], deadline)

    def answer(self) -> dict[str, Any]:
        """Return what the probe found, or ``{"error": why there is no answer}``."""
        try:
            return json.loads(self.output().splitlines()[-1])
        except CommandError as error:
            return {"error": f"the process that tried it {error}"}


def output_of(command: Sequence[str], deadline: float) -> str:
    """Run ``command`` and return what it prints.

    Raises:
        CommandError: if it cannot be started, fails, or takes longer than ``deadline`` seconds.
    """
    with Child(command, deadline) as child:
        return child.output()


def ask(module: str, name: str, deadline: float) -> dict[str, Any]:
    """Return the answer of the probe called ``name`` of ``module``, with ``error`` if there is none."""
    with Probe(module, name, deadline) as probe:
        return probe.answer()
