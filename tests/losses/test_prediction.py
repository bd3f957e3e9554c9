from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812

from f1rl.losses.prediction import masked_mean, per_scale, token_statistics


def test_statistics_are_those_of_torch():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 5, 7), torch.randint(7, (2, 3, 5))
    statistics = token_statistics(logits, target)
    expected = F.cross_entropy(logits[1, 2], target[1, 2])
    torch.testing.assert_close(statistics.loss[1, 2], expected)
    torch.testing.assert_close(statistics.token_loss.mean(), F.cross_entropy(logits.flatten(0, 2), target.flatten()))
    assert statistics.accuracy[0, 0] == (logits[0, 0].argmax(-1) == target[0, 0]).float().mean()


def test_uniform_logits_cost_the_logarithm_and_gradients_flow():
    logits = torch.zeros(1, 1, 4, 16, requires_grad=True)
    statistics = token_statistics(logits, torch.ones(1, 1, 4, dtype=torch.long))
    torch.testing.assert_close(statistics.loss, torch.full((1, 1), math.log(16)))
    statistics.loss.sum().backward()
    assert logits.grad[0, 0, 0, 1] < 0 < logits.grad[0, 0, 0, 0]
    assert not statistics.accuracy.requires_grad


def test_invalid_steps_do_not_count_even_if_they_are_not_finite():
    value = torch.tensor([[1.0, 3.0, math.nan]], requires_grad=True)
    valid = torch.tensor([[True, True, False]])
    mean = masked_mean(value, valid)
    assert mean.item() == 2.0
    mean.backward()
    assert value.grad.tolist() == [[0.5, 0.5, 0.0]]
    assert masked_mean(value, torch.zeros_like(valid)).item() == 0.0


def test_per_scale_splits_coarse_to_fine():
    value = torch.tensor([7.0, 1.0, 2.0, 3.0, 4.0]).expand(2, 2, 5).clone()
    value[1, 1] = 100.0
    valid = torch.tensor([[True, True], [True, False]])
    assert per_scale(value, valid, (1, 2)) == {1: 7.0, 2: 2.5}
