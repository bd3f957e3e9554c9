"""Cross-entropy and accuracy of predicted tokens, per token, per step and per scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


@dataclass
class TokenStatistics:
    """What a prediction is worth, before any mean over steps; nothing here is masked."""

    token_loss: Tensor
    """Cross-entropy in nats ``float32 [B, T, L]``, with its gradient."""
    token_hit: Tensor
    """``float32 [B, T, L]``, 1 where the likeliest token is the right one."""

    @property
    def loss(self) -> Tensor:
        """Mean cross-entropy of each step in nats per token, ``float32 [B, T]``, with its gradient."""
        return self.token_loss.mean(-1)

    @property
    def accuracy(self) -> Tensor:
        """Share of each step's tokens that are right, ``float32 [B, T]``."""
        return self.token_hit.mean(-1)


def token_statistics(logits: Tensor, target: Tensor) -> TokenStatistics:
    """Compare ``logits [B, T, L, V]`` with ``target int64 [B, T, L]``.

    The cross-entropy is computed in float32 whatever the logits are in.
    """
    loss = F.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), reduction="none").view(target.shape)
    hit = (logits.detach().argmax(-1) == target).float()
    return TokenStatistics(loss, hit)


def masked_mean(value: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of ``value [B, T]`` over the steps where ``valid bool [B, T]``; zero if there are none.

    A value at an invalid step has no influence, not even if it is not finite.
    """
    return value.masked_fill(~valid, 0.0).sum() / valid.sum().clamp_min(1)


def per_scale(value: Tensor, valid: Tensor, scales: Sequence[int]) -> dict[int, float]:
    """Return the mean of ``value [B, T, L]`` over valid steps for each scale, by the side of its token map."""
    parts = value.detach().split([side * side for side in scales], dim=-1)
    return {side: masked_mean(part.mean(-1), valid).item() for side, part in zip(scales, parts, strict=True)}
