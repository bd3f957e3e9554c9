"""How much better an action was than expected: from rewards to advantages.

``T`` decisions of ``N`` streams; a stream goes on with the next episode where one ends. Nothing here has a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Advantages:
    """What a policy and a value function learn from."""

    advantage: Tensor
    """``float32 [T, N]``, in units of the rewards."""
    value_target: Tensor
    """``float32 [T, N]``: what the value function should have said."""


@torch.no_grad()
def generalized_advantages(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> Advantages:
    """Return generalized advantage estimates (Schulman et al. 2016, equation 16) and lambda-returns.

    An episode that its *task* ended is worth nothing afterwards. One that the *step limit* cut is worth what the value
    function says of its last observation, which is not the next row's: that belongs to the next episode.

    Args:
        reward: ``float32 [T, N]``, of the decision and what it led to.
        value: ``float32 [T, N]``, of the observation before the decision.
        next_value: ``float32 [T, N]``, of the observation after it, of the same episode even where that ended.
        terminated: ``bool [T, N]``, the task ended the episode.
        truncated: ``bool [T, N]``, the step limit (or the end of collection) cut it.
        gamma: discount of a decision.
        gae_lambda: weight of longer estimates, 0 (one step) to 1 (to the end).

    Raises:
        ValueError: if the shapes differ.
    """
    shapes = {name: tuple(t.shape) for name, t in locals().items() if isinstance(t, Tensor)}
    if len(set(shapes.values())) != 1 or reward.ndim != 2:
        raise ValueError(f"all tensors must have one shape [T, N]; got {shapes}")
    error = reward + gamma * next_value * ~terminated - value
    carried = gamma * gae_lambda * ~(terminated | truncated)
    advantage, later = torch.empty_like(reward), torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        later = error[t] + carried[t] * later
        advantage[t] = later
    return Advantages(advantage, advantage + value)


@torch.no_grad()
def group_advantages(returns: Tensor, *, normalize_std: bool = True) -> Tensor:
    """Return each rollout's return relative to its group (GRPO; Shao et al. 2024, section 4.1.2).

    The group replaces the value function: its rollouts begin in the same state, so their mean is an estimate of it.

    Args:
        returns: ``float32 [G, K]``: ``G`` groups of ``K`` rollouts from the same reset seed.
        normalize_std: divide by the group's standard deviation; without it (Dr. GRPO; Liu et al. 2025) groups in which
            everything went alike count less than those in which it did not.

    Returns:
        ``float32 [G, K]``; zero in a group whose returns are equal.

    Raises:
        ValueError: if a group has fewer than two rollouts.
    """
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise ValueError(f"returns must be [groups, rollouts] with two rollouts or more; got {tuple(returns.shape)}")
    centred = returns - returns.mean(1, keepdim=True)
    return centred / returns.std(1, keepdim=True).clamp_min(1e-6) if normalize_std else centred


@torch.no_grad()
def normalized(advantage: Tensor, valid: Tensor) -> Tensor:
    """Return ``advantage`` with mean 0 and standard deviation 1 over ``valid`` (both ``[...]``), and 0 elsewhere.

    To be applied to a whole rollout: within a mini-batch of two, every advantage would become plus or minus 0.7.
    """
    chosen = advantage[valid]
    if chosen.numel() < 2:
        return torch.zeros_like(advantage)
    return ((advantage - chosen.mean()) / chosen.std().clamp_min(1e-6)).masked_fill(~valid, 0.0)


@torch.no_grad()
def explained_variance(prediction: Tensor, target: Tensor) -> float:
    """Return the share of the variance of ``target`` that ``prediction`` explains: 1 perfect, 0 no better than a mean.

    NaN where ``target`` does not vary.
    """
    variance = target.var()
    return float(1 - (target - prediction).var() / variance) if variance > 0 else float("nan")
