"""Which parameters learn at which rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

Ratios = Sequence[tuple[str, float]]
"""Beginnings of parameter names, each with its share of the learning rate; the first that fits counts."""


def parameter_groups(model: nn.Module, rate: float, weight_decay: float, ratios: Ratios) -> list[dict[str, Any]]:
    """Return groups for an optimizer of all parameters of ``model`` that have ``requires_grad``.

    Matrices are decayed; norms and biases are not. The first group has the learning rate ``rate`` itself, whether or
    not it has parameters, so that it can be read off there.
    """
    shares: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            share = next((value for start, value in ratios if name.startswith(start)), 1.0)
            shares.setdefault(share, []).append(parameter)
    groups = []
    for share, chosen in shares.items():
        kinds = (([p for p in chosen if p.ndim > 1], weight_decay), ([p for p in chosen if p.ndim <= 1], 0.0))
        groups += [{"params": params, "lr": rate * share, "weight_decay": decay} for params, decay in kinds]
    return groups
