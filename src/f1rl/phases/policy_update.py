"""One update of an explorer from one rollout: PPO, or GRPO on groups that began alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from f1rl.losses.advantages import Advantages, explained_variance, generalized_advantages, group_advantages, normalized
from f1rl.losses.policy_gradient import clipped_policy_loss, clipped_value_loss, reference_kl
from f1rl.models.explorer import Explorer, Situation
from f1rl.phases.algorithm import Algorithm
from f1rl.phases.decisions import Rollout


@dataclass
class Lesson:
    """The ``M`` decisions of a rollout, with what each turned out to be worth."""

    situation: Situation
    stored: Tensor
    """``float32 [M, ...]``."""
    log_prob: Tensor
    """``float32 [M]``, when the decision was made."""
    value: Tensor
    """``float32 [M]``, when the decision was made."""
    advantage: Tensor
    """``float32 [M]``, mean 0 and standard deviation 1 over the rollout."""
    value_target: Tensor
    """``float32 [M]``."""

    def minibatches(self, size: int) -> Iterator[Tensor]:
        """Yield the numbers of all decisions in random order, about ``size`` at a time and never a few left over."""
        count = len(self.log_prob)
        yield from torch.randperm(count).tensor_split(max(1, round(count / size)))


@torch.no_grad()
def make_lesson(rollout: Rollout, reward: Tensor, algorithm: Algorithm) -> Lesson:
    """Return what there is to learn from ``rollout``.

    Args:
        rollout: of the explorer; for GRPO, episode ``g * num_generations + k`` is rollout ``k`` of group ``g``.
        reward: ``float32 [D, E]``, 0 in the padding.
        algorithm: which advantages.

    Raises:
        ValueError: if the episodes do not make whole groups, or those of a group did not begin alike.
    """
    valid = rollout.valid
    if algorithm.name == "grpo":
        advantage = _group_advantage(rollout, reward, algorithm)
        target = rollout.arranged(rollout.value)
    else:
        got = _ppo_advantage(rollout, reward, algorithm)
        advantage, target = got.advantage, got.value_target
    order = rollout.row[valid]
    flat = {}
    for name, values in (("advantage", normalized(advantage, valid)), ("value_target", target)):
        flat[name] = torch.empty_like(rollout.value)
        flat[name][order] = values[valid]
    return Lesson(rollout.situation, rollout.stored, rollout.log_prob, rollout.value, **flat)


def _ppo_advantage(rollout: Rollout, reward: Tensor, algorithm: Algorithm) -> Advantages:
    value = rollout.arranged(rollout.value)
    lengths = rollout.valid.sum(0)
    last = torch.zeros_like(rollout.valid)
    last[lengths - 1, torch.arange(len(lengths))] = True
    following = torch.cat([value[1:], torch.zeros_like(value[:1])])
    next_value = torch.where(last, rollout.last_value, following)
    ends = (last & rollout.terminated, last & ~rollout.terminated)
    return generalized_advantages(
        reward, value, next_value, *ends, gamma=algorithm.gamma, gae_lambda=algorithm.gae_lambda
    )


def _group_advantage(rollout: Rollout, reward: Tensor, algorithm: Algorithm) -> Tensor:
    size = algorithm.num_generations
    seeds = [(episode.episode.request.seed, episode.episode.request.scene_seed) for episode in rollout.episodes]
    groups = [seeds[i : i + size] for i in range(0, len(seeds), size)]
    if any(len(group) != size or len(set(group)) != 1 for group in groups):
        raise ValueError(
            f"{len(seeds)} episodes do not make groups of num_generations={size} that begin from the same seeds"
        )
    discount = algorithm.gamma ** torch.arange(len(reward), device=reward.device)[:, None]
    returns = (discount * reward).sum(0)
    return group_advantages(returns.view(-1, size)).flatten().expand_as(reward)


@dataclass(frozen=True)
class UpdateStep:
    """One minibatch: its loss, and what to watch."""

    loss: Tensor
    """Scalar with gradient."""
    metrics: dict[str, float]
    """``policy_loss``, ``value_loss``, ``entropy`` (nats per real entry), ``approx_kl``, ``clip_fraction``, and with a
    reference ``kl`` to it."""


def update_step(
    explorer: Explorer, lesson: Lesson, rows: Tensor, algorithm: Algorithm, reference: Explorer | None = None
) -> UpdateStep:
    """Return the loss on the decisions ``rows int64 [m]`` of ``lesson``.

    Args:
        explorer: learns.
        lesson: of its own rollout.
        rows: which decisions.
        algorithm: weights.
        reference: the first policy, for GRPO's divergence; may be None if that has no weight.
    """
    situation, stored = lesson.situation[rows], lesson.stored[rows]
    everyone = torch.ones(len(rows), dtype=torch.bool, device=stored.device)
    log_prob, entropies = explorer.density(situation, stored)
    policy = clipped_policy_loss(log_prob, lesson.log_prob[rows], lesson.advantage[rows], everyone, clip=algorithm.clip)
    entropy = entropies.mean()
    loss = policy.loss - algorithm.entropy_weight * entropy
    metrics = {"policy_loss": policy.loss.item(), "entropy": entropy.item()}
    if algorithm.name == "ppo":
        target, old = lesson.value_target[rows], lesson.value[rows]
        value_loss = clipped_value_loss(explorer.value(situation), old, target, everyone, clip=algorithm.value_clip)
        loss = loss + algorithm.value_weight * value_loss
        metrics["value_loss"] = value_loss.item()
    if reference is not None:
        with torch.no_grad():
            reference_log_prob = reference.log_prob(situation, stored)
        divergence = reference_kl(log_prob, reference_log_prob, everyone)
        loss = loss + algorithm.reference_weight * divergence
        metrics["kl"] = divergence.item()
    return UpdateStep(loss, metrics | {"approx_kl": policy.approx_kl, "clip_fraction": policy.clip_fraction})


def lesson_metrics(lesson: Lesson) -> dict[str, float]:
    """Return what to watch of a whole lesson: ``explained_variance`` of the values before the update."""
    return {"explained_variance": explained_variance(lesson.value, lesson.value_target)}
