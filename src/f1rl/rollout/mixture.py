"""Which episode each number of a training run is: freshly collected, or a recorded one.

A function of the seed and the number, so that a run goes on from any number, and ranks agree, without anything but the
number being stored.
"""

from __future__ import annotations

import numpy as np

from f1rl.rollout.recorded import Place, RecordedEpisodes

_SOURCE, _ORDER = 11, 12
"""Distinct integers keep these random streams apart from the others of a run."""


class Mixture:
    """For each number of a training episode: freshly collected, or which recorded one."""

    def __init__(self, recorded: RecordedEpisodes, online_fraction: float, seed: int, count: int) -> None:
        """Draw the sources of ``count`` episodes; a longer mixture begins with the same ones.

        Args:
            recorded: where recorded ones come from.
            online_fraction: probability that an episode is freshly collected.
            seed: decides the draws.
            count: length.
        """
        self._recorded, self._seed = recorded, seed
        draws = np.random.default_rng([seed, _SOURCE]).random((count, 2))
        chosen = np.searchsorted(np.cumsum(recorded.probabilities)[:-1], draws[:, 1], side="right")
        self._dataset = np.where(draws[:, 0] < online_fraction, -1, chosen)
        self._turn = np.zeros(count, np.int64)
        for number in range(len(recorded.datasets)):
            mine = self._dataset == number
            self._turn[mine] = np.arange(mine.sum())

    def place(self, index: int) -> Place | None:
        """Return the recorded episode that training episode ``index`` is; None if it is collected.

        A dataset's episodes come in a random order, each once before any comes again.
        """
        dataset = int(self._dataset[index])
        if dataset < 0:
            return None
        numbers = self._recorded.train[dataset]
        epoch, turn = divmod(int(self._turn[index]), len(numbers))
        order = np.random.default_rng([self._seed, _ORDER, dataset, epoch]).permutation(len(numbers))
        return Place(dataset, numbers[order[turn]])
