"""Checks of a policy that learns by policy gradients: does it explore, move, and have a critic worth the name?"""

from __future__ import annotations

import numpy as np

from f1rl.health.evidence import Evidence
from f1rl.health.finding import Finding, Severity, fine
from f1rl.health.learning import FEWEST

_NEWEST = 50  # records that a median is taken over
_NARROW = -3.0  # nats per dimension: a normal distribution with a standard deviation of 0.012
_FALL = 3.0  # nats per dimension


def entropy(evidence: Evidence) -> Finding | None:
    """Look whether the policy's distribution has become a point. Entropy is a rate per real action dimension."""
    values = evidence.series("entropy")
    if len(values) < FEWEST:
        return None
    now, start = _median(values[-_NEWEST:]), _median(values[:10])
    words = f"entropy {now:.3g} nats per dimension, {start:.3g} at the start"
    if now < _NARROW or start - now > _FALL:
        advice = "raise the weight of the entropy, lower phase.learning_rate, or widen the initial distribution"
        return Finding("entropy", Severity.SERIOUS, f"{words}: the policy hardly explores any more", advice)
    return fine("entropy", words)


def update_size(evidence: Evidence) -> Finding | None:
    """Look whether updates are too large (KL, clipping) or change nothing."""
    kl, clipped = evidence.series("approx_kl"), evidence.series("clip_fraction")
    if len(kl) < FEWEST:
        return None
    size, share = _median(np.abs(kl[-_NEWEST:])), _median(clipped[-_NEWEST:])
    words = f"approximate KL {size:.2g} per update, {share:.0%} of the ratios clipped"
    if size > 0.1 or share > 0.5:
        severity = Severity.SERIOUS if size > 0.5 else Severity.MINOR
        return Finding(
            "kl",
            severity,
            f"{words}: updates are too large",
            "lower phase.learning_rate, or stop the epochs of a batch at a smaller KL",
        )
    if size < 1e-6 and share == 0:
        advice = "raise phase.learning_rate; check that the policy's parameters are trained and advantages are not zero"
        return Finding("frozen_policy", Severity.SERIOUS, f"{words}: the policy does not change", advice)
    return fine("kl", words)


def critic(evidence: Evidence) -> Finding | None:
    """Look whether the value function explains the returns better than their mean would."""
    values = evidence.series("explained_variance")
    if len(values) < _NEWEST:
        return None
    now = _median(values[-_NEWEST:])
    words = f"explained variance {now:.2g}"
    advice = "raise the weight of the value loss or the epochs per batch; check the scale of the rewards"
    if now < -0.1:
        return Finding("explained_variance", Severity.SERIOUS, f"{words}: worse than a constant", advice)
    if now < 0.05:
        return Finding("explained_variance", Severity.MINOR, f"{words}: no better than a constant", advice)
    return fine("explained_variance", words)


def reward(evidence: Evidence) -> Finding | None:
    """Look whether a learning policy's reward has fallen far below its best."""
    values = evidence.series("reward")
    if "policy_loss" not in evidence.train or len(values) < 2 * _NEWEST:
        return None
    window = max(20, len(values) // 10)
    means = np.convolve(values, np.full(window, 1 / window), mode="valid")
    start, best, now = float(means[0]), float(means.max()), float(means[-1])
    noise = float(values[-window:].std()) / window**0.5
    words = f"mean reward {now:.3g}, at best {best:.3g}"
    if best - now > max(0.5 * (best - start), 5 * noise):
        advice = "go back to the best checkpoint; lower phase.learning_rate"
        return Finding("reward", Severity.MINOR, f"{words}: it has fallen", advice)
    return fine("reward", words)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0
