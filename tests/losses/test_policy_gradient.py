from __future__ import annotations

import math

import pytest
import torch

from f1rl.losses.policy_gradient import clipped_policy_loss, clipped_value_loss, reference_kl

ALL = torch.ones(3, dtype=torch.bool)


def test_equal_policies_give_ratio_one_and_the_plain_gradient():
    log_prob = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    advantage = torch.tensor([1.0, -2.0, 0.5])
    got = clipped_policy_loss(log_prob, log_prob.detach(), advantage, ALL, clip=0.2)
    assert (got.approx_kl, got.clip_fraction) == (0.0, 0.0)
    torch.testing.assert_close(got.loss, -advantage.mean())
    got.loss.backward()
    torch.testing.assert_close(log_prob.grad, -advantage / 3)


@pytest.mark.parametrize(("moved", "advantage", "stops"), [(0.5, 1.0, True), (0.5, -1.0, False), (-0.5, -1.0, True)])
def test_a_move_that_went_far_enough_has_no_gradient(moved, advantage, stops):
    log_prob = torch.tensor([moved], requires_grad=True)
    got = clipped_policy_loss(log_prob, torch.zeros(1), torch.tensor([advantage]), ALL[:1], clip=0.2)
    got.loss.backward()
    assert (log_prob.grad.item() == 0.0) == stops
    assert got.clip_fraction == 1.0
    assert got.approx_kl == pytest.approx(math.exp(moved) - 1 - moved)


def test_padding_changes_nothing_not_even_if_it_is_not_finite():
    log_prob = torch.tensor([0.1, -0.1, math.inf], requires_grad=True)
    valid = torch.tensor([True, True, False])
    advantage = torch.tensor([1.0, 2.0, math.nan])
    got = clipped_policy_loss(log_prob, torch.zeros(3), advantage, valid, clip=0.2)
    alone = clipped_policy_loss(log_prob[:2], torch.zeros(2), advantage[:2], ALL[:2], clip=0.2)
    assert got.loss.item() == alone.loss.item()
    assert (got.approx_kl, got.clip_fraction) == (alone.approx_kl, alone.clip_fraction)
    got.loss.backward()
    assert log_prob.grad.isfinite().all()
    value = torch.tensor([1.0, 2.0, math.inf])
    assert clipped_value_loss(value, torch.zeros(3), torch.zeros(3), valid, clip=None).item() == 1.25
    kl = reference_kl(log_prob, torch.zeros(3), valid)
    assert kl.item() == reference_kl(log_prob[:2], torch.zeros(2), ALL[:2]).item()


def test_the_value_loss_is_pessimistic_about_long_moves():
    value = torch.tensor([3.0], requires_grad=True)
    loss = clipped_value_loss(value, torch.zeros(1), torch.tensor([3.0]), ALL[:1], clip=1.0)
    assert loss.item() == 2.0  # the clipped prediction, 1, is 2 away from the target
    loss.backward()
    assert value.grad.item() == 0.0
    assert clipped_value_loss(value, torch.zeros(1), torch.tensor([3.0]), ALL[:1], clip=None).item() == 0.0


def test_the_reference_divergence_is_zero_for_equal_policies_and_positive_otherwise():
    log_prob = torch.tensor([0.0, 0.5, -0.5])
    assert reference_kl(log_prob, log_prob, ALL).item() == 0.0
    assert reference_kl(log_prob, torch.zeros(3), ALL).item() > 0.0
