"""The training process's end of the W&B view: start it, notice when it fails, let it finish."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from f1rl.errors import EnvironmentFailure
from f1rl.records.reader import RUN_FILE
from f1rl.records.run_file import RunFile
from f1rl.views.wandb_follower import LAST_SECONDS

log = logging.getLogger(__name__)


class WandbProcess:
    """A process that shows the run in W&B. Whatever goes wrong there is a warning, and a fallback in ``run.json``."""

    def __init__(self, run: Path, file: RunFile) -> None:
        """Show the run in directory ``run``, whose ``run.json`` is ``file``; nothing happens before :meth:`start`."""
        self._run, self._file = run, file
        self._process: subprocess.Popen[bytes] | None = None
        self._group = 0
        self._said = b""

    def start(self) -> None:
        """Start to follow the segment that now begins; ``run.json`` and ``config.yaml`` are its own already."""
        since = (self._run / RUN_FILE).stat().st_mtime_ns
        words = [str(self._run), f"--segment={self._file.data['segment']}", f"--since={since}"]
        try:
            (self._run / "wandb").mkdir(exist_ok=True)
            with (self._run / "wandb" / "view.log").open("ab") as messages:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "f1rl.views.wandb_follower", *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=messages,
                    start_new_session=True,  # it outlives a Ctrl-C, to take what is written until the end
                )
        except OSError as error:
            self._note(f"nothing is shown: {error}")
            return
        self._group = self._process.pid
        os.set_blocking(self._process.stdout.fileno(), False)

    def check(self) -> None:
        """Note what the process has to say; costs microseconds."""
        if self._process is None:
            return
        code = self._process.poll()
        *lines, self._said = (self._said + (self._process.stdout.read() or b"")).split(b"\n")
        for line in lines:
            self._note(json.loads(line))
        if code is not None:
            if code:  # it had no time to say why
                self._note(f"nothing more is shown: its process ended with code {code}; see {self._run}/wandb/view.log")
            self._release()

    def close(self) -> None:
        """Let the process take what is left, for seconds at most."""
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self._note(f"stopped after {LAST_SECONDS} s in which it did not finish; its files are in {self._run}/wandb")
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
            self._process.wait()
            self._release()
            return
        self.check()

    def _release(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process = None

    def _note(self, reason: str) -> None:
        log.warning("W&B: %s", reason)
        with suppress(EnvironmentFailure):  # a disk that is full ends the run by its records, not by a view of them
            self._file.fallback("wandb", reason)
