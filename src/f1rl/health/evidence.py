"""What a run's health is judged by: series of its metrics, and a few facts about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from f1rl.records.metrics import by_quantity
from f1rl.records.table import MetricTable

_NEWEST = 200  # records in which a number that is not finite still matters
_ALWAYS_FINITE = re.compile(r"loss|grad_norm|reward|entropy|kl|lr|learning_rate|acc|explained_variance")


@dataclass(frozen=True)
class Facts:
    """What the series do not say; each may be unknown."""

    share: float | None = None
    """Part of the run that is done, 0 to 1."""
    status: str = ""
    """As :class:`f1rl.records.status.RunStatus` has it."""
    detail: str = ""
    """A few words to the status, e.g. why the run failed."""
    carries_memory: bool | None = None
    """Whether the memory is carried from window to window (``bptt.sequential_training``)."""
    grad_clip: float | None = None
    """Largest gradient norm that is not scaled down."""
    silence: float | None = None
    """Seconds since the newest record of a run that goes on."""
    restarts: int | None = None
    """Workers that were replaced in this segment."""
    gpu_utilisation: float | None = None
    """Of the GPU that trains, in percent, over the last minutes."""


@dataclass(frozen=True)
class Evidence:
    """Series by metric, oldest first; NaN where a record says nothing."""

    train: Mapping[str, np.ndarray]
    """One value per episode (or optimizer step): ``loss``, ``lr``, ``grad_norm``, ``reward``, ``approx_kl``, ..."""
    val: Mapping[str, np.ndarray]
    """One value per evaluation, under the names of the ``val_history``."""
    facts: Facts = Facts()
    not_finite: Mapping[str, int] = field(default_factory=dict)
    """Metrics of which new records hold a number that is infinite or undefined, and how many."""

    def series(self, name: str) -> np.ndarray:
        """Return the finite values of a metric of training; empty if there are none."""
        return _finite(self.train.get(name))

    def newest(self, name: str) -> float | None:
        """Return the newest value of a metric of validation; None if there is none."""
        values = _finite(self.val.get(name))
        return float(values[-1]) if len(values) else None

    @property
    def length(self) -> int:
        """Return the number of training records."""
        return max((len(values) for values in self.train.values()), default=0)

    @property
    def evaluations(self) -> int:
        """Return the number of evaluations."""
        return max((len(values) for values in self.val.values()), default=0)

    def is_mature(self, share: float) -> bool:
        """Return whether ``share`` of the run is done; if its length is unknown, whether three evaluations are."""
        return self.evaluations >= 3 if self.facts.share is None else self.facts.share >= share


def evidence_of(train: MetricTable, val: MetricTable, facts: Facts) -> Evidence:
    """Return what a run's tables say; ``avg_loss`` and ``learning_rate`` become ``loss`` and ``lr``."""
    return Evidence(
        train={key: train.column(name) for key, name in by_quantity(train).items()},
        val={name: val.column(name) for name in val.numeric()},
        facts=facts,
        not_finite=not_finite([*train.recent][-_NEWEST:]),
    )


def not_finite(records: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count numbers that are infinite or undefined, by metric; JSON has ``null`` for them."""
    found: dict[str, int] = {}
    for record in records:
        for name, value in record.items():
            if (value is None or (isinstance(value, float) and not math.isfinite(value))) and _matters(name):
                found[name] = found.get(name, 0) + 1
    return found


def _matters(name: str) -> bool:
    return not name.endswith("_stderr") and _ALWAYS_FINITE.search(name) is not None


def _finite(values: np.ndarray | None) -> np.ndarray:
    return np.empty(0) if values is None else values[np.isfinite(values)]
