"""How SLURM jobs stand, by its accounts, or where there are none by its controller."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from f1rl.errors import EnvironmentFailure

_ENDED = (
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "OUT_OF_MEMORY",
    "BOOT_FAIL",
    "DEADLINE",
)
_SECONDS = 30.0
"""Time limit of a question to SLURM."""
_FIELD = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True)
class JobState:
    """A job as SLURM sees it."""

    state: str
    """``PENDING``, ``RUNNING``, ``COMPLETED``, ..."""
    exit_code: int
    seconds: float
    """Running time since it was last started."""

    @property
    def has_ended(self) -> bool:
        """Whether it will not run again by itself."""
        return self.state in _ENDED


def ask(ids: Iterable[str]) -> dict[str, JobState]:
    """Return the states of the jobs ``ids``, as far as SLURM knows them; a job that waits may be missing.

    Raises:
        EnvironmentFailure: SLURM does not answer.
    """
    wanted = set(ids)
    heads = sorted({name.partition("_")[0] for name in wanted})
    table = _run(["sacct", "-X", "-n", "-P", "-o", "JobID,State,ExitCode,ElapsedRaw", "-j", ",".join(heads)])
    if table is not None:
        rows = [_from_accounts(line) for line in table.splitlines()]
    else:
        shown = [_run(["scontrol", "show", "job", "-o", head]) for head in heads]
        if all(text is None for text in shown):
            raise EnvironmentFailure("neither sacct nor scontrol answers; is SLURM running? See scontrol ping")
        rows = [_from_controller(line) for text in shown if text for line in text.splitlines() if line.strip()]
    return {name: state for names, state in rows for name in _each(names) if name in wanted}


def _run(command: list[str]) -> str | None:
    try:
        # SLURM shortens long lists of tasks unless it is told not to.
        env = {**os.environ, "SLURM_BITSTR_LEN": "0"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _each(names: str) -> list[str]:
    """Return the jobs of one row: SLURM shows tasks of an array that never started as one, ``12_[1-3,7%2]``."""
    array, _, tasks = names.partition("_")
    if not tasks or tasks.isdigit():
        return [names]
    spans = (span.split("-") for span in tasks.strip("[]").partition("%")[0].split(","))
    return [f"{array}_{task}" for span in spans for task in range(int(span[0]), int(span[-1]) + 1)]


def _from_accounts(line: str) -> tuple[str, JobState]:
    name, state, codes, seconds = line.split("|")
    return name, JobState(state.split(" ")[0], _exit_code(codes), float(seconds or 0))


def _from_controller(line: str) -> tuple[str, JobState]:
    fields = dict(_FIELD.findall(line))
    name = fields["JobId"]
    if "ArrayJobId" in fields:
        name = f"{fields['ArrayJobId']}_{fields.get('ArrayTaskId', '')}"
    return name, JobState(fields["JobState"], _exit_code(fields["ExitCode"]), _duration(fields.get("RunTime", "")))


def _exit_code(codes: str) -> int:
    """Return ``code:signal`` as a shell shows it."""
    code, _, number = codes.partition(":")
    return int(code) or (128 + int(number) if int(number or 0) else 0)


def _duration(text: str) -> float:
    """Return ``days-hours:minutes:seconds`` in seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = 60 * seconds + int(part or 0)
    return float(int(days or 0) * 86400 + seconds)
