"""What a world model has to beat: predictors that know token frequencies and the last frame, but no action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SMOOTHING = 1.0
"""Added to every count, so that a token never seen before has a finite cross-entropy."""
_EM_STEPS = 30
"""The mixture weight has settled to four digits long before."""
_RESERVOIR = 200
"""Episodes whose frame pairs are kept to fit the mixture weight; counting goes on after them."""


class BaselineStatistics:
    """Accumulates training episodes and evaluates two predictors of the next frame's tokens on others.

    *Unigram*: the frequency of each token within its scale. *Copy-last*: the token at the same place of the last
    frame with probability 1 - e, else the unigram; e is the likeliest for each scale on training episodes.

    Args:
        scales: sides of the token maps, coarse to fine.
        codebook_size: codes ``V``.
    """

    def __init__(self, scales: Sequence[int], codebook_size: int) -> None:
        self.scales, self.codebook_size = tuple(scales), codebook_size
        self.counts = torch.zeros(len(self.scales), codebook_size, dtype=torch.int64)
        """How often each token occurred in each scale."""
        self.kept: list[Tensor] = []
        """Tokens ``int16 [N + 1, L]`` (``int32`` where V needs it) of the first episodes."""

    def add(self, tokens: np.ndarray | Tensor) -> None:
        """Count one training episode's frames, integers ``[N + 1, L]``.

        Raises:
            ValueError: if the shape or a token does not fit the scales and codes.
        """
        frames = torch.as_tensor(np.asarray(tokens)).long()
        length = sum(side * side for side in self.scales)
        if frames.ndim != 2 or frames.shape[1] != length:
            raise ValueError(f"an episode's tokens must be [N + 1, {length}], got {list(frames.shape)}")
        if len(frames) and not 0 <= int(frames.min()) <= int(frames.max()) < self.codebook_size:
            raise ValueError(f"tokens must lie in [0, {self.codebook_size}), got {frames.min()} to {frames.max()}")
        for index, part in enumerate(self._split(frames)):
            self.counts[index] += torch.bincount(part.flatten(), minlength=self.codebook_size)
        if len(self.kept) < _RESERVOIR:
            self.kept.append(frames.to(torch.int16 if self.codebook_size <= 2**15 else torch.int32))

    def evaluate(self, last: Tensor, target: Tensor) -> dict[str, float]:
        """Score both predictors on held-out frame pairs.

        Args:
            last: ``int64 [M, L]``, tokens of the frames before.
            target: ``int64 [M, L]``, tokens to predict.

        Returns:
            Means over tokens: ``unigram_loss``, ``unigram_accuracy``, ``copy_last_loss``, ``copy_last_accuracy`` (nats
            per token, shares), the losses also per scale as ``..._scale_{side}``.
        """
        unigram = self.unigram()
        mixture = self.copy_weights(unigram)
        rows: dict[str, list[Tensor]] = {"unigram": [], "copy_last": []}
        hits: dict[str, list[Tensor]] = {"unigram": [], "copy_last": []}
        for index, (old, new) in enumerate(zip(self._split(last), self._split(target), strict=True)):
            chance, copied = unigram[index][new], old == new
            rows["unigram"].append(-chance.log())
            rows["copy_last"].append(-(mixture[index] * chance + (1 - mixture[index]) * copied).log())
            hits["unigram"].append(new == unigram[index].argmax())
            hits["copy_last"].append(copied)
        metrics = {}
        for name in rows:
            metrics[f"{name}_loss"] = torch.cat(rows[name], dim=1).mean().item()
            metrics[f"{name}_accuracy"] = torch.cat(hits[name], dim=1).float().mean().item()
            for side, row in zip(self.scales, rows[name], strict=True):
                metrics[f"{name}_loss_scale_{side}"] = row.mean().item()
        return metrics

    def unigram(self) -> Tensor:
        """Return the smoothed probability ``float64 [K, V]`` of every token within its scale."""
        counts = self.counts.double() + _SMOOTHING
        return counts / counts.sum(1, keepdim=True)

    def copy_weights(self, unigram: Tensor) -> list[float]:
        """Return for each scale the weight e of the unigram beside the copied token that training pairs make likeliest.

        Fitted by expectation maximisation (Dempster et al. 1977): e becomes the mean probability that the unigram, not
        the copy, produced a token. Without training pairs, the copy gets no credit: e is 1.
        """
        if not self.kept:
            return [1.0] * len(self.scales)
        old = torch.cat([frames[:-1] for frames in self.kept]).long()
        new = torch.cat([frames[1:] for frames in self.kept]).long()
        weights = []
        for index, (before, after) in enumerate(zip(self._split(old), self._split(new), strict=True)):
            chance, copied = unigram[index][after], (before == after).double()
            weight = 0.5
            for _ in range(_EM_STEPS):
                weight = (weight * chance / (weight * chance + (1 - weight) * copied)).mean().item()
            weights.append(max(weight, 1e-6))
        return weights

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics as plain tensors, for a checkpoint."""
        return {"counts": self.counts.clone(), "kept": list(self.kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ValueError: if the statistics belong to another tokenizer.
        """
        if state["counts"].shape != self.counts.shape:
            raise ValueError(
                f"the baselines count {list(state['counts'].shape)} scales x codes, the tokenizer has "
                f"{list(self.counts.shape)}: the checkpoint belongs to another model.tokenizer"
            )
        self.counts, self.kept = state["counts"].clone(), list(state["kept"])

    def _split(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return tokens.split([side * side for side in self.scales], dim=-1)
