"""Several training processes on this machine, where no other launcher starts them: one child per rank."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from f1rl.config.schema import Config
from f1rl.errors import ProcessFailed
from f1rl.launch.outcome import VARIABLE as OUTCOME
from f1rl.launch.outcome import read_outcome
from f1rl.launch.place import Place
from f1rl.launch.signals import forward_signals
from f1rl.typed import to_tree

_GRACE = 20.0
"""Seconds that the other ranks have to end when one of them has failed."""
_POLL = 0.05
_PR_SET_PDEATHSIG = 1


def run_ranks(cfg: Config, size: int) -> None:
    """Train with ``size`` processes on this machine, and wait for them.

    Signals to this process reach all ranks, which agree among themselves when to stop.

    Raises:
        ProcessFailed: with the exit code of the rank that failed first.
    """
    tree = to_tree(cfg)
    tree["trainer"]["devices"] = size
    with tempfile.TemporaryDirectory(prefix="f1rl-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(tree))
        outcome = Path(folder) / "outcome"
        environment = {**os.environ, OUTCOME: str(outcome)}
        port = _free_port()
        places = [Place(rank, size, rank, size, "127.0.0.1", port) for rank in range(size)]
        ranks = [_start(file, place, dict(environment)) for place in places]
        with forward_signals(ranks):
            failed = _wait(ranks)
        noted = read_outcome(outcome)
    if failed and noted:
        raise ProcessFailed(f"rank {noted.rank} ended with exit code {noted.code}: {noted.why}", noted.code)
    if failed:
        raise ProcessFailed(f"a training process ended with exit code {failed}, without a word", failed)


def _start(file: Path, place: Place, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    place.export(environment)
    command = [sys.executable, "-m", "f1rl", f"--config={file}"]
    return subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have this process get signal ``number`` when the one that started it dies; for ``preexec_fn``."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait(ranks: list[subprocess.Popen[bytes]]) -> int:
    """Return the exit code of the first rank seen to fail, 0 if none did; all have ended then."""
    failed, deadline = 0, math.inf
    while running := [rank for rank in ranks if rank.poll() is None]:
        if not failed and (failed := _first_failure(ranks)):
            deadline = time.monotonic() + _GRACE
        if time.monotonic() > deadline:
            for rank in running:
                rank.kill()
        time.sleep(_POLL)
    return failed or _first_failure(ranks)


def _first_failure(ranks: list[subprocess.Popen[bytes]]) -> int:
    """Return the exit code, as a shell shows it, of a rank that has failed; 0 if there is none."""
    code = next((rank.returncode for rank in ranks if rank.returncode), 0)
    return code if code >= 0 else 128 - code
