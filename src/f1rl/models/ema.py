"""A running mean of trained weights, which often predicts better than the weights of any one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_EARLY = 10
"""Updates over which the decay rises, so that the mean soon forgets the random weights of the start."""


class WeightMean:
    """Exponential moving average of the parameters of ``model`` that are trained.

    After update ``n`` (from 1) the mean moves towards the weights by ``1 - min(decay, n / (n + 9))``: early on, a plain
    average would remember little but the first weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start at the weights that ``model`` has now, in ``float32`` and on their devices."""
        self.decay, self.updates = decay, 0
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.mean = {name: p.detach().float().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimizer step."""
        self.updates += 1
        share = 1 - min(self.decay, self.updates / (self.updates + _EARLY - 1))
        own = [self.mean[name] for name in self._parameters]
        torch._foreach_lerp_(own, [p.detach().float() for p in self._parameters.values()], share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the mean in the place of the weights, and the weights back."""
        weights = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._write(self.mean)
        try:
            yield
        finally:
            self._write(weights)

    @torch.no_grad()
    def _write(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """Return ``mean`` by the names of the parameters, and how many updates it has seen."""
        return {"mean": dict(self.mean), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ValueError: it is of other parameters.
        """
        if state["mean"].keys() != self.mean.keys():
            odd = sorted(state["mean"].keys() ^ self.mean.keys())
            raise ValueError(f"the saved mean is of other parameters: {', '.join(odd[:4])}")
        self.updates = state["updates"]
        for name, value in state["mean"].items():
            self.mean[name].copy_(value)
