"""The explorer on the features of a real (small, untrained) world model."""

from __future__ import annotations

import math

import pytest
import torch

from f1rl.models.explorer import Explorer, Situation

REAL = (True,) * 8 + (False,) * 24
KINDS = ("gaussian", "flow", "published flow")


@pytest.fixture
def situation(make_model, random_inputs) -> Situation:
    model = make_model()
    inputs = random_inputs(model, batch=5, steps=1, cameras=1)
    seen, _ = model.observe(inputs, model.initial_memory(5, "cpu"))
    return Situation.of(seen)


@pytest.fixture
def make_explorer(make_model):
    def make(kind: str, executed: int = 2, mask: tuple[bool, ...] = REAL) -> Explorer:
        torch.manual_seed(1)
        config = make_model(act__published_heads=kind.startswith("published")).config
        return Explorer(config, kind.split()[-1], mask, executed, initial_std=0.6)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_decision_has_ratio_one_under_the_same_parameters(make_explorer, situation, kind):
    explorer = make_explorer(kind)
    decision = explorer.decide(situation)
    again = explorer.log_prob(situation, decision.stored)
    assert torch.equal((again - decision.log_prob).exp(), torch.ones(5))
    rows = torch.tensor([3, 0])
    part = explorer.log_prob(situation[rows], decision.stored[rows])
    torch.testing.assert_close(part, decision.log_prob[rows], rtol=1e-5, atol=1e-5)  # another batch, other sums
    again.sum().backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() for n, p in explorer.named_parameters() if "value" not in n
    )


@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_bounded_and_the_padding_is_zero(make_explorer, situation, kind):
    decision = make_explorer(kind).decide(situation)
    assert decision.action.shape == (5, 3, 32)
    assert decision.stored.shape[-1] == 8  # what densities are computed from has no padding at all
    assert (decision.action[..., 8:] == 0).all()
    assert (decision.action[..., :8].abs() < 1).all()
    assert (decision.action[..., :8] != 0).all()


def test_a_gap_in_the_mask_stays_empty(make_explorer, situation):
    mask = tuple(i in (0, 8, 17) for i in range(32))
    explorer = make_explorer("gaussian", mask=mask)
    action = explorer.decide(situation).action
    assert (action != 0).any(0).any(0).nonzero()[:, 0].tolist() == [0, 8, 17]
    assert explorer.num_entries == 3


def test_only_what_is_executed_counts_in_a_gaussian_density(make_explorer, situation):
    explorer = make_explorer("gaussian", executed=2)
    decision = explorer.decide(situation)
    changed = decision.stored.clone()
    changed[:, :, 2] += 1.0
    assert torch.equal(explorer.log_prob(situation, changed), decision.log_prob)
    changed[:, :, 1] += 1.0
    assert (explorer.log_prob(situation, changed) != decision.log_prob).all()


def test_the_entropy_at_the_start_is_that_of_the_noise_it_begins_with(make_explorer, situation):
    explorer = make_explorer("gaussian")
    normal = math.log(0.6) + 0.5 * math.log(2 * math.pi * math.e)
    _, entropy = explorer.density(situation, explorer.decide(situation).stored)
    assert entropy.shape == (5,)
    assert (entropy < normal).all()  # squashing can only take away
    assert (entropy > normal - 1.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_sample_and_determinism_needs_none(make_explorer, situation, kind):
    explorer = make_explorer(kind)
    first, second, other = (
        explorer.decide(situation, generator=torch.Generator().manual_seed(seed)).action for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    sure = [explorer.decide(situation, deterministic=True) for _ in range(2)]
    assert torch.equal(sure[0].action, sure[1].action)
    assert sure[0].log_prob.isfinite().all()
    assert sure[0].action.abs().mean() < first.abs().mean()


def test_the_world_model_gets_no_gradient(make_model, random_inputs, make_explorer):
    model = make_model()
    inputs = random_inputs(model, batch=2, steps=1, cameras=1)
    seen, _ = model.observe(inputs, model.initial_memory(2, "cpu"))
    situation, explorer = Situation.of(seen), make_explorer("gaussian")
    loss = explorer.log_prob(situation, explorer.decide(situation).stored).sum() + explorer.value(situation).sum()
    loss.backward()
    assert all(p.grad is None for p in model.parameters())
    assert explorer.value_head[-1].weight.grad.abs().sum() > 0


def test_the_decision_depends_on_pictures_memory_and_state(make_explorer, situation):
    explorer = make_explorer("gaussian")
    torch.nn.init.normal_(explorer.mean.weight)
    mean = explorer.decide(situation, deterministic=True).stored
    for name in ("state", "recalled"):
        changed = situation[torch.arange(5)]
        setattr(changed, name, getattr(changed, name) + 1.0)
        assert (explorer.decide(changed, deterministic=True).stored != mean).any()
    other = situation[torch.tensor([1, 0, 2, 3, 4])]
    blind = Situation(other.cache, situation.pooled, situation.state, situation.recalled)
    assert (explorer.decide(blind, deterministic=True).stored[:2] != mean[:2]).any()


def test_situations_join_and_part(situation):
    both = Situation.concatenate([situation, situation])
    assert torch.equal(both.state, torch.cat([situation.state, situation.state]))
    assert torch.equal(both[torch.arange(5, 10)].cache[1][1], situation.cache[1][1])


def test_impossible_explorers_are_refused(make_explorer):
    with pytest.raises(ValueError, match=r"executed is 4; it must lie between 1 and model\.act\.chunk = 3"):
        make_explorer("gaussian", executed=4)
    with pytest.raises(ValueError, match="no real entry"):
        make_explorer("gaussian", mask=(False,) * 32)
