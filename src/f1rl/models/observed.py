"""What the world model has made of the steps that it saw, before it knows what is done next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from f1rl.models.joint_attention import Cache


@dataclass
class PastFrames:
    """Past frames of ``N`` steps as the generation expert takes them in."""

    tokens: Tensor
    """``float32 [N, n, width]``."""
    start: Tensor
    """Token that predicts the coarsest scale of the next frame, ``float32 [N, 1, width]``."""
    last: Tensor
    """Latent of the newest frame, pooled to every scale, ``float32 [N, L, D]``."""


@dataclass
class Observed:
    """What the model made of ``B`` streams and ``T`` steps before it knew the actions; ``N = B * T``."""

    cache: Cache
    """Keys and values of pictures and prompt of the ``N`` steps, and of the past frames if they are known."""
    pooled: Tensor
    """Mean output of the understanding expert, ``float32 [N, width]``."""
    state: Tensor
    """``float32 [N, S]``."""
    recalled: Tensor
    """Top layer of the memory after each step, ``float32 [N, hidden]``."""
    history: Tensor
    """Tokens of the past frames, ``int64 [N, n_obs, L]``."""
    past: PastFrames | None
    """The same as the generation expert takes them in; None as long as they are not in the cache."""

    def __getitem__(self, rows: Tensor) -> Observed:
        """Return what was made of the steps ``rows``, ``int64 [M]``."""
        return _apply(lambda values: values[rows], self)

    def updated(self, rows: Tensor, by: Observed) -> Observed:
        """Return all steps, with those of ``rows int64 [M]`` replaced ``by`` others."""
        return _apply(lambda old, new: old.index_copy(0, rows, new), self, by)


def _apply(function: Callable[..., Tensor], *seen: Observed) -> Observed:
    """Return ``function`` of the same tensors of all ``seen``, one after another."""

    def column(name: str) -> Iterator[Any]:
        return (getattr(one, name) for one in seen)

    cache = [tuple(map(function, *layer)) for layer in zip(*column("cache"), strict=True)]
    parts = (function(*column(name)) for name in ("pooled", "state", "recalled", "history"))
    past = list(column("past"))
    if past[0] is None:
        return Observed(cache, *parts, None)
    return Observed(cache, *parts, PastFrames(*map(function, *(vars(one).values() for one in past))))
