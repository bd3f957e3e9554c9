"""Judge an explorer on held-out seeds, against chance on the same seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from f1rl.losses.rewards import RewardScales
from f1rl.phases.decisions import Rollout
from f1rl.phases.explorer_phase import behaviour
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams
from f1rl_envs.spec import EnvSpec

RANDOM = "random_policy_"
"""Before the name of what chance did; views draw such columns as references."""

_SHOWN = ("reward", "object_displacement", "contact_rate", "voxels", "coverage", "success", "loss")


@dataclass
class HeldOutSeeds:
    """Episodes of fixed seeds that no policy trains on."""

    play: Callable[[Callable[[EpisodeStreams], Rollout]], Rollout]
    """Lets a player play them all."""
    random: Rollout
    """What chance made of them."""
    spec: EnvSpec
    """What their actions look like."""


def per_episode(rollout: Rollout, scales: RewardScales | None) -> dict[str, Tensor]:
    """Return what a policy reached in each of ``E`` episodes, ``[E]`` by name.

    ``reward`` is the scaled and weighted sum of the terms, whose own sums are ``reward_<term>``, both left out without
    ``scales``; ``loss``, ``accuracy`` and ``wm_entropy`` are the world model's on the visited frames, per token;
    ``memory_distance`` is a mean over the same frames. The rest is what the episode did to the world, its length and
    success.
    """
    columns: dict[str, Tensor] = {}
    if scales is not None:
        columns["reward"] = scales.total(rollout.terms, rollout.steps).sum(0)
        columns |= {f"reward_{name}": term.sum(0) for name, term in rollout.terms.items()}
    names = {"avg_loss": "loss", "avg_acc": "accuracy"}
    columns |= {names.get(name, name): values for name, values in rollout.measures.items()}
    rows = [
        {**behaviour(e), "length": float(len(e)), "success": float(e.episode.info.get("success", 0.0))}
        for e in rollout.episodes
    ]
    return columns | {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}


def coverage(episodes: Sequence[TokenizedEpisode]) -> tuple[int, Tensor] | None:
    """Return in how many voxels the end effectors were in any of ``E`` episodes; None if that was not measured.

    Returns:
        The number, and its jackknife pseudo-values ``float64 [E]``, whose standard error is that of the number (Efron
        and Tibshirani 1993, chapter 11): without episode ``i``, the voxels that only it reached are gone.
    """
    reached = Counter(voxel for episode in episodes for voxel in episode.visited)
    if not reached:
        return None
    alone = torch.tensor([sum(reached[v] == 1 for v in e.visited) for e in episodes], dtype=torch.float64)
    return len(reached), len(reached) + (len(episodes) - 1) * alone


def judge(rollout: Rollout, scales: RewardScales) -> dict[str, float]:
    """Return the means of :func:`per_episode` and, where it is measured, the :func:`coverage` of all episodes."""
    columns = per_episode(rollout, scales)
    metrics = {name: float(values.mean()) for name, values in columns.items()}
    metrics["reward_stderr"] = _standard_error(columns["reward"])
    covered = coverage(rollout.episodes)
    return metrics if covered is None else {**metrics, "coverage": float(covered[0])}


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
