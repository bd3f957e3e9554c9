"""Judge an explorer on held-out seeds, against chance on the same seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from f1rl.losses.rewards import RewardScales
from f1rl.phases.decisions import Rollout
from f1rl.phases.explorer_phase import mean_behaviour
from f1rl.rollout.streams import EpisodeStreams
from f1rl_envs.spec import EnvSpec

RANDOM = "random_policy_"
"""Before the name of what chance did; views draw such columns as references."""

_SHOWN = ("reward", "object_displacement", "contact_rate", "voxels", "success", "loss")


@dataclass
class HeldOutSeeds:
    """Episodes of fixed seeds that no policy trains on."""

    play: Callable[[Callable[[EpisodeStreams], Rollout]], Rollout]
    """Lets a player play them all."""
    random: Rollout
    """What chance made of them."""
    spec: EnvSpec
    """What their actions look like."""


def judge(rollout: Rollout, scales: RewardScales) -> dict[str, float]:
    """Return what a policy reached: means over the episodes of ``rollout``.

    ``reward`` is the scaled and weighted sum of the terms, whose own sums are ``reward_<term>``; ``loss``, ``accuracy``
    and ``wm_entropy`` are the world model's on the visited frames, per token.
    """
    reward = scales.total(rollout.terms, rollout.steps).sum(0)
    metrics = {"reward": float(reward.mean()), "reward_stderr": _standard_error(reward)}
    metrics |= {f"reward_{name}": float(term.sum(0).mean()) for name, term in rollout.terms.items()}
    names = {"avg_loss": "loss", "avg_acc": "accuracy"}
    metrics |= {names.get(name, name): float(values.mean()) for name, values in rollout.measures.items()}
    return metrics | mean_behaviour(rollout.episodes)


def compare(explorer: Rollout, random: Rollout, scales: RewardScales) -> dict[str, float]:
    """Return :func:`judge` of an explorer, and of chance under names that begin with :data:`RANDOM`."""
    reference = {f"{RANDOM}{name}": value for name, value in judge(random, scales).items()}
    return judge(explorer, scales) | reference


def headline(metrics: dict[str, float]) -> str:
    """Return a comparison in one line."""
    pairs = [(name, metrics[name], metrics[RANDOM + name]) for name in _SHOWN if name in metrics]
    return ", ".join(f"{name} {own:.3f} (random {other:.3f})" for name, own, other in pairs)


def _standard_error(values: Tensor) -> float:
    return float(values.std() / np.sqrt(len(values))) if len(values) > 1 else float("nan")
