"""Figures of series, against values worked out by hand or by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from f1rl.records.statistics import at_each, estimate, interval, mean_interval, reduce, rolling_mean, summarise, trend


def test_the_summary_ignores_gaps() -> None:
    summary = summarise(np.arange(6.0), np.array([3.0, np.nan, 1.0, 5.0, np.inf, 2.0]))
    assert (summary.count, summary.mean, summary.last) == (4, 2.75, 2.0)
    assert summary.variance == pytest.approx(np.var([3, 1, 5, 2], ddof=1))
    assert (summary.low, summary.low_at, summary.high, summary.high_at) == (1.0, 2.0, 5.0, 3.0)
    assert summarise(np.arange(2.0), np.full(2, np.nan)) is None


@pytest.mark.parametrize(("slope", "direction"), [(0.01, 1), (-0.01, -1), (0.0, 0)])
def test_a_trend_is_told_from_noise(slope: float, direction: int) -> None:
    x = np.arange(400.0)
    found = trend(x, slope * x + np.random.default_rng(0).normal(0, 0.1, 400))
    assert found.slope == pytest.approx(slope, abs=0.002)
    assert found.direction == direction


def test_a_trend_is_that_of_the_newest_quarter() -> None:
    x = np.arange(100.0)
    assert trend(x, np.where(x < 75, -x, x)).slope == pytest.approx(1.0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_points_have_no_trend(count: int) -> None:
    assert trend(np.arange(float(count)), np.arange(float(count))).direction == 0


def test_records_of_one_moment_become_their_mean() -> None:
    places, mean = at_each(np.array([10.0, 10.0, 30.0, 20.0]), np.array([1.0, 3.0, 5.0, 4.0]))
    assert (places.tolist(), mean.tolist()) == ([10.0, 20.0, 30.0], [2.0, 4.0, 5.0])


def test_a_reduced_curve_keeps_every_spike_in_its_band() -> None:
    y = np.zeros(10_001)
    y[7777] = 100.0
    drawing = reduce(np.arange(10_001.0), y, 500)
    assert drawing.per_point == 21
    assert len(drawing.x) <= 500
    assert drawing.high.max() == 100.0
    assert drawing.mean[7777 // 21] == pytest.approx(100 / 21)
    assert drawing.x[0] == 10.0
    np.testing.assert_array_equal(reduce(np.arange(5.0), np.arange(5.0), 500).mean, np.arange(5.0))


def test_a_rolling_mean_looks_back_only() -> None:
    assert rolling_mean(np.array([2.0, 4.0, 6.0, 8.0]), 2).tolist() == [2.0, 3.0, 5.0, 7.0]


def test_the_interval_over_seeds_is_students() -> None:
    mean, half = mean_interval(np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]]))
    assert mean.tolist() == [2.0, 2.0]
    assert half == pytest.approx([4.302653 * 1 / 3**0.5, 0.0])  # t of two degrees of freedom, from a printed table
    assert np.isnan(mean_interval(np.array([1.0]))[1])


def test_an_interval_is_students_and_one_value_has_none() -> None:
    found = interval(np.array([1.0, 2.0, 3.0, 6.0]))
    error = np.std([1, 2, 3, 6], ddof=1) / 2
    assert (found["mean"], found["stderr"]) == (3.0, pytest.approx(error))
    assert found["high"] - 3.0 == pytest.approx(3.1824463 * error) == pytest.approx(3.0 - found["low"])
    assert interval(np.array([1.0, 3.0]), total=7.0)["mean"] == 7.0
    assert np.isnan([estimate(np.array([1.0]))["stderr"], interval(np.array([1.0]))["low"]]).all()
