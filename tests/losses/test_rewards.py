from __future__ import annotations

import math

import pytest
import torch

from f1rl.losses.rewards import (
    Recollection,
    RewardScales,
    disagreement,
    memory_distance,
    memory_reward,
    origin,
    prediction_entropy,
)


def test_distance_is_per_dimension_so_that_the_size_of_the_memory_does_not_matter():
    for hidden in (4, 400):
        student, teacher = torch.zeros(2, 3, hidden), torch.full((2, 3, hidden), 0.5)
        got = memory_distance(Recollection(student, "a"), Recollection(teacher, "a"))
        torch.testing.assert_close(got, torch.full((3,), 0.5))


def test_unrelated_memories_are_refused_instead_of_compared():
    """The predecessor compared two networks that had nothing in common, and paid for the constant it measured."""
    torch.manual_seed(0)
    one, other = torch.nn.GRU(3, 4), torch.nn.GRU(3, 4)
    state = torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="come from different networks"):
        memory_distance(Recollection(state, origin(one)), Recollection(state, origin(other)))
    assert origin(one) == origin(one)
    half = torch.nn.GRU(3, 4, dtype=torch.bfloat16)  # as frozen experts may be kept
    assert origin(half) != origin(one)
    with pytest.raises(ValueError, match="shapes differ"):
        memory_distance(Recollection(state, "a"), Recollection(state[:, :1], "a"))


def test_the_default_sign_pays_for_catching_up():
    before, after = torch.tensor([0.5, 0.2]), torch.tensor([0.2, 0.5])
    assert (memory_reward(before, after, "convergence") > 0).tolist() == [True, False]
    assert torch.equal(memory_reward(before, after, "divergence"), -memory_reward(before, after, "convergence"))


def test_entropy_ranges_from_certain_to_uniform():
    logits = torch.zeros(2, 3, 8)
    logits[1, :, 0] = 100.0
    torch.testing.assert_close(prediction_entropy(logits), torch.tensor([math.log(8), 0.0]), rtol=0, atol=1e-5)


def test_disagreement_is_not_fooled_by_noise():
    certain = torch.full((2, 1, 1, 4), -50.0)
    certain[0, ..., 0] = certain[1, ..., 1] = 50.0
    torch.testing.assert_close(disagreement(certain), torch.tensor([math.log(2)]))
    noise = torch.zeros(2, 1, 1, 4)
    assert prediction_entropy(noise[0]).item() > 1.0
    assert disagreement(noise).abs().item() < 1e-6


def test_terms_of_unlike_size_weigh_alike():
    torch.manual_seed(0)
    scales = RewardScales({"memory": 1.0, "uncertainty": 0.0})
    small, steps = 1e-4 * torch.randn(1000), torch.ones(1000)
    terms = {"memory": small, "uncertainty": 100 * torch.randn(1000)}
    scales.update(terms, steps)
    total = scales.total(terms, steps)
    assert total.std().item() == pytest.approx(1.0, rel=1e-3)
    torch.testing.assert_close(total / total.std(), small / small.std())


def test_padding_earns_nothing_and_is_not_counted():
    scales = RewardScales({"memory": 2.0})
    terms = {"memory": torch.tensor([1.0, 3.0, math.nan])}
    scales.update(terms, torch.tensor([1.0, 1.0, 0.0]))
    assert scales.total(terms, torch.tensor([1.0, 1.0, 0.0])).tolist() == [2.0, 6.0, 0.0]
    with pytest.raises(ValueError, match="not those of the weights"):
        scales.total({"memori": terms["memory"]}, torch.ones(3))
    with pytest.raises(ValueError, match="not finite"):
        scales.update(terms, torch.ones(3))


def test_what_is_usual_is_not_paid_for():
    """A term that is never negative pays above its mean per step, however many steps a decision lasted."""
    scales = RewardScales({"uncertainty": 1.0}, centred=("uncertainty",))
    terms, steps = {"uncertainty": torch.tensor([6.0, 2.0, 1.0])}, torch.tensor([2.0, 1.0, 0.0])
    scales.update(terms, steps)
    assert scales.usual("uncertainty") == pytest.approx(8 / 3)
    total = scales.total(terms, steps)
    assert total[0] == pytest.approx((6 - 16 / 3) / 2)  # the standard deviation of 6 and 2
    assert total.sum() == pytest.approx(0.0, abs=1e-6)
    assert total[2] == 0.0


def test_looking_at_an_evaluation_changes_no_scale():
    scales, steps = RewardScales({"a": 1.0}), torch.ones(4)
    scales.update({"a": torch.arange(4.0)}, steps)
    before = scales.state_dict()
    scales.total({"a": 100 * torch.arange(4.0)}, steps)
    assert scales.state_dict() == before


def test_scales_go_on_from_a_checkpoint():
    first, second = (RewardScales({"a": 1.0}, centred=("a",)) for _ in range(2))
    steps, later = torch.ones(4), {"a": torch.tensor([5.0, 1.0, 2.0, 8.0])}
    first.update({"a": torch.arange(4.0)}, steps)
    second.load_state_dict(first.state_dict())
    for scales in (first, second):
        scales.update(later, steps)
    assert torch.equal(first.total(later, steps), second.total(later, steps))
