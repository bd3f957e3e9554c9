"""Statistics of features, per episode and of a whole dataset, as readers of the format use them to normalise."""

from __future__ import annotations

from typing import Any

import numpy as np

_SAMPLED_FRAMES = 16
"""Pictures of an episode and camera that are counted; neighbours say nearly the same."""

Statistics = dict[str, list[Any]]
"""``min``, ``max``, ``mean``, ``std`` and ``count``, each nested lists as JSON has them."""


def vector_statistics(values: np.ndarray) -> Statistics:
    """Return the statistics of ``[N]`` or ``[N, D]`` over ``N``, each ``[1]`` or ``[D]``."""
    return _statistics(values.reshape(len(values), -1).astype(np.float64))


def picture_statistics(frames: np.ndarray) -> Statistics:
    """Return the statistics per colour of ``uint8 [N, 3, H, W]``, scaled to [0, 1], each ``[3, 1, 1]``."""
    some = frames[:: -(-len(frames) // _SAMPLED_FRAMES)]
    pixels = some.transpose(0, 2, 3, 1).reshape(-1, 3)
    found = _statistics(pixels.astype(np.float64) / 255)
    return {key: [len(some)] if key == "count" else [[[value]] for value in values] for key, values in found.items()}


def _statistics(values: np.ndarray) -> Statistics:
    return {
        "min": values.min(0).tolist(),
        "max": values.max(0).tolist(),
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "count": [len(values)],
    }


def merged(before: dict[str, Statistics] | None, new: dict[str, Statistics]) -> dict[str, Statistics]:
    """Return the statistics of both sets together, feature by feature."""
    return {name: _merge(before[name], one) for name, one in new.items()} if before else new


def _merge(a: Statistics, b: Statistics) -> Statistics:
    """Join two sets by their counts; the variance gains what the means differ by (parallel variance, Chan et al.)."""
    one, two = ({key: np.array(value, np.float64) for key, value in each.items()} for each in (a, b))
    count = one["count"] + two["count"]
    share = two["count"] / count
    difference = two["mean"] - one["mean"]
    variance = (1 - share) * one["std"] ** 2 + share * two["std"] ** 2 + share * (1 - share) * difference**2
    return {
        "min": np.minimum(one["min"], two["min"]).tolist(),
        "max": np.maximum(one["max"], two["max"]).tolist(),
        "mean": (one["mean"] + share * difference).tolist(),
        "std": np.sqrt(variance).tolist(),
        "count": count.astype(int).tolist(),
    }
