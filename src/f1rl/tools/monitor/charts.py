"""The six charts of a run: in a window that is kept up to date, or as a picture where there is no display."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from f1rl.records.files import write_atomically
from f1rl.records.metrics import by_quantity, headline, panels, points
from f1rl.records.reader import RunRecords
from f1rl.records.statistics import finite, reduce, rolling_mean
from f1rl.records.table import MetricTable
from f1rl.tools.monitor.snapshot import Watch
from f1rl.tools.page.figures import smoothing_window

_POINTS = 500
_SPARSE = 40  # points below which each is marked


def write_charts(watch: Watch, path: Path) -> Path:
    """Draw the charts as a PNG at ``path`` and return it; a reader sees the old picture or the new one."""
    figure = Figure(figsize=(15, 8), layout="constrained")
    draw(figure, watch)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100, format="png")
    write_atomically(path, picture.getvalue())
    return path


def show_charts(watch: Watch, refresh: float) -> None:
    """Draw the charts in a window every ``refresh`` seconds until it is closed."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(15, 8), layout="constrained")
    while plt.fignum_exists(figure.number):
        watch.look()
        figure.clear()
        draw(figure, watch)
        plt.pause(refresh)


def has_window() -> bool:
    """Return whether there is a display with a toolkit that can draw on it."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    from matplotlib import pyplot as plt

    return plt.get_backend().lower() != "agg"  # what is left when no toolkit can be loaded


def draw(figure: Figure, watch: Watch) -> None:
    """Draw loss or reward, learning rate, time per episode, load of the machine, health and validation."""
    run = watch.run
    figure.suptitle(f"{run.name} ({run.status().name})", parse_math=False)
    figure.subplots(2, 3)
    main, rate, pace, load, health, validation = figure.axes
    shown = headline(run)
    _series(main, run, shown, f"Training {shown}", is_noisy=True)
    _series(rate, run, "lr", "Learning rate", is_noisy=False)
    _pace(pace, run)
    _load(load, watch)
    _health(health, run)
    _validation(validation, run, shown)
    for axis in figure.axes:
        axis.grid(visible=True, alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if not axis.lines:
            axis.text(0.5, 0.5, "nothing yet", ha="center", va="center", transform=axis.transAxes, color="0.5")


def _series(axis: Axes, run: RunRecords, key: str, title: str, *, is_noisy: bool) -> None:
    axis.set(title=title, xlabel="episode")
    column = by_quantity(run.train).get(key)
    if column is not None:
        _line(axis, _clock(run.train), run.train.column(column), is_noisy=is_noisy)


def _pace(axis: Axes, run: RunRecords) -> None:
    """Draw the time between records; a pause between two segments is none of it."""
    axis.set(title="Seconds per episode", xlabel="episode")
    if "timestamp" not in run.train or len(run.train) < 2:
        return
    episodes, seconds = np.diff(_clock(run.train)), np.diff(run.train.column("timestamp"))
    same = np.diff(run.train.column("segment")) == 0 if "segment" in run.train else np.full(len(seconds), True)
    keep = same & (episodes > 0)
    _line(axis, _clock(run.train)[1:][keep], seconds[keep] / episodes[keep], is_noisy=True)


def _load(axis: Axes, watch: Watch) -> None:
    title = "GPU load (%)" if watch.has_gpu else "Processor load (%), without a GPU"
    moments = np.array(watch.load)
    axis.set(title=title, xlabel="seconds ago", ylim=(0, 105))
    if len(moments):
        axis.set_xlim(min(moments[0, 0] - moments[-1, 0], -60), 0)
        mark = "." if len(moments) < _SPARSE else ""
        axis.plot(moments[:, 0] - moments[-1, 0], moments[:, 1], color="#2c7a4b", marker=mark)


def _health(axis: Axes, run: RunRecords) -> None:
    axis.set(title="Health", xlabel="episode", ylim=(0, 105))
    for low, high, colour in ((90, 105, "#2c7a4b"), (70, 90, "#b0892a"), (50, 70, "#c2571a"), (0, 50, "#b3261e")):
        axis.axhspan(low, high, color=colour, alpha=0.08, linewidth=0)
    if "health.score" in run.val:
        x, y = finite(_clock(run.val), run.val.column("health.score"))
        axis.plot(x, y, color="#1f2328", marker=".")


def _validation(axis: Axes, run: RunRecords, shown: str) -> None:
    axis.set(title=f"Validation {shown}", xlabel="episode")
    panel = next((panel for panel in panels(run) if panel.key == shown), None)
    for curve in panel.curves if panel else ():
        if curve.history == "val":
            x, y = points(run, curve, "episode" if "episode" in run.val else None)
            style = "--" if curve.is_reference else "-"
            axis.plot(x, y, label=curve.label, linestyle=style, marker="." if len(x) < _SPARSE else "")
    if axis.lines:
        axis.legend(frameon=False)


def _line(axis: Axes, x: np.ndarray, y: np.ndarray, *, is_noisy: bool) -> None:
    """Draw a series; a noisy one faintly, under its rolling mean."""
    if not np.isfinite(y).any():
        return
    drawing = reduce(x, y, _POINTS)
    axis.plot(drawing.x, drawing.mean, color="#8fa8c4" if is_noisy else "#2f6fb1", linewidth=1)
    if is_noisy:
        mean = rolling_mean(drawing.mean, smoothing_window(len(drawing.mean)))
        axis.plot(drawing.x, mean, color="#2f6fb1", linewidth=2)


def _clock(table: MetricTable) -> np.ndarray:
    """Return the episode of each record; steps, or a count, where there is none."""
    name = next((name for name in ("episode", "step") if name in table), None)
    return table.column(name) if name else np.arange(1.0, len(table) + 1)
