"""A moment of a run in plain values: what every view of the monitor shows."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from f1rl.health.of_run import run_health
from f1rl.health.score import Health
from f1rl.records.metrics import best_result, by_quantity, headline
from f1rl.records.process import is_here
from f1rl.records.reader import Progress, RunRecords, number_in
from f1rl.records.status import RunStatus
from f1rl.tools.monitor.machine import Machine, look
from f1rl.tools.report.time_spent import ledger
from f1rl.tools.words import printable

_WINDOW = 10  # records that are averaged where one alone would be noise
_KEPT = 720  # moments of the machine that are remembered


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment."""

    now: float
    """Unix time."""
    name: str
    directory: Path
    phase: str | None
    segment: int
    status: RunStatus
    progress: Progress
    metrics: dict[str, float]
    """Newest record of training; losses and rates under their common names."""
    headline: Literal["loss", "reward"]
    """The quantity that says best how training goes."""
    change: float | None
    """Its mean over the last ten records against that over the ten before: a loss as a share, a reward in its unit."""
    seconds_per_episode: float | None
    """Over the newest hundred records."""
    validation: dict[str, float]
    """Newest evaluation."""
    best: str | None
    """The best evaluation in words."""
    recent: tuple[tuple[int, float], ...]
    """Episode (or step) and headline of the last ten records."""
    checkpoints: tuple[int, ...]
    """Their episodes."""
    best_is_saved: bool
    health: Health
    spent: dict[str, float]
    """Seconds by what they were spent on."""
    workers: tuple[dict[str, Any], ...]
    """As ``live.json`` has them; empty where nobody writes it."""
    live_age: float | None
    """Seconds since ``live.json`` was written."""
    machine: Machine
    is_here: bool
    """Whether the run goes on on this machine, so that ``machine`` concerns it."""
    problems: tuple[str, ...]


class Watch:
    """A run that is looked at again and again; each look costs what is new."""

    def __init__(self, run: RunRecords) -> None:
        """Watch ``run``."""
        self.run = run
        self.load: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        """Unix time and percent of the busiest GPU (without one: of the processors), one pair a look."""
        self.has_news = False
        """Whether the last look found anything new on disk."""
        self.has_gpu = False
        """Whether this machine has one, as of the last look."""
        look()  # the processor load is measured from one look to the next

    def look(self) -> Snapshot:
        """Read what is new and return the moment."""
        run, now, machine = self.run, time.time(), look()
        self.has_news = run.refresh()
        busiest = max((gpu.utilisation for gpu in machine.gpus), default=machine.cpu)
        self.load.append((now, busiest))
        self.has_gpu = bool(machine.gpus)
        here = is_here(run.info.get("process", {}))
        status = run.status(now)
        best, shown = best_result(run), headline(run)
        return Snapshot(
            now=now,
            name=printable(run.name),
            directory=run.directory,
            phase=run.phase,
            segment=run.info.get("segment", 0),
            status=replace(status, detail=printable(status.detail)),
            progress=run.progress(),
            metrics=_newest(run),
            headline=shown,
            change=_change(run, shown),
            seconds_per_episode=run.seconds_per_episode,
            validation=_numbers(run.val.last),
            best=f"{best.metric} {best.value:.4g}" if best else None,
            recent=_recent(run, shown),
            checkpoints=tuple(number_in(path)[0] for path in run.checkpoints()),
            best_is_saved=best is not None and best.path is not None,
            health=run_health(run, now, self._gpu_load(here and status.is_going_on, machine)),
            spent=ledger(run),
            workers=tuple(run.live.get("workers", ())),
            live_age=now - run.live["updated"] if "updated" in run.live else None,
            machine=machine,
            is_here=here,
            problems=tuple(map(printable, run.problems)),
        )

    def _gpu_load(self, concerns: bool, machine: Machine) -> float | None:
        """Return the mean load of the GPU that trains, once it was looked at often enough; None without one."""
        trains = str(self.run.info.get("devices", {}).get("training", "CPU"))
        if not concerns or not machine.gpus or trains.startswith("CPU") or len(self.load) < _WINDOW:
            return None
        return float(np.mean([percent for _, percent in self.load]))


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    return {key: v for key, v in record.items() if isinstance(v, int | float) and math.isfinite(v)}


def _newest(run: RunRecords) -> dict[str, float]:
    last = _numbers(run.train.last)
    return {key: last[column] for key, column in by_quantity(run.train).items() if column in last}


def _change(run: RunRecords, shown: str) -> float | None:
    column = by_quantity(run.train).get(shown)
    values = run.train.column(column)[-2 * _WINDOW :] if column else np.empty(0)
    if len(values) < 2 * _WINDOW:
        return None
    before, now = float(np.nanmean(values[:_WINDOW])), float(np.nanmean(values[_WINDOW:]))
    change = now - before
    if shown == "loss":
        change = change / abs(before) if before else math.nan
    return change if math.isfinite(change) else None


def _recent(run: RunRecords, shown: str) -> tuple[tuple[int, float], ...]:
    records = [_numbers(record) for record in [*run.train.recent][-_WINDOW:]]
    clock, column = run.progress().unit, by_quantity(run.train).get(shown)
    return tuple((int(r[clock]), float(r[column])) for r in records if clock in r and column in r)
