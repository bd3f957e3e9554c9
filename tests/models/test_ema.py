from __future__ import annotations

import pytest
import torch
from torch import nn

from f1rl.models.ema import WeightMean


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    layers[0].requires_grad_(False)
    return layers


def step(layers: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in layers[1].parameters():
            parameter.fill_(value)


def test_the_mean_is_that_of_the_weights_seen():
    layers = network()
    mean = WeightMean(layers, 0.5)
    step(layers, 1.0)
    before = mean.mean["1.weight"].clone()
    mean.update()  # the first update takes in nine tenths
    torch.testing.assert_close(mean.mean["1.weight"], 0.1 * before + 0.9)
    for _ in range(40):
        mean.update()
    torch.testing.assert_close(mean.mean["1.weight"], torch.ones(2, 4))
    step(layers, 3.0)
    mean.update()  # by now it is the decay that counts
    torch.testing.assert_close(mean.mean["1.weight"], torch.full((2, 4), 2.0))


def test_only_trained_weights_have_a_mean():
    assert set(WeightMean(network(), 0.9).mean) == {"1.weight", "1.bias"}


def test_in_its_place_and_back_also_after_an_error():
    layers = network()
    mean = WeightMean(layers, 0.9)
    start = layers[1].weight.clone()
    step(layers, 7.0)

    def fail() -> None:
        with mean.in_place():
            assert torch.equal(layers[1].weight, start)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (layers[1].weight == 7.0).all()


def test_a_saved_mean_goes_on_where_it_was():
    layers, others = network(), network()
    first, second = WeightMean(layers, 0.9), WeightMean(others, 0.9)
    step(layers, 2.0)
    first.update()
    second.load_state_dict(first.state_dict())
    step(others, 2.0)
    first.update()
    second.update()
    assert torch.equal(first.mean["1.weight"], second.mean["1.weight"])
    with pytest.raises(ValueError, match=r"of other parameters: 1\.bias"):
        second.load_state_dict({"mean": {"1.weight": torch.zeros(2, 4)}, "updates": 0})
