"""Mean and variance of everything seen so far, to bring rewards of unlike sizes to one scale."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RunningStatistics:
    """Count, mean and variance of a stream of numbers, merged batch by batch (Chan, Golub & LeVeque 1983)."""

    def __init__(self) -> None:
        """Start with nothing seen: mean 0, scale 1."""
        self.count, self.mean, self._squares = 0, 0.0, 0.0

    def update(self, values: Tensor) -> None:
        """Take in all entries of ``values``, ``[...]``.

        Raises:
            ValueError: if an entry is not finite; it would spoil the statistics for good.
        """
        values = values.detach().double().flatten()
        if not torch.isfinite(values).all():
            raise ValueError(f"{int((~torch.isfinite(values)).sum())} of {len(values)} values are not finite")
        if len(values) == 0:
            return
        count, mean = len(values), values.mean().item()
        squares = (values - mean).square().sum().item()
        total, difference = self.count + count, mean - self.mean
        self._squares += squares + difference**2 * self.count * count / total
        self.mean += difference * count / total
        self.count = total

    @property
    def std(self) -> float:
        """Standard deviation (of the population); 1 before two different numbers were seen."""
        return (self._squares / self.count) ** 0.5 if self._squares > 0 else 1.0

    def state_dict(self) -> dict[str, Any]:
        """Return the state, for a checkpoint."""
        return {"count": self.count, "mean": self.mean, "squares": self._squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.count, self.mean, self._squares = state["count"], state["mean"], state["squares"]
