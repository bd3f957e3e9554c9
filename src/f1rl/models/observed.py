"""What the world model has made of the steps that it saw, before it knows what is done next."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from f1rl.models.joint_attention import Cache


@dataclass
class PastFrames:
    """Past frames of ``N`` steps as the generation expert takes them in; the same for all views of a step."""

    tokens: Tensor
    """``float32 [N, n, width]``."""
    start: Tensor
    """Token that predicts the coarsest scale of the next frame, ``float32 [N, 1, width]``."""
    last: Tensor
    """Latent of the newest frame, pooled to every scale, ``float32 [N, L, D]``."""

    def __getitem__(self, rows: Tensor) -> PastFrames:
        """Return those of the steps ``rows``, ``int64 [M]``."""
        return PastFrames(self.tokens[rows], self.start[rows], self.last[rows])


@dataclass
class Observed:
    """What the model made of ``B`` streams and ``T`` steps before it knew the actions; ``N = B * T``."""

    cache: Cache
    """Keys and values of pictures and prompt of the ``N`` steps, and of past frames if they are ``included``."""
    pooled: Tensor
    """Mean output of the understanding expert, ``float32 [N, width]``."""
    state: Tensor
    """``float32 [N, S]``."""
    recalled: Tensor
    """Top layer of the memory after each step, ``float32 [N, hidden]``."""
    past: PastFrames
    included: bool
    """Whether the cache holds the past frames; see :meth:`F1Model.include_past`."""

    def __getitem__(self, rows: Tensor) -> Observed:
        """Return what was made of the steps ``rows``, ``int64 [M]``."""
        cache = [(key[rows], value[rows]) for key, value in self.cache]
        parts = (part[rows] for part in (self.pooled, self.state, self.recalled))
        return Observed(cache, *parts, self.past[rows], self.included)
