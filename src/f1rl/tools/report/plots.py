"""Curves as pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from f1rl.records.metrics import Curve, Panel, panels, points
from f1rl.records.reader import RunRecords
from f1rl.records.statistics import at_each, reduce

_POINTS = 500
_GREYS = ("0.45", "0.65", "0.8")


def write_plots(run: RunRecords, folder: Path, clock: str | None) -> list[Path]:
    """Draw every panel of ``run`` over ``clock`` as ``folder/{key}_curve.png``; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for panel in panels(run):
        files.append(folder / f"{panel.key.replace('/', '_')}_curve.png")
        _figure(run, panel, clock).savefig(files[-1], dpi=120)
    return files


def _figure(run: RunRecords, panel: Panel, clock: str | None) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    groups = [_draw(axes, run, panel, curve, clock) for curve in panel.curves]
    axes.set(title=f"{panel.title}: {run.name}", xlabel=(clock or "record").replace("_", " "), ylabel=panel.title)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.curves) > 1:
        axes.legend(frameon=False)
    if max(groups) > 1:
        note = f"line: mean of {max(groups)} records each; band: their lowest to highest"
        figure.supxlabel(note, fontsize="small", color="0.4")
    return figure


def _draw(axes: Axes, run: RunRecords, panel: Panel, curve: Curve, clock: str | None) -> int:
    """Draw one curve and return how many records each of its points stands for."""
    x, y = points(run, curve, clock)
    if curve.history == "train":
        x, y = at_each(x, y)
    drawing = reduce(x, y, _POINTS)
    references = [c for c in panel.curves if c.is_reference]
    style = {"color": _GREYS[references.index(curve) % 3], "linestyle": "--"} if curve.is_reference else {}
    sparse = len(drawing.x) <= 40
    (line,) = axes.plot(drawing.x, drawing.mean, label=curve.label, marker="." if sparse else None, **style)
    low, high = drawing.low, drawing.high
    if curve.error is not None:
        _, error = points(run, Curve("", curve.history, curve.error), clock)
        if len(error) == len(y) and drawing.per_point == 1:
            low, high = y - error, y + error
    if np.any(high > low):
        axes.fill_between(drawing.x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return drawing.per_point
