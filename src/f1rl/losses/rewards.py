"""What an explorer is paid for. Every term is about what an action *led to*; none can be computed before.

``N`` streams, ``L`` tokens of a frame, ``V`` codes. Nothing here has a gradient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from f1rl.losses.running import RunningStatistics

MemorySign = Literal["convergence", "divergence"]


@dataclass(frozen=True)
class Recollection:
    """A memory state, and which network remembers it."""

    state: Tensor
    """``float32 [layers, N, hidden]``."""
    origin: str
    """:func:`origin` of the recurrent network."""


def origin(network: nn.Module) -> str:
    """Return a digest of a network's weights: two states can be compared only where one network made both."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        data = tensor.detach().cpu().flatten().contiguous()
        digest.update(data.view(torch.uint8).numpy().tobytes())  # as bytes: numpy has no bfloat16
    return digest.hexdigest()


@torch.no_grad()
def memory_distance(student: Recollection, teacher: Recollection) -> Tensor:
    """Return how far the memories of ``N`` streams lie apart: root mean square per dimension, ``float32 [N]``.

    Raises:
        ValueError: if different networks made them (the axes of unrelated memories mean nothing to each other), or
            the shapes differ.
    """
    if student.origin != teacher.origin:
        raise ValueError(
            "the memories of student and teacher come from different networks "
            f"({student.origin[:8]} and {teacher.origin[:8]}), so their distance means nothing; "
            "load both from one teacher checkpoint"
        )
    if student.state.shape != teacher.state.shape:
        raise ValueError(f"memory shapes differ: {tuple(student.state.shape)} and {tuple(teacher.state.shape)}")
    return (student.state - teacher.state).square().mean(dim=(0, 2)).sqrt()


def memory_reward(before: Tensor, after: Tensor, sign: MemorySign) -> Tensor:
    """Return the change of the memory distance that an action brought, ``float32 [N]``.

    Args:
        before: distance ``d_t`` after the frame that the action was chosen from.
        after: distance ``d_{t+1}`` after the frame that it led to.
        sign: ``convergence`` pays ``d_t - d_{t+1}``: for looking where the student's memory learns what the teacher's
            head camera knows; ``divergence`` pays the opposite.
    """
    return before - after if sign == "convergence" else after - before


@torch.no_grad()
def prediction_entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the predicted tokens, nats per token ``float32 [N]``, of ``logits [N, L, V]``.

    High where the world model does not know, and also where nobody could: noise is paid for.
    """
    log_probs = logits.float().log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1).mean(-1)


@torch.no_grad()
def disagreement(logits: Tensor) -> Tensor:
    """Return what ``K`` predictions disagree about, nats per token ``float32 [N]``, of ``logits [K, N, L, V]``.

    The mutual information of prediction and predictor (Houlsby et al. 2011, equation 2): zero for noise that all of
    them expect alike.
    """
    log_probs = logits.float().log_softmax(-1)
    mean = torch.logsumexp(log_probs, dim=0) - torch.tensor(float(len(logits))).log()
    total = -(mean.exp() * mean).sum(-1)
    own = -(log_probs.exp() * log_probs).sum(-1).mean(0)
    return (total - own).mean(-1)


class RewardScales:
    """Brings terms of unlike sizes to a standard deviation of one, by running statistics of each.

    A term that is never negative, such as an uncertainty, is paid only above what is usual: a large constant would
    teach nothing, and the value function would have to learn it first.

    Args:
        weights: of the terms, by name; a term of weight 0 is recorded but not paid.
        centred: names of the terms whose running mean per step is taken off.
    """

    def __init__(self, weights: Mapping[str, float], centred: Collection[str] = ()) -> None:
        self.weights = dict(weights)
        self._statistics = {name: RunningStatistics() for name in weights}
        self._usual = {name: [0.0, 0.0] for name in weights if name in centred}  # sums of the term, and of steps

    def update(self, terms: Mapping[str, Tensor], steps: Tensor) -> None:
        """Take the terms of a rollout in.

        Args:
            terms: ``float32 [...]`` each, by name, summed over the steps that a decision lasted.
            steps: ``float32 [...]``, how many these were; 0 for padding, which is not counted.

        Raises:
            ValueError: if the names are not those of the weights, or a term is not finite.
        """
        self._require_names(terms)
        for name, term in terms.items():
            self._statistics[name].update(term[steps > 0])
            if name in self._usual:
                self._usual[name][0] += float(term[steps > 0].double().sum())
                self._usual[name][1] += float(steps.double().sum())

    def total(self, terms: Mapping[str, Tensor], steps: Tensor) -> Tensor:
        """Return the weighted sum ``float32 [...]`` of the scaled terms, 0 in the padding; see :meth:`update`."""
        self._require_names(terms)
        total = torch.zeros_like(steps)
        for name, term in terms.items():
            above = term.masked_fill(steps == 0, 0.0) - self.usual(name) * steps
            total += self.weights[name] * above / self._statistics[name].std
        return total

    def usual(self, name: str) -> float:
        """Return the running mean per step that is taken off a term; 0 for one that is not centred."""
        term, steps = self._usual.get(name, (0.0, 0.0))
        return term / steps if steps else 0.0

    def _require_names(self, terms: Mapping[str, Tensor]) -> None:
        if terms.keys() != self.weights.keys():
            raise ValueError(f"reward terms {sorted(terms)} are not those of the weights, {sorted(self.weights)}")

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics, for a checkpoint."""
        statistics = {name: statistics.state_dict() for name, statistics in self._statistics.items()}
        return {"statistics": statistics, "usual": {name: list(sums) for name, sums in self._usual.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self._usual = {name: list(sums) for name, sums in state["usual"].items()}
        for name, statistics in self._statistics.items():
            statistics.load_state_dict(state["statistics"][name])
