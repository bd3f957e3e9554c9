"""Losses that make good actions likelier, and what to watch while they do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from f1rl.losses.prediction import masked_mean


@dataclass(frozen=True)
class PolicyLoss:
    """A policy's loss, and how far it moved from the policy that acted."""

    loss: Tensor
    """Scalar with gradient."""
    approx_kl: float
    """Estimated divergence of the old policy from the new in nats per decision (Schulman 2020, estimator k3)."""
    clip_fraction: float
    """Share of decisions whose probability ratio left the clipping range."""


def clipped_policy_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, valid: Tensor, *, clip: float
) -> PolicyLoss:
    """Return the clipped surrogate of PPO (Schulman et al. 2017, equation 7), which GRPO shares.

    Args:
        log_prob: of the stored actions under the policy that learns, ``float32 [...]``, with gradient.
        old_log_prob: of the same actions when they were taken, same shape; stored, never computed again.
        advantage: same shape.
        valid: ``bool``, same shape; false for padding, which counts nowhere.
        clip: furthest that the probability ratio may usefully go from 1.
    """
    # Padding gets ratio 1 before the exponential: an infinity there would spoil the gradient of the whole batch.
    log_ratio = (log_prob - old_log_prob).masked_fill(~valid, 0.0)
    ratio = log_ratio.exp()
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    with torch.no_grad():
        kl = masked_mean(ratio - 1 - log_ratio, valid)
        clipped = masked_mean(((ratio - 1).abs() > clip).float(), valid)
    return PolicyLoss(-masked_mean(surrogate, valid), kl.item(), clipped.item())


def clipped_value_loss(
    value: Tensor, old_value: Tensor, target: Tensor, valid: Tensor, *, clip: float | None
) -> Tensor:
    """Return half the mean squared error of ``value``, pessimistic about moves beyond ``clip``.

    Args:
        value: of the value function that learns, ``float32 [...]``, with gradient.
        old_value: what it said when the action was taken, same shape.
        target: same shape.
        valid: ``bool``, same shape.
        clip: furthest useful move from ``old_value``, in units of the (scaled) returns; None does not clip.
    """
    error = (value - target).square()
    if clip is not None:
        near = old_value + (value - old_value).clamp(-clip, clip)
        error = torch.maximum(error, (near - target).square())
    return 0.5 * masked_mean(error, valid)


def reference_kl(log_prob: Tensor, reference_log_prob: Tensor, valid: Tensor) -> Tensor:
    """Return the estimated divergence from a reference policy in nats per decision, with gradient.

    The estimator of GRPO (Shao et al. 2024, equation 4): unbiased, never negative.

    Args:
        log_prob: of the stored actions under the policy that learns, ``float32 [...]``, with gradient.
        reference_log_prob: of the same actions under the reference, same shape.
        valid: ``bool``, same shape.
    """
    log_ratio = (reference_log_prob - log_prob).masked_fill(~valid, 0.0)
    return masked_mean(log_ratio.exp() - 1 - log_ratio, valid)
