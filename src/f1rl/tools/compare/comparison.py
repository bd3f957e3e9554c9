"""Several runs side by side: which belong together, what sets them apart, which is best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from f1rl.errors import ConfigError, UsageError
from f1rl.records.differences import INCIDENTAL, is_among
from f1rl.records.metrics import CLOCKS, Curve, best_result, panels, points, quantity, shared_clocks
from f1rl.records.reader import RunRecords, find_runs
from f1rl.records.statistics import mean_interval
from f1rl.tools.words import flatten, number, value_text

_SAME = ("seed", *INCIDENTAL)  # what may differ between runs that are taken for seeds of one configuration
_SHORT = 3  # differing keys that a label can hold


@dataclass(frozen=True)
class Result:
    """How one run did."""

    run: RunRecords
    settings: dict[str, str]
    """Its configuration, flat, without what is incidental."""
    best: float | None
    """Best validation of the quantity that is compared; None if it has none."""
    best_at: float | None
    """The clock there."""
    last: float | None
    """Newest validation."""

    @property
    def seed(self) -> Any:
        """Its seed, if it says so."""
        return self.run.info.get("seed", self.run.config.get("seed"))


@dataclass(frozen=True)
class Group:
    """Runs of one configuration."""

    label: str
    results: tuple[Result, ...]

    @cached_property
    def best(self) -> tuple[float, float] | None:
        """Mean of the runs' best values and half width of its confidence interval (NaN for one run); None: no value."""
        values = [result.best for result in self.results if result.best is not None]
        if not values:
            return None
        mean, half = mean_interval(np.array(values))
        return float(mean), float(half)


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison says."""

    groups: tuple[Group, ...]
    """The best first; those without a value last."""
    quantity: str
    """What they are ranked by."""
    goal: Literal["min", "max"]
    clock: str | None
    differences: dict[str, tuple[str, ...]]
    """Each key that differs, with its value in every group."""


def load(paths: Iterable[Path]) -> list[RunRecords]:
    """Return the runs at and below ``paths``, each once: a copy of a run is no second seed.

    Raises:
        ConfigError: there is none at one of them.
    """
    found: dict[str, RunRecords] = {}
    for path in paths:
        runs = find_runs(path) if path.is_dir() else [path]
        if not runs:
            raise ConfigError(f"no runs in {path}; python -m f1rl runs lists the runs below outputs/ and multirun/")
        for place in runs:
            run = RunRecords(place)
            found.setdefault(str(run.info.get("id") or place.resolve()), run)
    return list(found.values())


def compare(runs: Sequence[RunRecords], metric: str | None = None, clock: str | None = None) -> Comparison:
    """Group ``runs`` by configuration, and rank the groups.

    Args:
        runs: what to compare.
        metric: quantity or validation field to rank by; default: what decides the best checkpoint of most of them.
        clock: what curves are drawn over; default: the best that all have.

    Raises:
        UsageError: no run has ``metric`` or some lack ``clock``.
    """
    clock = _clock(runs, clock)
    ranked_by, goal = _ranked_by(runs, metric)
    results = [_result(run, ranked_by, goal, clock) for run in runs]
    alike: dict[tuple[tuple[str, str], ...], list[Result]] = {}
    for result in results:
        alike.setdefault(tuple(sorted(result.settings.items())), []).append(result)
    members = list(alike.values())
    differing = _differing([group[0].settings for group in members])
    labels = _labels(members, differing)
    groups = [Group(label, tuple(group)) for label, group in zip(labels, members, strict=True)]
    sign = 1 if goal == "min" else -1
    groups.sort(key=lambda group: (group.best is None, sign * group.best[0] if group.best else 0.0))
    values = {key: tuple(group.results[0].settings.get(key, "") for group in groups) for key in differing}
    return Comparison(tuple(groups), ranked_by, goal, clock, values)


def validation_curve(run: RunRecords, wanted: str) -> Curve | None:
    """Return the validation of a quantity."""
    panel = next((panel for panel in panels(run) if panel.key == wanted), None)
    found = (curve for curve in panel.curves if curve.history == "val" and not curve.is_reference) if panel else ()
    return next(iter(found), None)


def best_text(group: Group) -> str:
    """Return mean and confidence interval of a group's best values."""
    if group.best is None:
        return "n/a"
    mean, half = group.best
    return number(mean) if half != half else f"{number(mean)} ± {number(half)}"


def rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield what is known of each run: its rank, where it lies, its results and what sets it apart."""
    for place, group in enumerate(comparison.groups, 1):
        for result in group.results:
            run = result.run
            yield {
                "rank": place if group.best else None,
                "configuration": group.label,
                "run": str(run.directory),
                "name": run.name,
                "seed": result.seed,
                "status": run.status().name,
                "done": run.progress().done,
                f"best_{comparison.quantity}": result.best,
                f"best_at_{comparison.clock or 'record'}": result.best_at,
                f"last_{comparison.quantity}": result.last,
                **{key: result.settings.get(key) for key in comparison.differences},
            }


def _clock(runs: Sequence[RunRecords], wanted: str | None) -> str | None:
    common = [clock for clock in CLOCKS if all(clock in shared_clocks(run) for run in runs)]
    if wanted is not None and wanted not in common:
        raise UsageError(f"--clock {wanted}: all of these runs have {', '.join(common) or 'no clock in common'}")
    return wanted or next(iter(common), None)


def _ranked_by(runs: Sequence[RunRecords], metric: str | None) -> tuple[str, Literal["min", "max"]]:
    if metric is not None:
        wanted, known = quantity(metric), {p.key for run in runs for p in panels(run) if validation_curve(run, p.key)}
        if wanted not in known:
            raise UsageError(f"--metric {metric}: no run validates it; there are {', '.join(sorted(known)) or 'none'}")
        return wanted, next(p.goal for run in runs for p in panels(run) if p.key == wanted) or "min"
    deciding = Counter((quantity(best.metric), best.goal) for run in runs if (best := best_result(run)))
    return deciding.most_common(1)[0][0] if deciding else ("loss", "min")


def _result(run: RunRecords, ranked_by: str, goal: str, clock: str | None) -> Result:
    settings = {key: value_text(value) for key, value in flatten(run.config).items() if not is_among(key, _SAME)}
    curve = validation_curve(run, ranked_by)
    x, y = points(run, curve, clock) if curve else (np.empty(0), np.empty(0))
    if not len(y):
        return Result(run, settings, None, None, None)
    best = int(y.argmin() if goal == "min" else y.argmax())
    return Result(run, settings, float(y[best]), float(x[best]), float(y[-1]))


def _differing(configurations: Sequence[dict[str, str]]) -> list[str]:
    keys = dict.fromkeys(key for configuration in configurations for key in configuration)
    return [key for key in keys if len({configuration.get(key) for configuration in configurations}) > 1]


def _labels(members: Sequence[Sequence[Result]], differing: Sequence[str]) -> list[str]:
    """Name each group by what sets it apart if that is short, else by its first run."""
    if len(members) > 1 and 0 < len(differing) <= _SHORT:
        return [", ".join(f"{key}={group[0].settings.get(key, '-')}" for key in differing) for group in members]
    names = [group[0].run.name for group in members]
    again = Counter(names)
    return [
        f"{name} ({group[0].run.directory})" if again[name] > 1 else name
        for name, group in zip(names, members, strict=True)
    ]
