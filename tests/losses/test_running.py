from __future__ import annotations

import math

import pytest
import torch

from f1rl.losses.running import RunningStatistics


def test_batches_add_up_to_the_whole():
    torch.manual_seed(0)
    values = 1e4 + torch.randn(1000, dtype=torch.float64)
    statistics = RunningStatistics()
    for part in values.split([1, 9, 490, 0, 500]):
        statistics.update(part)
    assert statistics.count == 1000
    assert statistics.mean == pytest.approx(values.mean().item(), rel=1e-12)
    assert statistics.std == pytest.approx(values.std(correction=0).item(), rel=1e-9)


def test_it_goes_on_from_a_checkpoint():
    first, second = RunningStatistics(), RunningStatistics()
    first.update(torch.arange(5.0))
    second.load_state_dict(first.state_dict())
    for statistics in (first, second):
        statistics.update(torch.tensor([7.0]))
    assert first.state_dict() == second.state_dict()


def test_nothing_seen_scales_by_one_and_what_is_not_finite_is_refused():
    statistics = RunningStatistics()
    assert (statistics.mean, statistics.std) == (0.0, 1.0)
    statistics.update(torch.full((4,), 3.0))
    assert statistics.std == 1.0
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        statistics.update(torch.tensor([1.0, math.nan]))
    assert statistics.count == 4
