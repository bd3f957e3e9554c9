"""How an explorer learns, as numbers: the section ``algo`` of the configuration; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Algorithm:
    """How an explorer learns from a rollout; the teacher phase has none, and reads none of it."""

    name: Literal["ppo", "grpo"]
    """ppo (a value function says what was expected) or grpo (the mean of a group of equal starts does)."""
    episodes_per_update: int
    """Episodes of a rollout, after which the explorer is updated."""
    epochs: int
    """Passes over a rollout."""
    minibatch_size: int
    """Decisions of one optimizer step."""
    clip: float
    """Furthest that the probability ratio may usefully go from 1."""
    target_kl: float | None
    """Estimated divergence in nats per decision beyond which a rollout's other updates are left out; null: none."""
    entropy_weight: float
    """Weight of the policy's entropy per real action entry."""
    gamma: float
    """Discount of a decision."""
    gae_lambda: float
    """ppo: weight of longer advantage estimates, 0 (one decision) to 1 (to the end)."""
    value_weight: float
    """ppo: weight of the value loss."""
    value_clip: float | None
    """ppo: furthest useful move of a value in one update; null does not clip."""
    num_generations: int
    """grpo: episodes of a group, which begin from the same seeds."""
    reference_weight: float
    """grpo: weight of the divergence from the first policy of the run."""
