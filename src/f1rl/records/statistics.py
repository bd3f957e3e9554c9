"""What a series of numbers says: its summary, its trend, and an honest drawing of it. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
"""Level of every interval."""


@dataclass(frozen=True)
class Trend:
    """Straight line through the newest part of a series, by least squares."""

    slope: float
    """Change per unit of ``x``."""
    half_width: float
    """Of the slope's confidence interval (Student's t); infinite with fewer than three points."""

    @property
    def direction(self) -> int:
        """1 rising, -1 falling, 0 if the interval holds zero."""
        return 0 if abs(self.slope) <= self.half_width else (1 if self.slope > 0 else -1)


@dataclass(frozen=True)
class Summary:
    """Figures of the finite values of a series."""

    count: int
    mean: float
    variance: float
    """Of the sample (``n - 1``)."""
    low: float
    high: float
    low_at: float
    """``x`` of the lowest value."""
    high_at: float
    """``x`` of the highest value."""
    last: float
    trend: Trend
    """Of the newest quarter."""


@dataclass(frozen=True)
class Drawing:
    """A series reduced to at most so many points, each standing for equally many records."""

    x: np.ndarray
    """Mean of each group."""
    mean: np.ndarray
    low: np.ndarray
    """Lowest value of each group."""
    high: np.ndarray
    per_point: int
    """Records in a group; 1: nothing was left out."""


def finite(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points whose both numbers are finite."""
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def at_each(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different ``x`` in their order, and the mean of ``y`` at each: episodes of a batch end together."""
    places, index, counts = np.unique(x, return_inverse=True, return_counts=True)
    return places, np.bincount(index, weights=y) / counts


def trend(x: np.ndarray, y: np.ndarray) -> Trend:
    """Return the line through the newest quarter (at least the last ten) of the finite points, given by ``x``.

    Its interval takes the points as independent; a noisy series of a training run nearly is one.
    """
    x, y = finite(x, y)
    newest = max(len(x) // 4, 10)
    x, y = x[-newest:], y[-newest:]
    if len(x) < 2 or np.ptp(x) == 0:
        return Trend(0.0, float("inf"))
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    if len(x) < 3:
        return Trend(slope, float("inf"))
    residual = y - y.mean() - slope * centred
    error = (float(residual @ residual) / (len(x) - 2) / spread) ** 0.5
    return Trend(slope, t_quantile(len(x) - 2) * error)


def summarise(x: np.ndarray, y: np.ndarray) -> Summary | None:
    """Return the figures of ``y`` over ``x``; None if no value is finite."""
    x, y = finite(x, y)
    if not len(y):
        return None
    low, high = int(y.argmin()), int(y.argmax())
    return Summary(
        count=len(y),
        mean=float(y.mean()),
        variance=float(y.var(ddof=1)) if len(y) > 1 else 0.0,
        low=float(y[low]),
        high=float(y[high]),
        low_at=float(x[low]),
        high_at=float(x[high]),
        last=float(y[-1]),
        trend=trend(x, y),
    )


def reduce(x: np.ndarray, y: np.ndarray, points: int) -> Drawing:
    """Return at most ``points`` groups of equally many neighbours (the last may be smaller), with mean and range.

    No spike is lost: it stays in the range of its group.
    """
    x, y = finite(x, y)
    per_point = max(1, -(-len(x) // points))
    if per_point == 1:
        return Drawing(x, y, y, y, 1)
    starts = np.arange(0, len(x), per_point)
    sizes = np.diff(np.append(starts, len(x)))
    return Drawing(
        x=np.add.reduceat(x, starts) / sizes,
        mean=np.add.reduceat(y, starts) / sizes,
        low=np.minimum.reduceat(y, starts),
        high=np.maximum.reduceat(y, starts),
        per_point=per_point,
    )


def rolling_mean(y: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each value and the ``window - 1`` before it (fewer at the beginning)."""
    total = np.cumsum(np.insert(y, 0, 0.0))
    end = np.arange(1, len(y) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and half width of the confidence interval (Student's t) over axis 0, e.g. seeds ``[n, ...]``.

    One value has no interval: its half width is NaN.
    """
    n = len(values)
    mean = values.mean(0)
    if n < 2:
        return mean, np.full(np.shape(mean), np.nan)
    return mean, t_quantile(n - 1) * values.std(0, ddof=1) / n**0.5


def estimate(values: np.ndarray, total: float | None = None) -> dict[str, float]:
    """Return ``mean`` and ``stderr`` of values ``[n]``; of jackknife pseudo-values, ``total`` is what they estimate."""
    error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return {"mean": float(values.mean()) if total is None else total, "stderr": error}


def interval(values: np.ndarray, total: float | None = None) -> dict[str, float]:
    """Return :func:`estimate` with the ends ``low`` and ``high`` of its confidence interval (Student's t)."""
    found = estimate(values, total)
    reach = t_quantile(len(values) - 1) * found["stderr"] if len(values) > 1 else float("nan")
    return {**found, "low": found["mean"] - reach, "high": found["mean"] + reach}


def t_quantile(degrees: int) -> float:
    """Return how many standard errors the confidence interval reaches to each side."""
    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
