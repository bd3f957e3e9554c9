"""The HTML page of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from f1rl.records.metrics import Curve, is_minor, panels, points
from f1rl.records.reader import RunRecords
from f1rl.records.statistics import at_each, mean_interval, reduce
from f1rl.tools.compare.comparison import Comparison, Group, best_text, rows
from f1rl.tools.page.figures import Figure, Trace
from f1rl.tools.page.render import Section, fragment, write_document
from f1rl.tools.words import number

_POINTS, _STRETCH = 200, 8  # of a curve at most, and records that a point stands for at least, where there are many
_FEW = 30  # records up to which each is drawn
_OVERLAID = 8  # groups that can be told apart in one picture


def write_page(comparison: Comparison, path: Path) -> Path:
    """Write the page and return ``path``."""
    count = sum(len(group.results) for group in comparison.groups)
    line = f"{count} runs of {len(comparison.groups)} configurations, ranked by their best validation "
    line += f"{comparison.quantity.replace('_', ' ')} ({'lower' if comparison.goal == 'min' else 'higher'} is better)"
    header = fragment("comparison_header", line=line)
    sections = [ranking(comparison), curves(comparison), differences(comparison), runs(comparison)]
    return write_document(path, "Comparison (f1rl)", header, [section for section in sections if section is not None])


def ranking(comparison: Comparison) -> Section:
    """List the configurations, the best first."""
    clock = (comparison.clock or "record").replace("_", " ")
    headings = ("#", "configuration", "runs", f"best {comparison.quantity.replace('_', ' ')}", f"best at {clock}")
    listed = []
    for place, group in enumerate(comparison.groups, 1):
        at = [result.best_at for result in group.results if result.best_at is not None]
        where = number(float(np.mean(at))) if at else ""
        listed.append([place if group.best else "", group.label, len(group.results), best_text(group), where])
    note = (
        "Runs that differ in nothing but their seed are one configuration; ± is the 95 % confidence interval of the "
        "mean over its runs (Student's t). One run has none."
    )
    body = fragment("statistics", headings=headings, rows=listed, numbers=(0, 2, 3, 4), note=note)
    return Section("ranking", "Ranking", body)


def curves(comparison: Comparison) -> Section | None:
    """Overlay the configurations' curves of every quantity."""
    shown = comparison.groups[:_OVERLAID]
    kinds = {
        (panel.key, curve.history): panel.title
        for group in shown
        for result in group.results
        for panel in panels(result.run)
        for curve in panel.curves
        if not curve.is_reference and not is_minor(panel) and curve.label in ("training", "validation")
    }
    figures = tuple(
        figure
        for (key, history), title in sorted(kinds.items(), key=lambda kind: kind[0] != (comparison.quantity, "val"))
        if (figure := _figure(comparison, shown, key, history, title)) is not None
    )
    if not figures:
        return None
    note = (
        "Of several runs, the line is their mean and the band its 95 % confidence interval (Student's t), where all of "
        f"them have values. A point of training is the mean of at least {_STRETCH} records; {_POINTS} points at most."
    )
    if len(shown) < len(comparison.groups):
        note += f" Drawn are the best {len(shown)} of {len(comparison.groups)} configurations."
    body = fragment("curves", figures=figures, constants=(), minor=(), note=note)
    return Section("curves", "Curves", body, figures)


def differences(comparison: Comparison) -> Section | None:
    """Tabulate what differs between the configurations."""
    if not comparison.differences:
        return None
    headings = ("key", *(f"#{place}" for place, _ in enumerate(comparison.groups, 1)))
    listed = [[key, *values] for key, values in comparison.differences.items()]
    note = "Of the keys that change what is learned, all others are equal."
    body = fragment("statistics", headings=headings, rows=listed, numbers=(), note=note)
    return Section("differences", "Differences", body)


def runs(comparison: Comparison) -> Section:
    """List every run."""
    listed = list(rows(comparison))
    keys = [key for key in listed[0] if key not in comparison.differences]
    cells = [
        [number(v) if isinstance(v := row[key], float) else "" if v is None else v for key in keys] for row in listed
    ]
    numeric = tuple(at for at, key in enumerate(keys) if key.startswith(("best_", "last_", "done", "rank", "seed")))
    headings = [key.replace("_", " ") for key in keys]
    return Section("runs", "Runs", fragment("statistics", headings=headings, rows=cells, numbers=numeric, note=""))


def _figure(comparison: Comparison, groups: Sequence[Group], key: str, history: str, title: str) -> Figure | None:
    traces = []
    for place, group in enumerate(groups):
        found = [
            points(result.run, curve, comparison.clock)
            for result in group.results
            if (curve := _curve(result.run, key, history)) is not None
        ]
        found = [(x, y) for x, y in found if len(y)]
        if found:
            traces.append(_trace(group.label, found, str(place)))
    if not any(len(np.unique(trace.y)) > 1 for trace in traces):
        return None
    words = "training" if history == "train" else "validation"
    clock = (comparison.clock or "record").replace("_", " ")
    return Figure(f"figure-{key}-{history}", f"{title}, {words}", clock, tuple(traces))


def _curve(run: RunRecords, key: str, history: str) -> Curve | None:
    found = (c for p in panels(run) if p.key == key for c in p.curves if c.history == history and not c.is_reference)
    return next(found, None)


def _trace(label: str, runs: Sequence[tuple[np.ndarray, np.ndarray]], role: str) -> Trace:
    """Return one run's curve, or the mean of several with its confidence interval."""
    merged = [at_each(x, y) for x, y in runs]
    drawings = [reduce(x, y, max(min(len(x) // _STRETCH, _POINTS), _FEW)) for x, y in merged]
    first = drawings[0]
    if len(drawings) == 1:
        return Trace(label, first.x, first.mean, role)
    start, end = max(d.x[0] for d in drawings), min(d.x[-1] for d in drawings)
    grid = first.x[(first.x >= start) & (first.x <= end)]
    if not len(grid):  # nothing in common
        return Trace(f"{label} (one of {len(runs)} runs)", first.x, first.mean, role)
    mean, half = mean_interval(np.array([np.interp(grid, d.x, d.mean) for d in drawings]))
    return Trace(label, grid, mean, role, mean - half, mean + half)
