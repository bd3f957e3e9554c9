"""What is counted over all episodes together, and how sure the count is."""

from __future__ import annotations

import numpy as np
import pytest

from f1rl.phases.explorer_evaluation import coverage
from f1rl.rollout.source import TokenizedEpisode
from f1rl_envs.spec import Episode, EpisodeRequest


def episode(*voxels: int) -> TokenizedEpisode:
    arrays = (np.zeros((3, 1, 3, 2, 2), np.uint8), np.zeros((3, 32)), np.zeros((2, 32)), np.zeros(2))
    whole = Episode(EpisodeRequest(0, 0, 0), *arrays, terminated=False, truncated=True)
    return TokenizedEpisode(whole, np.zeros((3, 4), np.int16), frozenset(voxels))


def test_coverage_counts_each_voxel_once() -> None:
    number, _ = coverage([episode(1, 2, 3), episode(3, 4), episode(3)])
    assert number == 4
    assert coverage([episode(), episode()]) is None  # not measured


def test_its_error_is_the_jackknife_by_its_definition() -> None:
    episodes = [episode(1, 2, 3, 9), episode(3, 4, 9), episode(3), episode(5, 6, 7, 8)]
    _, pseudo = coverage(episodes)
    without = np.array([len(set().union(*(e.visited for e in episodes if e is not left))) for left in episodes])
    n = len(episodes)
    expected = ((n - 1) / n * ((without - without.mean()) ** 2).sum()) ** 0.5
    assert pseudo.numpy().std(ddof=1) / n**0.5 == pytest.approx(expected)
