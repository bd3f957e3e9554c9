"""What every rank of a SLURM job runs: the command line with the job's configuration, and its exit code."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType

from f1rl.cli import main
from f1rl.errors import Preempted
from f1rl.launch.outcome import note_outcome
from f1rl.launch.signals import PREEMPTING


@dataclass(frozen=True)
class RunTask:
    """A call that submitit stores and that each rank of the job makes."""

    config: str
    """File with the resolved configuration."""

    def __call__(self) -> None:
        """Run; a code other than 0 ends the process with it, so that SLURM tells the truth."""
        for number in PREEMPTING:  # until the run takes them over; submitit's handlers would not save anything
            signal.signal(number, _leave)
        code = main([f"--config={self.config}"])
        if code:
            sys.exit(code)


def _leave(number: int, frame: FrameType | None) -> None:
    """End before the run has begun; an exception might be caught by whatever is being imported at this moment."""
    name = signal.Signals(number).name
    why = f"stopped by {name} while starting; nothing had to be saved"
    os.write(sys.stderr.fileno(), f"f1rl: {why}\n".encode())
    note_outcome(Preempted.exit_code, why)
    os._exit(Preempted.exit_code)
