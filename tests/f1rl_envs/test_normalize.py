from __future__ import annotations

import numpy as np
import pytest

from f1rl_envs.layout import layout
from f1rl_envs.normalize import AffineNormalizer
from f1rl_envs.spec import PADDED_DIM


def test_out_arrays_are_used_and_padding_stays():
    normalizer = AffineNormalizer(layout([1]), np.array([1.0, 1.0]), np.array([2.0, 1.0]))
    out = np.zeros(PADDED_DIM, np.float32)
    assert normalizer.normalize(np.array([1.0, 2.0]), out=out) is out
    assert out[:3].tolist() == [0.0, 1.0, 0.0]
    physical = np.empty(2, np.float32)
    assert normalizer.denormalize(out, out=physical) is physical
    assert physical.tolist() == [1.0, 2.0]


def test_entries_of_a_pair_lie_apart():
    normalizer = AffineNormalizer(layout([2, 1]), np.zeros(5), np.array([1.0, 2.0, -4.0, 8.0, 16.0]))
    padded = np.arange(64, dtype=np.float32).reshape(2, 32)
    physical = normalizer.denormalize(padded)
    assert physical[0].tolist() == [0.0, 2.0, -32.0, 72.0, 272.0]
    back = normalizer.normalize(physical)
    np.testing.assert_array_equal(back, np.where(normalizer.layout.mask, padded, 0.0))
    out = np.zeros((2, PADDED_DIM), np.float32)
    np.testing.assert_array_equal(normalizer.normalize(physical, out=out), back)


@pytest.mark.parametrize(
    ("centre", "half_range"),
    [
        ([0.0, 0.0], [0.0, 1.0]),
        ([0.0, 0.0], [np.inf, 1.0]),
        ([np.nan, 0.0], [1.0, 1.0]),
        ([0.0, 1.0], [1.0]),
        ([0.0] * 3, [1.0] * 3),
    ],
)
def test_impossible_ranges_are_refused(centre, half_range):
    with pytest.raises(ValueError, match=r"half.range"):
        AffineNormalizer(layout([1]), np.array(centre), np.array(half_range))
