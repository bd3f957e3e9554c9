"""Run jobs on this machine, each in a process of its own and a few at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from f1rl.errors import Interrupted, Preempted
from f1rl.jobs.job import COMPLETED, Job, Outcome
from f1rl.launch.devices import visible_devices
from f1rl.launch.outcome import VARIABLE as OUTCOME
from f1rl.launch.outcome import read_outcome
from f1rl.launch.signals import forward_signals, stopped_by

_POLL = 0.1
_STATES = {0: COMPLETED, Interrupted.exit_code: "CANCELLED", Preempted.exit_code: "PREEMPTED"}


@dataclass
class _Slot:
    """Room for one job at a time, with its share of the GPUs."""

    environment: dict[str, str]
    job: Job | None = None
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None
    outcome: Path | None = None
    started: float = 0.0


def run_locally(jobs: Sequence[Job], at_once: int, folder: Path) -> Iterator[Outcome]:
    """Run ``jobs``, ``at_once`` at the same time, and yield the outcome of each when it has ended.

    After a signal, or when a job was told to stop, no further job is started; those that run save their state.

    Args:
        jobs: to be run, in this order.
        at_once: 1 lets the job use the terminal; with more, each writes ``NAME.log`` into ``folder``.
        folder: receives the configurations, too.

    Raises:
        Interrupted: a signal came; every job that was begun has ended.
        Preempted: likewise, by a scheduler's warning.
    """
    waiting = list(jobs)
    slots = [_Slot(environment) for environment in _environments(min(at_once, len(jobs)))]
    processes: list[subprocess.Popen[bytes]] = []
    with forward_signals(processes) as received:
        while waiting or processes:
            for slot in slots:
                if received:
                    waiting.clear()
                if slot.process is None and waiting:
                    _start(slot, waiting.pop(0), folder, to_terminal=at_once == 1)
                    processes.append(slot.process)
                    for number in received:  # came while the process was being started
                        slot.process.send_signal(number)
                elif slot.process is not None and slot.process.poll() is not None:
                    processes.remove(slot.process)
                    outcome = _finish(slot)
                    if outcome.exit_code in (Interrupted.exit_code, Preempted.exit_code):
                        waiting.clear()
                    yield outcome
            time.sleep(_POLL)
    if received:
        where = "during the sweep; jobs that had begun have saved their state, the others were not begun"
        raise stopped_by(signal.Signals(received[0]).name, where)


def _environments(count: int) -> list[dict[str, str]]:
    """Return the variables of each slot: where GPUs are named and there are enough, each slot has its own."""
    visible = visible_devices() or []
    share = len(visible) // count
    if count == 1 or share == 0:
        return [dict(os.environ)] * count
    parts = [visible[slot * share : (slot + 1) * share] for slot in range(count)]
    return [{**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(part)} for part in parts]


def _start(slot: _Slot, job: Job, folder: Path, *, to_terminal: bool) -> None:
    command = [sys.executable, "-m", "f1rl", f"--config={job.write_config(folder)}"]
    slot.job, slot.started = job, time.monotonic()
    slot.outcome = folder / f"{job.name}.outcome"
    slot.outcome.unlink(missing_ok=True)  # of an earlier start
    environment = {**slot.environment, OUTCOME: str(slot.outcome)}
    if to_terminal:
        slot.process = subprocess.Popen(command, env=environment)
        return
    slot.log = folder / f"{job.name}.log"
    with slot.log.open("ab") as log:
        slot.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _finish(slot: _Slot) -> Outcome:
    code = slot.process.returncode if slot.process.returncode >= 0 else 128 - slot.process.returncode
    slot.process = None
    seconds, noted = time.monotonic() - slot.started, read_outcome(slot.outcome)
    return Outcome(slot.job, _STATES.get(code, "FAILED"), code, seconds, slot.log, noted=noted)
