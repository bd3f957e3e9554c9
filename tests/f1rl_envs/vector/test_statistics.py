"""Statistics of episodes on both kinds of arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from f1rl_envs.vector.statistics import EpisodeStatistics

KINDS = {
    "numpy": (lambda dtype: np.zeros(2, dtype), np.array),
    "torch": (lambda dtype: torch.zeros(2, dtype=getattr(torch, dtype)), torch.tensor),
}


@pytest.mark.parametrize("kind", KINDS)
def test_returns_lengths_means_and_last_values(kind):
    zeros, array = KINDS[kind]
    statistics = EpisodeStatistics(zeros)
    statistics.begin([0, 1])
    statistics.add(array([1.0, 2.0]), {"contacts": array([1.0, 0.0])})
    first = statistics.results()
    statistics.begin([1])
    statistics.add(array([0.5, 4.0]), {"contacts": array([3.0, 5.0])})
    results = {name: values.tolist() for name, values in statistics.results().items()}
    assert results == {
        "return": [1.5, 4.0],
        "length": [2, 1],
        "contacts": [3.0, 5.0],
        "contacts_mean": [2.0, 5.0],
    }
    assert first["return"].tolist() == [1.0, 2.0], "what was returned does not change"


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_that_is_not_always_there_has_no_mean(kind):
    zeros, array = KINDS[kind]
    statistics = EpisodeStatistics(zeros)
    statistics.begin([0, 1])
    statistics.add(array([0.0, 0.0]), {"sometimes": array([1.0, 1.0])})
    statistics.add(array([0.0, 0.0]), {"late": array([1.0, 1.0])})
    statistics.begin([1])
    statistics.add(array([0.0, 0.0]), {"sometimes": array([1.0, 1.0]), "late": array([1.0, 3.0])})
    results = statistics.results()
    assert [math.isnan(results[f"{name}_mean"][0]) for name in ("sometimes", "late")] == [True, True]
    assert [float(results[f"{name}_mean"][1]) for name in ("sometimes", "late")] == [1.0, 3.0]
