"""Statistics of the episodes that run side by side, on whatever arrays the environment gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Array = Any
"""A numpy array or a torch tensor, ``[N]``; only what both can do is used."""


class EpisodeStatistics:
    """Return, length, and last value and mean of each number that the steps report, per scene."""

    def __init__(self, zeros: Callable[[str], Array]) -> None:
        """Start with no steps.

        Args:
            zeros: makes an array ``[N]`` of a dtype given by name, on the device of the environment.
        """
        self._zeros = zeros
        self._length = zeros("int64")
        self._return = zeros("float32")
        self._sums: dict[str, Array] = {}
        self._last: dict[str, Array] = {}

    def begin(self, scenes: Sequence[int]) -> None:
        """Forget the episodes of these scenes, because new ones begin."""
        for array in (self._length, self._return, *self._sums.values()):
            array[scenes] = 0

    def add(self, reward: Array, numbers: Mapping[str, Array]) -> None:
        """Take in one step of every scene.

        Args:
            reward: ``float32 [N]``.
            numbers: ``float64 [N]`` by name; NaN where a scene did not report it. The mean over an episode is NaN
                unless each of its steps reported the number.
        """
        self._length += 1
        self._return += reward
        for name in numbers.keys() - self._sums.keys():
            self._sums[name] = self._zeros("float64")
            self._sums[name][self._length > 1] = math.nan
        for name, total in self._sums.items():
            total += numbers.get(name, math.nan)
        self._last = dict(numbers)

    def results(self) -> dict[str, Array]:
        """Return arrays ``[N]`` of the caller's own.

        ``return`` and ``length``, and for each number ``x`` of the last step ``x`` itself, as the episode's last value,
        and ``x_mean``, over its steps.
        """
        means = {f"{name}_mean": self._sums[name] / self._length for name in self._last}
        return {"return": self._return + 0, "length": self._length + 0} | self._last | means
