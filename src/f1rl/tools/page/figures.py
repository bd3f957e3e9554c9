"""Curves as data for the page's script, which draws them with Plotly in the colours of the reader's theme."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from f1rl.records.statistics import Drawing, at_each, reduce, rolling_mean

POINTS = 500
"""Points of a curve at most; more cannot be told apart on a screen."""
_SMOOTHING = 15  # a rolling mean spans a fifteenth of a noisy curve
_SMOOTH = 0.03  # mean step between neighbours, as a share of the range, below which a curve is not noisy
_SPARSE = 40  # points below which each is marked


@dataclass(frozen=True)
class Trace:
    """A line, with a band around it or faint points behind it."""

    name: str
    x: np.ndarray
    y: np.ndarray
    role: str
    """Colour: ``train``, ``val``, ``reference`` or a number counted from 0."""
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    faint: tuple[np.ndarray, np.ndarray] | None = None
    """Every record, where ``y`` is their rolling mean."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values; the name as Plotly wants it, which reads labels as HTML."""
        made: dict[str, Any] = {"name": html.escape(self.name), "role": self.role, "marked": len(self.x) <= _SPARSE}
        made |= {"x": _rounded(self.x), "y": _rounded(self.y)}
        if self.low is not None and self.high is not None and np.any(self.high > self.low):
            made |= {"low": _rounded(self.low), "high": _rounded(self.high)}
        if self.faint is not None:
            made["faint"] = {"x": _rounded(self.faint[0]), "y": _rounded(self.faint[1])}
        return made


@dataclass(frozen=True)
class Figure:
    """Curves in one pair of axes."""

    key: str
    """Identifier of the element that it is drawn in."""
    title: str
    x_title: str
    traces: tuple[Trace, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        traces = [trace.as_json() for trace in self.traces]
        return {"key": self.key, "xTitle": html.escape(self.x_title), "traces": traces}


def noisy_trace(name: str, x: np.ndarray, y: np.ndarray, role: str) -> Trace:
    """Return a trace of many noisy records: their means with lowest and highest, or a rolling mean over them all."""
    drawing = reduce(x, y, POINTS)
    if drawing.per_point > 1:
        return Trace(name, drawing.x, drawing.mean, role, drawing.low, drawing.high)
    places, mean = at_each(x, y)
    faint = (x, y) if len(places) < len(x) else None
    if len(mean) > _SPARSE and np.abs(np.diff(mean)).mean() >= _SMOOTH * np.ptp(mean):
        mean, faint = rolling_mean(mean, smoothing_window(len(mean))), (x, y)
    return Trace(name, places, mean, role, faint=faint)


def plain_trace(name: str, x: np.ndarray, y: np.ndarray, role: str, error: np.ndarray | None = None) -> Trace:
    """Return a trace of few values that are drawn as they are, with a standard error around them if there is one."""
    if error is not None and len(error) == len(y) <= POINTS:
        return Trace(name, x, y, role, y - error, y + error)
    drawing: Drawing = reduce(x, y, POINTS)
    return Trace(name, drawing.x, drawing.mean, role, drawing.low, drawing.high)


def smoothing_window(count: int) -> int:
    """Return how many of ``count`` records a rolling mean spans."""
    return max(2, count // _SMOOTHING)


def drawing_note(count: int) -> str:
    """Return in words how a noisy curve of ``count`` records is drawn."""
    per_point = -(-count // POINTS)
    if per_point > 1:
        return (
            f"{count:,} training records are drawn as {-(-count // per_point)} points: each is the mean of {per_point} "
            "of them, and the band around it reaches from their lowest to their highest."
        )
    if count <= _SPARSE:
        return "Every record is drawn; those of one moment faintly, under their mean."
    return (
        "A faint line is every record of training, the strong one over it their rolling mean over a fifteenth of "
        "the curve; records of one moment count as their mean."
    )


def _rounded(values: np.ndarray) -> list[float]:
    """Return six significant digits, which no screen can tell from the whole number, in a third of the space."""
    return [float(f"{value:.6g}") for value in values.tolist()]
